"""A goods-out note that a warehouse has sent: its tracking number first, for a shipped note takes none; then the event that ships it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from sinks.base import Document, Standing
from sinks.brightpearl.fields import number, text
from towpath.errors import DataError, OutcomeUnknownError
from towpath.http import ApiClient
from towpath.systems.brightpearl import content_of

LONGEST_REFERENCE: Final = 64
CHANGED_MEANWHILE: Final = 412


async def find_shipped(api: ApiClient, document: Document) -> Standing | None:
    """Return the note where it is shipped; with another tracking number than ours that is for a person to settle."""
    note, wanted = await _read(api, document), _tracking(document)
    if not note["status"].get("shipped"):
        return None
    stands = str((note.get("shipping") or {}).get("reference") or "")
    review = f"it was shipped with tracking number {stands or 'none'}, not {wanted}" if wanted and stands != wanted else ""
    return Standing(str(number(document, "NoteID")), review=review)


async def ship_note(api: ApiClient, document: Document) -> Standing:
    """Write the tracking number where it is not there yet, then ship the note."""
    note, number_, tracking = await _read(api, document), number(document, "NoteID"), _tracking(document)
    shipping = note.get("shipping") or {}
    if tracking and shipping.get("reference") != tracking:
        body = {"priority": bool(note.get("priority")), "shipping": {**shipping, "reference": tracking}}
        content_of(await api.write("PUT", f"/warehouse-service/goods-note/goods-out/{number_}", body))
    shipped_at = datetime.fromisoformat(text(document, "ShippedAt"))
    shipped_at = shipped_at.replace(tzinfo=UTC) if shipped_at.tzinfo is None else shipped_at
    event = {"eventCode": "SHW", "occured": shipped_at.isoformat(timespec="seconds"), "eventOwnerId": number(document, "EventOwnerID")}
    version = {"If-Match": str(note["lastEventVersion"])} if note.get("lastEventVersion") is not None else {}
    try:
        content_of(await api.write("POST", f"/warehouse-service/goods-note/goods-out/{number_}/event", {"events": [event]}, version))
    except DataError as refusal:
        if f": {CHANGED_MEANWHILE} " not in str(refusal):
            raise
        raise OutcomeUnknownError(f"note {number_} changed at {api.name} while it was shipped: looked up again") from refusal
    return Standing(str(number_))


async def _read(api: ApiClient, document: Document) -> Mapping[str, Any]:
    number_ = number(document, "NoteID")
    answer = await api.get(f"/warehouse-service/order/*/goods-note/goods-out/{number_}")
    found = {} if answer.status == 404 else content_of(answer)  # noqa: PLR2004 - not found
    note = found.get(str(number_)) if isinstance(found, dict) else None
    if note is None:
        raise DataError(f"goods-out note {number_} does not exist at {api.name}", field="NoteID", value=str(number_))
    if not isinstance(note, dict) or not isinstance(note.get("status"), dict):
        raise answer.unreadable("its note has no status")
    return note


def _tracking(document: Document) -> str:
    tracking = str(document.get("TrackingNumber") or "").strip()
    if len(tracking) > LONGEST_REFERENCE:
        raise DataError(f"the tracking number has more than {LONGEST_REFERENCE} characters", field="TrackingNumber", value=tracking)
    return tracking
