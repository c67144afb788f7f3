"""How to talk to Brightpearl: its two kinds of app, what its answers mean, sets of ids, and searches (vendor-apis.md, section 2).

The address of a connection ends with the account: `https://euw1.brightpearlconnect.com/public-api/acme`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, model_validator

from towpath.config import Connection
from towpath.config.secret import Credential
from towpath.dialect import USUAL, Dialect, Outcome, Pace, Refusal
from towpath.errors import DataError, RetryableError
from towpath.http import Answer, ApiClient, Authoriser
from towpath.signatures import AddressVerifier
from towpath.systems._brightpearl_auth import InstanceApp, PrivateApp

TOKEN_URL: Final = "https://oauth.brightpearl.com/token"  # noqa: S105 - an address
LARGEST_ID: Final = 2**31 - 1
MOST_IDS: Final = 10_000
"""Ids of one webhook: more than Brightpearl puts into one, and few enough to become a record each."""
LARGEST_SET: Final = 200
"""Ids that one GET may name: 200 orders or contacts (500 goods-out notes)."""
THROTTLED: Final = "you have sent too many requests"
_SPAN: Final = re.compile(r"([0-9]{1,10})(?:-([0-9]{1,10}))?")
_CLIENT_FAULT: Final = re.compile(r"[A-Z]{3}C-[0-9]{1,6}")

ERRORS = tuple(row for row in USUAL if row[0] != range(503, 504))
"""A 503 with the sentence of the limit is flow control; one without is an outage, of which nobody knows what it did."""

BLANKED: Sequence[str] = ()
"""No field of Brightpearl's holds card data."""
ENTITIES: Final[Mapping[str, str]] = {
    "goods-out-note": "goods_out_note",
    "goods-in-note": "goods_in_note",
    "order": "order",
    "sales-order": "order",
    "product": "product",
}
"""From the resource type of a webhook to the entity that is fetched; stock has the event `product.modified.on-hand-modified`."""
BUSY: Final = 503
"""What a webhook is answered that is to come again: on 4xx Brightpearl drops it for good."""
verifier = AddressVerifier


class Credentials(BaseModel):
    """A private app (app reference and account token), or an OAuth instance app (developer reference, client id and refresh token)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    app_ref: str
    account_token: Credential | None = None
    dev_ref: str | None = None
    client_id: str | None = None
    client_secret: Credential | None = None
    refresh_token: Credential | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Credentials:
        is_instance = self.dev_ref is not None and self.client_id is not None and self.refresh_token is not None
        if (self.account_token is not None) == is_instance or (self.account_token is not None and self.refresh_token is not None):
            raise ValueError("give either account_token (a private app), or dev_ref, client_id and refresh_token (an OAuth instance app)")
        return self


class Options(BaseModel):
    """Where an instance app gets its tokens."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    token_url: str = Field(
        default=TOKEN_URL, pattern=r"^https?://", description="without the account, which is the last part of the connection's url"
    )


class Named(NamedTuple):
    """What a webhook is about: ids of one entity, and when it was raised (ISO 8601, empty where it does not say)."""

    entity: str
    ids: Sequence[int]
    raised_on: str


def refusal(_status: int, text: str) -> Refusal:
    """Return what an error body says; what stands in `response` is left out, for there the token is echoed."""
    errors = _errors(text)
    return Refusal("; ".join(f"{error.get('code')}: {error.get('message')}" for error in errors)[:600])


def judged(status: int, text: str) -> str | None:
    """Return what a body says of an answer: flow control, or a fault of the client under a status of the server."""
    if status in (429, 503) and THROTTLED in _sentence(text).casefold():
        return Outcome.THROTTLED
    codes = [str(error.get("code")) for error in _errors(text)]
    if status == 500 and codes and all(_CLIENT_FAULT.fullmatch(code) for code in codes):  # noqa: PLR2004 - such as CMNC-018, a bad filter
        return Outcome.DATA
    return None


def pace(headers: Mapping[str, str]) -> Pace:
    """Return what is left of the 200 requests of this period, and the seconds until the next; the header has milliseconds."""
    remaining, period = (headers.get(f"brightpearl-{name}", "").strip() for name in ("requests-remaining", "next-throttle-period"))
    whole = re.compile(r"[0-9]{1,9}")
    return Pace(
        int(remaining) if whole.fullmatch(remaining) else None,
        min(3600.0, int(period) / 1000) if whole.fullmatch(period) else None,
    )


DIALECT = Dialect(ERRORS, refusal, judged, pace)


def authoriser(connection: Connection) -> Authoriser:
    """Return what adds this connection's credentials to a call: the headers of a private app, or those and the bearer token of an instance app."""
    if "account_token" in connection.credentials:
        return PrivateApp(connection, {"brightpearl-app-ref": "app_ref", "brightpearl-account-token": "account_token"})
    account = connection.url.rpartition("/")[2]
    token_url = str(connection.options.get("token_url", TOKEN_URL)).rstrip("/")
    references = {"brightpearl-app-ref": "app_ref", "brightpearl-dev-ref": "dev_ref"}
    return InstanceApp(connection, f"{token_url}/{account}", references, ("client_id", "client_secret", "refresh_token"))


def entity_of(body: bytes) -> Named | None:
    """Return what a webhook names, None for an event that no flow can use; raises DataError with the field that is wrong."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise DataError(f"the webhook's body is not JSON: {error}", field="body", value=body[:40].decode("utf-8", "replace")) from error
    if not isinstance(content, dict):
        raise DataError("the webhook is no JSON object", field="body")
    event, resource = (content.get(name) for name in ("fullEvent", "resourceType"))
    if not isinstance(event, str) or not isinstance(resource, str):
        name = "resourceType" if isinstance(event, str) else "fullEvent"
        raise DataError(f"the webhook's {name} is no text; give it in the subscription's bodyTemplate", field=name, value=repr(content.get(name)))
    ids = ids_of(content.get("id"))
    raised_on = content.get("raisedOn")
    entity = "stock" if event.endswith(".on-hand-modified") else ENTITIES.get(resource)
    if entity is None or event.endswith(".destroyed"):
        return None
    return Named(entity, ids, raised_on if isinstance(raised_on, str) else "")


def key_of(body: bytes) -> str | None:
    """Return `entity/id` of a webhook that names one, None where it names several or cannot be read."""
    try:
        named = entity_of(body)
    except DataError:
        return None
    return f"{named.entity}/{named.ids[0]}" if named is not None and len(named.ids) == 1 else None


def ids_of(value: object) -> list[int]:
    """Return the ids of a set such as `1-5,99,202`, each once, in its order; raises DataError for what is none, or has more than MOST_IDS."""
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    found: dict[int, None] = {}
    for part in text[:200_000].split(","):
        span = _SPAN.fullmatch(part.strip())
        first, last = (int(span[1]), int(span[2] or span[1])) if span else (0, 0)
        if not 0 < first <= last <= LARGEST_ID:
            raise DataError("the webhook's id is no id, and no set of ids such as 1-5,99", field="id", value=str(value)[:40])
        if len(found) + last - first >= MOST_IDS:
            raise DataError(f"the webhook names more than {MOST_IDS} ids", field="id", value=str(value)[:40])
        found.update(dict.fromkeys(range(first, last + 1)))
    return list(found)


def sets_of(ids: Sequence[int], most: int = LARGEST_SET) -> Iterator[str]:
    """Yield sets of at most so many ids as a path names them: rising, with ranges (`1-100,320`)."""
    rising = sorted(set(ids))
    for start in range(0, len(rising), most):
        yield ",".join(_ranges(rising[start : start + most]))


def _ranges(rising: Sequence[int]) -> Iterator[str]:
    first = last = rising[0]
    for one in (*rising[1:], None):
        if one == last + 1:
            last = one
            continue
        yield str(first) if first == last else f"{first}-{last}"
        first = last = one or 0


def content_of(answer: Answer) -> Any:  # noqa: ANN401 - whatever stands in `response`
    """Return what a successful answer has in `response`, None for the empty success `{}`; raises what `unreadable` returns for no envelope."""
    content = answer.json()
    if not isinstance(content, dict) or "errors" in content:
        raise answer.unreadable("it is no object with a `response`")
    if THROTTLED in str(content.get("response")).casefold():
        raise answer.unreadable("it says that too many requests were sent")
    return content.get("response")


def created_id(answer: Answer) -> int:
    """Return the id that a POST answers; raises OutcomeUnknownError for what is no id, such as a sentence."""
    found = content_of(answer)
    found = found[0] if isinstance(found, list) and len(found) == 1 else found
    if not isinstance(found, int) or isinstance(found, bool) or found <= 0:
        raise answer.unreadable("its `response` is no id")
    return found


class Rows(NamedTuple):
    """One page of a search: its rows by the names of their columns, how many there are in all, and whether more follow."""

    rows: list[dict[str, Any]]
    total: int
    more: bool
    answer: Answer


async def search(api: ApiClient, path: str, query: Mapping[str, str]) -> Rows:
    """Return a page of a search; raises RetryableError where the answer is none."""
    answer = await api.get(path, query)
    if answer.status == 404:  # noqa: PLR2004 - not found
        raise RetryableError(
            f"{api.name}: GET {path}: 404, though a search always exists; does this connection's url end with the account?", system_wide=True
        )
    content = content_of(answer)
    meta = content.get("metaData") if isinstance(content, dict) else None
    rows = content.get("results") if isinstance(content, dict) else None
    columns = meta.get("columns") if isinstance(meta, dict) else None
    if not isinstance(meta, dict) or not isinstance(rows, list) or not isinstance(columns, list):
        raise answer.unreadable("it has no `results` and columns")
    names = [str(column.get("name")) if isinstance(column, dict) else "" for column in columns]
    if not all(isinstance(row, list) and len(row) == len(names) for row in rows) or not isinstance(meta.get("resultsAvailable"), int):
        raise answer.unreadable("its rows and columns do not fit together")
    named = [dict(zip(names, row, strict=True)) for row in rows]
    return Rows(named, meta["resultsAvailable"], bool(meta.get("morePagesAvailable")), answer)


def _errors(text: str) -> list[Mapping[str, Any]]:
    try:
        errors = json.loads(text).get("errors", [])
    except (ValueError, AttributeError, RecursionError):
        return []
    return [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []


def _sentence(text: str) -> str:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    found = content.get("response") if isinstance(content, dict) else None
    return found if isinstance(found, str) else ""
