"""How to talk to NopCommerce's official Web API Backend, and what its plugin's webhooks say (vendor-apis.md, section 3; flows.md, section 5)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import aiohttp
import orjson
from pydantic import BaseModel, ConfigDict

from towpath.authorisers import BearerToken, fetch_token
from towpath.blanking import blank
from towpath.config import Connection
from towpath.config.secret import Credential
from towpath.delivery.tokens import Token
from towpath.dialect import USUAL, Dialect, Refusal
from towpath.errors import DataError
from towpath.http import ApiClient, Authoriser

BASE = "/api-backend"

ERRORS = USUAL

BLANKED = (
    "card_type",
    "card_name",
    "card_number",
    "masked_credit_card_number",
    "card_cvv2",
    "card_expiration_month",
    "card_expiration_year",
)
"""Card fields of the order entity: emptied before anything is written."""

ENTITIES = frozenset({"order", "customer", "return_request"})


def refusal(_status: int, text: str) -> Refusal:
    """Return what an error body says, ProblemDetails or text (vendor-apis.md, section 3.3) or what the shop threw; card numbers are struck out."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = None
    words = {str(name).casefold(): value for name, value in content.items()} if isinstance(content, dict) else {}
    said = next((words[name] for name in ("detail", "message", "title") if isinstance(words.get(name), str) and words[name]), text)
    return Refusal(blank(said[:600].encode("utf-8", "replace"), BLANKED).decode())


DIALECT = Dialect(ERRORS, refusal)

PROBE: tuple[str, Mapping[str, str]] = (f"{BASE}/Order/GetById/1", {})
"""A read that shows whether our credentials are accepted, also where there is no such order."""


class Credentials(BaseModel):
    """A user with the permission "Access Web API Backend"."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    username: str
    password: Credential


class Options(BaseModel):
    """NopCommerce needs no options."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Named(NamedTuple):
    """What a webhook is about."""

    entity: str
    id: int
    type: str
    occurred_at: str = ""


def entity_of(body: bytes) -> Named:
    """Return what a webhook names; raises DataError with the field that is wrong."""
    try:
        content = _parsed(body)
    except (ValueError, RecursionError) as error:
        raise DataError(f"the webhook's body is not JSON: {error}", field="body", value=body[:40].decode("utf-8", "replace")) from error
    data = content.get("data") if isinstance(content, dict) else None
    if not isinstance(data, dict):
        raise DataError("the webhook has no object `data`", field="data")
    entity, entity_id = data.get("entity"), data.get("entityId")
    if not isinstance(entity, str):
        raise DataError("the webhook's data.entity is no text", field="data.entity", value=repr(entity))
    if not isinstance(entity_id, int) or isinstance(entity_id, bool) or entity_id <= 0 or entity_id > 2**31 - 1:
        raise DataError("the webhook's data.entityId is no positive id", field="data.entityId", value=str(entity_id)[:40])
    return Named(entity, entity_id, str(content.get("type")), str(content.get("occurredAt") or ""))


def _parsed(body: bytes) -> Any:  # noqa: ANN401 - JSON
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:  # it is the stricter one: other encodings, lone surrogates, numbers that are none
        return json.loads(body)


def key_of(body: bytes) -> str | None:
    """Return `entity/id` of a webhook, None where it cannot be read."""
    try:
        named = entity_of(body)
    except DataError:
        return None
    return f"{named.entity}/{named.id}"


def authoriser(connection: Connection) -> Authoriser:
    """Return what adds this connection's credentials to a call: a JWT."""

    async def fetch(session: aiohttp.ClientSession) -> Token:
        credentials = {name: connection.credential(name).get_secret_value() for name in ("username", "password")}
        return await fetch_token(session, "nopcommerce: GetToken", f"{connection.url}{BASE}/Authenticate/GetToken", "token", json=credentials)

    return BearerToken(fetch)


async def read(api: ApiClient, path: str, what: str, params: Mapping[str, str] | None = None) -> str:
    """Return the JSON text of one entity; raises DataError when it does not exist."""
    found = await find(api, path, params)
    if found is None:
        raise DataError(f"{what} does not exist at {api.name}", field=what.rpartition(" ")[0] or what, value=path.rpartition("/")[2])
    return found


async def find(api: ApiClient, path: str, params: Mapping[str, str] | None = None) -> str | None:
    """Return the JSON text of one entity, None when it does not exist."""
    answer = await api.get(f"{BASE}/{path}", params)
    return None if answer.status == 404 else answer.text  # noqa: PLR2004 - not found
