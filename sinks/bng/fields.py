"""Reading BNG's records and the documents that become them."""

from __future__ import annotations

from datetime import UTC, datetime

from sinks.base import Document, Standing
from towpath.errors import DataError
from towpath.systems.bng import Record


def reference(document: Document, field: str) -> str:
    """Return what a record is looked up by; without one, every record of BNG would be found."""
    value = document.get(field)
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"the mapped document has no {field}", field=field, value=repr(value))
    return value


def standing(field: str, record: Record) -> Standing:
    """Return the id of a record, and its last change: for a new order, when it took its stock."""
    return Standing(record[field], moment(record, "UpdatedAt"))


def moment(record: Record, field: str) -> datetime | None:
    """Return a time of a record, None where it has none."""
    try:
        at = datetime.fromisoformat(str(record.get(field)))
    except ValueError:
        return None
    return at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC)
