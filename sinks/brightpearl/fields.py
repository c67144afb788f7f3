"""Fields of mapped documents, checked before they become a path, a search or a row."""

from __future__ import annotations

from typing import Final

from sinks.base import Document
from towpath.errors import DataError
from towpath.systems.brightpearl import LARGEST_ID

LONGEST: Final = 200


def text(document: Document, field: str, where: str = "") -> str:
    """Return a text that is there; raises DataError naming the field."""
    value = document.get(field)
    if not isinstance(value, str) or not value.strip() or len(value) > LONGEST or not value.isprintable():
        raise DataError(f"the mapped document has no {where}{field}", field=f"{where}{field}", value=repr(value))
    return value


def number(document: Document, field: str, where: str = "") -> int:
    """Return an id, a number or a text that is one; raises DataError naming the field: it becomes part of a path."""
    value = str(document.get(field))
    if not (value.isascii() and value.isdecimal() and len(value) <= len(str(LARGEST_ID)) and 0 < int(value) <= LARGEST_ID):
        raise DataError(f"{where}{field} {value[:40]!r} is no id of Brightpearl", field=f"{where}{field}", value=value)
    return int(value)
