"""Reading what a system sent, strictly: JSON without tricks, exact numbers, times as UTC; what is wrong is a DataError that names the field."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from towpath.errors import DataError

Json = Mapping[str, Any]
SIX_PLACES: Final = Decimal("0.000001")
_COLON: Final = re.compile(r"\s*:\s*")


def parse(payload: bytes) -> dict[str, Any]:
    """Return a JSON object with its fractions as Decimals; raises DataError when it is none, or says one name twice."""
    try:
        content = json.loads(payload, parse_float=Decimal, parse_constant=_no_number, object_pairs_hook=_once)
    except (ValueError, RecursionError, InvalidOperation) as error:
        raise DataError(f"the record is not JSON: {type(error).__name__}: {error}", field="body") from error
    if not isinstance(content, dict):
        raise DataError("the record is no JSON object", field="body")
    return content


def text_of(payload: bytes) -> str:
    """Return the text of what `parse` accepts, whose numbers stay as they were written; raises DataError."""
    parse(payload)
    try:
        return payload.decode(json.detect_encoding(payload))
    except UnicodeError as error:
        raise DataError(f"the record is not text: {error}", field="body") from error


def member(text: str, name: str) -> str:
    """Return the JSON text of one member of an object that `parse` accepts, as it was written; empty where there is none."""
    decoder, at = json.JSONDecoder(), 0
    while (at := text.find('"', at)) >= 0:
        found, colon = decoder.raw_decode(text, at)
        start = _COLON.match(text, colon).end()  # type: ignore[union-attr]  # `parse` has seen one
        _, at = decoder.raw_decode(text, start)
        if found == name:
            return text[start:at]
    return ""


def joined(**parts: str) -> str:
    """Return one JSON object of parts that are JSON text already."""
    return "{" + ",".join(f'"{name}":{text}' for name, text in parts.items()) + "}"


def part(bundle: Json, name: str) -> dict[str, Any]:
    """Return an object inside a record; raises DataError where there is none."""
    found = bundle.get(name)
    if not isinstance(found, dict):
        raise DataError(f"the record has no object `{name}`", field=name)
    return found


def text(record: Json, field: str) -> str:
    """Return what a field says as a text, empty where it says nothing."""
    value = record.get(field)
    return "" if value is None else str(value)


def rows(record: Json, field: str) -> list[dict[str, Any]]:
    """Return the objects of a list, none where there is no list; raises DataError for what is no list of objects."""
    found = record.get(field)
    if found is not None and (not isinstance(found, list) or not all(isinstance(row, dict) for row in found)):
        raise DataError(f"{field} is no list of objects", field=field, value=repr(found)[:80])
    return found or []


def amount(record: Json, field: str, missing: Decimal | None = None, where: str = "") -> Decimal:
    """Return a number, or a text that is one, exact, `missing` where it is unset; raises DataError naming it, after `where` it stands."""
    value = record.get(field)
    found = decimal_of(missing if value is None else value)
    if found is None:
        raise DataError(f"{where}{field} is no amount", field=f"{where}{field}", value=str(value))
    return found


def decimal_of(value: object, places: Decimal = SIX_PLACES) -> Decimal | None:
    """Return a number, or a text that is one, as a Decimal of so many places; None for what is none, or one beyond 22 digits."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        return None
    try:
        number = Decimal(value)
        return number.quantize(places) if number.is_finite() else None
    except InvalidOperation:
        return None


def moment(record: Json, field: str) -> datetime:
    """Return an ISO 8601 time, which is UTC where it names no zone; raises DataError for what is none."""
    value = record.get(field)
    try:
        if not isinstance(value, str):
            raise ValueError(value)  # noqa: TRY004, TRY301 - one error for all that is no time
        parsed = datetime.fromisoformat(value)
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise DataError(f"{field} is no ISO 8601 time", field=field, value=str(value)) from error


def _no_number(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return found
