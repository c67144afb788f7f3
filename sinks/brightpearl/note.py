"""A goods-out note that a warehouse has sent: its tracking numbers first, for a shipped note takes none; then the event that ships it."""

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
SEPARATOR: Final = ", "
CHANGED_MEANWHILE: Final = 412


async def find_shipped(api: ApiClient, document: Document) -> Standing | None:
    """Return the note where it is shipped; with other tracking numbers than ours that is for a person to settle."""
    note, wanted = await _read(api, document), _numbers(document)
    return _standing(document, note, wanted) if note["status"].get("shipped") else None


async def ship_note(api: ApiClient, document: Document) -> Standing:
    """Write the tracking numbers where they are not there yet, then ship the note."""
    note, number_, wanted = await _read(api, document), number(document, "NoteID"), _numbers(document)
    await _track(api, number_, note, wanted)
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
    return Standing(str(number_), review=_review(wanted, reference_of(wanted)))


async def find_tracked(api: ApiClient, document: Document) -> Standing | None:
    """Return the note where it has these tracking numbers, or has left: then it takes none any more."""
    note, wanted = await _read(api, document), _numbers(document)
    if note["status"].get("shipped"):
        return _standing(document, note, wanted)
    return Standing(str(number(document, "NoteID"))) if _has(note, wanted) else None


async def track_note(api: ApiClient, document: Document) -> Standing:
    """Write tracking numbers to a note of which something is still to leave."""
    note, number_ = await _read(api, document), number(document, "NoteID")
    await _track(api, number_, note, _numbers(document))
    return Standing(str(number_))


def reference_of(numbers: list[str]) -> str:
    """Return as many of the tracking numbers as a note has room for, and how many more there are."""
    whole = SEPARATOR.join(numbers)
    for shown in range(len(numbers), 0, -1):
        text_ = SEPARATOR.join(numbers[:shown]) + (f" +{len(numbers) - shown}" if shown < len(numbers) else "")
        if len(text_) <= LONGEST_REFERENCE:
            return text_
    return whole[:LONGEST_REFERENCE]


async def _track(api: ApiClient, number_: int, note: Mapping[str, Any], wanted: list[str]) -> None:
    if wanted and not _has(note, wanted):
        body = {"priority": bool(note.get("priority")), "shipping": {**(note.get("shipping") or {}), "reference": reference_of(wanted)}}
        content_of(await api.write("PUT", f"/warehouse-service/goods-note/goods-out/{number_}", body))


def _has(note: Mapping[str, Any], wanted: list[str]) -> bool:
    """Tell whether a note has what we would write, or all of these numbers and more: they come in any order."""
    stands = str((note.get("shipping") or {}).get("reference") or "")
    return stands == reference_of(wanted) or set(wanted) <= set(stands.split(SEPARATOR))


def _standing(document: Document, note: Mapping[str, Any], wanted: list[str]) -> Standing:
    """Return the note as it was shipped."""
    stands = str((note.get("shipping") or {}).get("reference") or "")
    other = f"it was shipped with tracking number {stands or 'none'}, not {SEPARATOR.join(wanted)}" if wanted and not _has(note, wanted) else ""
    return Standing(str(number(document, "NoteID")), review=other or _review(wanted, stands))


def _review(wanted: list[str], stands: str) -> str:
    missing = [one for one in wanted if one not in stands.split(SEPARATOR)] if " +" in stands else []
    return f"a note has no room for all of its tracking numbers, {SEPARATOR.join(wanted)}" if missing else ""


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


def _numbers(document: Document) -> list[str]:
    given = document.get("TrackingNumbers") or []
    if not isinstance(given, list) or not all(isinstance(one, str) and one.isprintable() for one in given):
        raise DataError("the tracking numbers are no list of texts", field="TrackingNumbers", value=repr(given)[:80])
    numbers = list(dict.fromkeys(one.strip() for one in given if one.strip()))
    if longest := next((one for one in numbers if len(one) > LONGEST_REFERENCE), None):
        raise DataError(f"the tracking number has more than {LONGEST_REFERENCE} characters", field="TrackingNumbers", value=longest)
    return numbers
