"""How to talk to the 3PL: its token, what its statuses mean, and what its webhooks are about (contract: schemas/http/3pl.yaml)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, SecretStr

from towpath.authorisers import HeaderKey
from towpath.config import Connection
from towpath.config.secret import Credential
from towpath.dialect import USUAL, Dialect
from towpath.errors import DataError
from towpath.http import Authoriser
from towpath.systems.bng import refusal

BASE: Final = "/v1"
ERRORS = USUAL
DIALECT = Dialect(ERRORS, refusal)
PROBE: Final[tuple[str, Mapping[str, str]]] = (f"{BASE}/fulfilment-requests/towpath-check", {})
"""A read that shows whether our token is accepted: there is no such request."""

BLANKED: Sequence[str] = ()
"""No field of the 3PL's holds card data."""
CONFIRMED: Final = "shipment.confirmed"
LONGEST_ID: Final = 100


class Credentials(BaseModel):
    """A bearer token."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    token: Credential


class Options(BaseModel):
    """The 3PL needs no options."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Named(NamedTuple):
    """What a webhook is about: one shipment, by the id that every copy of the webhook has."""

    entity: str
    id: str


def authoriser(connection: Connection) -> Authoriser:
    """Return what adds the token to a call."""
    return HeaderKey("Authorization", lambda: SecretStr(f"Bearer {connection.credential('token').get_secret_value()}"))


def entity_of(body: bytes) -> Named | None:
    """Return what a webhook is about, None for a type that no flow can use; raises DataError with the field that is wrong."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise DataError(f"the webhook's body is not JSON: {error}", field="body", value=body[:40].decode("utf-8", "replace")) from error
    kind = content.get("type") if isinstance(content, dict) else None
    if not isinstance(kind, str):
        raise DataError("the webhook's type is no text", field="type", value=repr(kind))
    return Named("shipment", id_of(content, "id")) if kind == CONFIRMED else None


def key_of(body: bytes) -> str | None:
    """Return `shipment/id` of a webhook, None where it cannot be read."""
    try:
        named = entity_of(body)
    except DataError:
        return None
    return None if named is None else f"{named.entity}/{named.id}"


def id_of(record: Mapping[str, Any], field: str, where: str = "") -> str:
    """Return an id; raises DataError naming the field, after `where` it stands, for what is none: ids become keys, and parts of paths."""
    value = record.get(field)
    if not isinstance(value, str) or not value or len(value) > LONGEST_ID or not all(one.isalnum() or one in "-_.:" for one in value):
        raise DataError(f"{where}{field} is no id", field=f"{where}{field}", value=repr(value))
    return value
