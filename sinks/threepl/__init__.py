"""The 3PL as a target: what it is asked to send (contract: schemas/http/3pl.yaml).

Nothing can be looked up by our reference. What makes a repeat safe is the Idempotency-Key: within a day it gives the first answer again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sinks.base import Document, Operation, Standing, Update
from towpath.errors import DataError
from towpath.http import Answer, ApiClient, gather_all
from towpath.systems.threepl import BASE, id_of

HONOURED: Final = timedelta(hours=23)
"""For how long a key is certainly honoured: a day, less what two clocks may differ."""
PATH: Final = f"{BASE}/fulfilment-requests"
OURS: Final = frozenset({"RequestedAt"})
CANCELLED: Final = "cancelled"
SHIPPED: Final = frozenset({"partially_shipped", "shipped"})


async def _find_request(_api: ApiClient, _document: Document) -> Standing | None:
    """Return None: the 3PL finds a request itself, by its key, when it is asked again."""
    return None


async def _create_request(api: ApiClient, document: Document) -> Standing:
    """Ask for a shipment; the key is our reference, which one request has only."""
    reference = document.get("reference")
    if not isinstance(reference, str) or not reference.strip() or not reference.isascii() or not reference.isprintable():
        raise DataError("the request has no reference that could be its key", field="reference", value=repr(reference))
    body = {name: value for name, value in document.items() if name not in OURS}
    answer = await api.write("POST", PATH, body, {"Idempotency-Key": reference})
    request = _request(answer)
    if request.get("reference") != reference:
        raise answer.unreadable("it is another request than was asked for")
    return Standing(_id(answer, request))


def _may_repeat(document: Document, now: datetime) -> None:
    """Raise DataError where a request that may have been taken is so old that the 3PL may not know its key any more."""
    try:
        asked = datetime.fromisoformat(str(document.get("RequestedAt")))
    except ValueError:
        raise DataError("the request has no time RequestedAt", field="RequestedAt", value=str(document.get("RequestedAt"))) from None
    if now - (asked.replace(tzinfo=UTC) if asked.tzinfo is None else asked) > HONOURED:
        message = (
            f"nobody knows whether the 3PL has request {document.get('reference')}, and it forgets our key after a day: ask it, "
            "and where it has none, set RequestedAt to the time of now and replay"
        )
        raise DataError(message, field="RequestedAt", value=str(document.get("RequestedAt")))


async def _find_cancelled(api: ApiClient, document: Document) -> Standing | None:
    """Return the first of the requests where all are cancelled already; raises DataError where one has left."""
    requests = _requests(document)
    states = await gather_all(*(_status(api, request) for request in requests))
    for request, status in zip(requests, states, strict=True):
        if status in SHIPPED:
            message = f"request {request} cannot be cancelled any more, for it is {status}; settle with the customer what comes back"
            raise DataError(message, field="Requests", value=request)
    return Standing(requests[0]) if set(states) == {CANCELLED} else None


async def _cancel(api: ApiClient, document: Document) -> Standing:
    """Cancel each of the requests; one that is cancelled already stays so."""
    requests = _requests(document)
    for request in requests:
        if await _status(api, request) != CANCELLED:
            _request(await api.write("POST", f"{PATH}/{request}/cancel"))
    return Standing(requests[0])


async def _status(api: ApiClient, request: str) -> str:
    answer = await api.get(f"{PATH}/{request}")
    if answer.status == 404:  # noqa: PLR2004 - not found
        raise DataError(f"request {request} does not exist at {api.name}", field="Requests", value=request)
    return str(_request(answer).get("status"))


def _requests(document: Document) -> list[str]:
    given = document.get("Requests")
    if not isinstance(given, list) or not given:
        raise DataError("the cancellation names no requests", field="Requests", value=repr(given)[:80])
    return [id_of({"Requests": request}, "Requests") for request in given]


def _request(answer: Answer) -> Mapping[str, Any]:
    content = answer.json()
    if not isinstance(content, dict):
        raise answer.unreadable("it is no request")
    return content


def _id(answer: Answer, request: Mapping[str, Any]) -> str:
    try:
        return id_of(request, "id")
    except DataError as error:
        raise answer.unreadable("its id is none") from error


class ThreeplTarget:
    """What the 3PL can be asked to do."""

    operations: Mapping[str, Operation | Update] = {
        "create_request": Operation(_find_request, _create_request, may_repeat=_may_repeat),
        "cancel_requests": Operation(_find_cancelled, _cancel),
    }
    creates: Mapping[str, str] = {"request": "create_request"}


TARGET = ThreeplTarget()
