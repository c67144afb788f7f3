"""How to talk to Magento 2 (Adobe Commerce): credentials, what its errors mean, and what its events name (vendor-apis.md, section 1).

Magento Open Source sends no webhooks by itself; a small module in the shop posts the I/O Events payload, signed as a Standard Webhook.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, SecretStr, model_validator

from towpath.authorisers import HeaderKey
from towpath.blanking import blank
from towpath.config import Connection
from towpath.config.secret import Credential
from towpath.dialect import USUAL, Dialect, Outcome, Refusal, refusal_of
from towpath.errors import DataError
from towpath.http import ApiClient, Authoriser
from towpath.oauth1 import Keys, OAuth1

BASE: Final = "/rest/V1"
LARGEST_ID: Final = 2**32 - 1
UNAUTHORIZED: Final = 401
OAUTH: Final = ("consumer_key", "consumer_secret", "access_token_secret")

ERRORS = USUAL

BLANKED: Final[Sequence[str]] = (
    *("cc_exp_month", "cc_exp_year", "cc_last4", "cc_last_4", "cc_number", "cc_number_enc", "cc_owner", "cc_cid", "cc_ss_issue"),
    *("cc_debug_request_body", "cc_debug_response_body", "cc_debug_response_serialized", "echeck_routing_number", "echeck_account_name"),
    *("additional_information", "additional_data", "rp_token", "password_hash"),
)
"""Fields of a payment and a customer that are emptied before anything is written; what a payment module adds may hold a card."""

ENTITIES: Final = {"sales_order": "order", "sales_order_creditmemo": "creditmemo", "customer": "customer"}
"""The entities of the events that are read. One fires on every save, whatever was changed: that an order was placed must be derived."""
_OBSERVED = re.compile(r"(?:^|\.)observer\.(sales_order_creditmemo|sales_order|customer)_(?:save|place)(?:_commit)?_after")
_PARAMETER = re.compile(r"%(\w+)")


def refusal(status: int, text: str) -> Refusal:
    """Return what an error body says, its parameters in the places of its message; the field is that of `No such entity with %fieldName`."""
    try:
        content = json.loads(text)
        if isinstance(content.get("messages"), dict):  # an unroutable request or a fatal error (Webapi/ErrorProcessor::_formatError)
            content = content["messages"]["error"][0]
        parameters = content.get("parameters")
        said = [_filled(content["message"], parameters)]
        said += [_filled(one["message"], one.get("parameters")) for one in content.get("errors") or ()]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        return refusal_of(status, blank(text[:600].encode("utf-8", "replace"), BLANKED).decode())
    field = parameters.get("fieldName") if isinstance(parameters, dict) else None
    return Refusal(blank(" ".join(said)[:600].encode("utf-8", "replace"), BLANKED).decode(), field if isinstance(field, str) else "")


def _filled(message: str, parameters: object) -> str:
    """Return the message with `%1` from a list and `%fieldName` from an object; what has no value stays as it is."""
    named: Mapping[str, object] = {}
    if isinstance(parameters, dict):
        named = parameters
    elif isinstance(parameters, list):
        named = {str(number): value for number, value in enumerate(parameters, start=1)}
    return _PARAMETER.sub(lambda found: str(named.get(found[1], found[0])), message)


def judged(status: int, text: str) -> str | None:
    """Return RETRY for a 401 that says "isn't authorized to access", None for any other answer.

    In the same words the shop refuses one call for want of a permission, which others do not need, and every call of a token that it does not
    know. So what was refused waits and parks with that reason, and goes on by itself once somebody has mended the integration.
    """
    return Outcome.RETRY if status == UNAUTHORIZED and "authorized to access" in text else None


DIALECT = Dialect(ERRORS, refusal, judged=judged)


class Credentials(BaseModel):
    """The access token of an integration: as a bearer where the shop allows that, else with the three that sign by OAuth 1.0a."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    access_token: Credential
    access_token_secret: Credential | None = None
    consumer_key: Credential | None = None
    consumer_secret: Credential | None = None

    @model_validator(mode="after")
    def _all_or_none(self) -> Credentials:
        given = [name for name in OAUTH if getattr(self, name) is not None]
        if given and len(given) < len(OAUTH):
            raise ValueError(f"to sign by OAuth 1.0a, give {', '.join(OAUTH)} beside access_token; for a bearer token, none of them")
        return self


class Options(BaseModel):
    """Magento needs no options: the source that ships and is counted is a flow's."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def authoriser(connection: Connection) -> Authoriser:
    """Return what adds this connection's credentials to a call: a bearer token, or a signature."""
    if "consumer_key" not in connection.credentials:
        return HeaderKey("Authorization", lambda: SecretStr(f"Bearer {connection.credential('access_token').get_secret_value()}"))
    return OAuth1(lambda: Keys(*(connection.credential(name).get_secret_value() for name in ("access_token", *OAUTH))))


class Named(NamedTuple):
    """What an event is about."""

    entity: str
    id: int


def entity_of(body: bytes) -> Named | None:
    """Return what an event names, None for one that no flow can use; raises DataError with the field that is wrong."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise DataError(f"the event's body is not JSON: {error}", field="body", value=body[:40].decode("utf-8", "replace")) from error
    kind = content.get("type") if isinstance(content, dict) else None
    if not isinstance(kind, str):
        raise DataError("the event's type is no text", field="type", value=repr(kind))
    observed = _OBSERVED.search(kind)
    if observed is None:
        return None
    value: Any = content
    for name in ("event", "data", "value"):
        value = value.get(name) if isinstance(value, dict) else None
    if not isinstance(value, dict):
        raise DataError("the event has no object `event.data.value`", field="event.data.value")
    return Named(ENTITIES[observed[1]], id_of(value.get("entity_id", value.get("id")), "event.data.value.entity_id"))


def id_of(value: object, field: str) -> int:
    """Return an id, which REST gives as a number and an event as a text; raises DataError naming the field: ids become parts of paths."""
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(LARGEST_ID)) and 0 < int(text) <= LARGEST_ID):
        raise DataError(f"{field} is no id", field=field, value=repr(value)[:60])
    return int(text)


def key_of(body: bytes) -> str | None:
    """Return `entity/id` of an event, None where it cannot be read."""
    try:
        named = entity_of(body)
    except DataError:
        return None
    return None if named is None else f"{named.entity}/{named.id}"


def search(*filters: tuple[str, str, object], **more: object) -> dict[str, str]:
    """Return the query of a list: (field, condition, value), all of which must hold, and `pageSize`, `currentPage` or `sort` (a field).

    Pages are counted from 1, and the last one may be repeated for ever (magento2 issue 26986): stop by `total_count`.
    """
    query: dict[str, str] = {}
    for group, (field, condition, value) in enumerate(filters):
        place = f"searchCriteria[filterGroups][{group}][filters][0]"
        query |= {f"{place}[field]": field, f"{place}[value]": str(value), f"{place}[conditionType]": condition}
    if "sort" in more:
        query |= {"searchCriteria[sortOrders][0][field]": str(more.pop("sort")), "searchCriteria[sortOrders][0][direction]": "ASC"}
    return query | {f"searchCriteria[{name}]": str(value) for name, value in more.items()}


async def read(api: ApiClient, path: str, what: str) -> str:
    """Return the JSON text of one entity; raises DataError where it does not exist."""
    answer = await api.get(f"{BASE}/{path}")
    if answer.status == 404:  # noqa: PLR2004 - not found
        raise DataError(f"{what} does not exist at {api.name}", field=what.rpartition(" ")[0], value=path.rpartition("/")[2])
    return answer.text
