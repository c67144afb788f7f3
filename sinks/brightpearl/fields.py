"""Fields of mapped documents, checked before they become a path, a search or a row."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from sinks.base import Document
from towpath.errors import DataError
from towpath.systems._brightpearl_countries import ALPHA_3
from towpath.systems.brightpearl import LARGEST_ID

LONGEST: Final = 200


def text(document: Document, field: str, where: str = "") -> str:
    """Return a text that is there; raises DataError naming the field."""
    value = document.get(field)
    if not isinstance(value, str) or not value.strip() or len(value) > LONGEST or not value.isprintable():
        raise DataError(f"the mapped document has no {where}{field}", field=f"{where}{field}", value=repr(value))
    return value


def part(document: Document, field: str) -> Document:
    """Return an object inside a document; raises DataError naming the field."""
    value = document.get(field)
    if not isinstance(value, Mapping):
        raise DataError(f"the mapped document has no object {field}", field=field, value=repr(value)[:80])
    return value


def number(document: Document, field: str, where: str = "") -> int:
    """Return an id, a number or a text that is one; raises DataError naming the field: it becomes part of a path."""
    value = str(document.get(field))
    if not (value.isascii() and value.isdecimal() and len(value) <= len(str(LARGEST_ID)) and 0 < int(value) <= LARGEST_ID):
        raise DataError(f"{where}{field} {value[:40]!r} is no id of Brightpearl", field=f"{where}{field}", value=value)
    return int(value)


def moment(document: Document, field: str) -> datetime:
    """Return a time, of UTC where it says no zone; raises DataError naming the field."""
    try:
        found = datetime.fromisoformat(text(document, field))
    except ValueError:
        raise DataError(f"{field} is no ISO 8601 time", field=field, value=repr(document.get(field))) from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


def zone(document: Document, field: str) -> ZoneInfo:
    """Return the time zone that the account keeps, UTC where none is named; raises DataError naming the field."""
    name = document.get(field) or "UTC"
    try:
        return ZoneInfo(str(name))
    except (OSError, ValueError, LookupError):
        raise DataError(f"{field} is no time zone such as Europe/London", field=field, value=repr(name)[:80]) from None


def address(document: Document, where: str = "") -> dict[str, object]:
    """Return a postal address as Brightpearl takes it: with a first line, and the country in three letters."""
    text(document, "addressLine1", where)
    code = str(document.get("countryIsoCode") or "").upper()
    country = ALPHA_3.get(code, code)
    if country not in ALPHA_3.values():
        raise DataError(f"{where}countryIsoCode {code[:40]!r} is no country of ISO 3166-1", field=f"{where}countryIsoCode", value=code)
    return {**document, "countryIsoCode": country}
