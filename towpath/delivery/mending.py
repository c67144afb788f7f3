"""A record as a person reads and mends it: JSON text, and back to bytes that every hop accepts. No I/O."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final, get_args, get_origin, get_type_hints, is_typeddict

from towpath import events
from towpath.codec import Codec
from towpath.errors import DataError
from towpath.events import AGGREGATES, Event, decimal_text

STEP: Final = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
MARK: Final = "\ue000"
"""Stands around a fraction while the text is changed elsewhere, so that it stays as it was written."""
MENDABLE: Final = ("document", "related")
"""What of a delivery may be changed: the event in it, and where it goes, are facts."""


def readable(codec: Codec, value: bytes | None) -> Any:  # noqa: ANN401 - JSON
    """Return a record as JSON holds it (decimals and times as text), None for one that is neither Avro of ours nor JSON."""
    try:
        kind, record = codec.decode(value)
    except DataError:
        return _json(value or b"")
    plain = _plain(record)
    if kind == "Delivery":
        plain |= {"event": readable(codec, record["event"]), "document": _json(record["document"].encode())}
        plain["related"] = {name: _json(text.encode()) for name, text in record["related"].items()}
    return plain


def text_of(codec: Codec, value: bytes | None) -> str:
    """Return the text in which a record is mended; raises DataError for one that nobody can read."""
    found = readable(codec, value)
    if found is None or value is None:
        raise DataError("the record is neither Avro nor JSON, so it cannot be mended; discard it, and correct it where it comes from", field="value")
    return json.dumps(found, indent=2, ensure_ascii=False) if value[:1] == b"\0" else value.decode()


def mended(codec: Codec, value: bytes | None, text: str) -> bytes:
    """Return the record with the content of a text that was made by `text_of` and changed; raises DataError naming the field that is wrong.

    Of an event its meta stays, its digest too: it stands for what the source told, so that this told again is a duplicate of it. Of a
    delivery all stays but its document and what that refers to.
    """
    text_of(codec, value)
    try:
        content = json.loads(text.encode("utf-8", "replace"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"what was written is no JSON: {error}", field="value") from error
    if not isinstance(content, dict):
        raise DataError("what was written is no JSON object", field="value")
    if value is None or value[:1] != b"\0":
        return text.encode()
    kind, record = codec.decode(value)
    if kind == "Delivery":
        return codec.encode(kind, _delivery(record, content, readable(codec, value)))
    if kind not in AGGREGATES:
        raise DataError(f"{kind} is no event and no delivery, so it cannot be mended; discard it", field="value", value=kind)
    return codec.encode(kind, event_of_json(kind, {**content, "meta": _plain(record["meta"])}).value)


def with_values(text: str, assignments: list[str]) -> str:
    """Return a mended text with values put in, each as `lines[0].sku=A-7`; raises DataError naming the path that is not there."""
    content = json.loads(text, parse_float=lambda number: f"{MARK}{number}{MARK}")
    for assignment in assignments:
        path, equals, value = assignment.partition("=")
        steps = [name or int(index) for name, index in STEP.findall(path)]
        place: Any = content
        try:
            for step in steps[:-1]:
                place = place[step]
            before = place[steps[-1]]
        except (KeyError, IndexError, TypeError):
            raise DataError(f"--set {assignment}: there is no {path}; write path=value, such as lines[0].sku=A-7", field=path) from None
        if not equals:
            raise DataError(f"--set {assignment}: write path=value", field=path)
        is_text = isinstance(before, str) and not before.startswith(MARK)
        place[steps[-1]] = value if is_text else _json(value.encode(), value)
    return json.dumps(content, indent=2, ensure_ascii=False).replace(f'"{MARK}', "").replace(f'{MARK}"', "")


def event_of_json(kind: str, plain: Any) -> Event:  # noqa: ANN401 - parsed JSON
    """Return the event of a type that was written as JSON, with its decimals and times as text; raises DataError naming the field."""
    return Event(kind, _typed(plain, getattr(events, kind), kind))


def _delivery(record: Mapping[str, Any], content: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    if moved := [name for name in before if name not in MENDABLE and content.get(name) != before[name]]:
        raise DataError(f"{moved[0]} of a delivery cannot be mended, its document can; correct it where it comes from", field=moved[0])
    if not isinstance(content.get("document"), dict) or not isinstance(content.get("related"), dict):
        raise DataError("a delivery's document and related are JSON objects", field="document")
    related = {name: json.dumps(part, ensure_ascii=False) for name, part in content["related"].items()}
    return {**record, "document": json.dumps(content["document"], ensure_ascii=False), "related": related}


def _json(text: bytes, otherwise: Any = None) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return otherwise


def _plain(value: Any) -> Any:  # noqa: ANN401 - any part of a record
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if isinstance(value, bytes):
        return f"hex:{value.hex()}"
    if isinstance(value, Decimal):
        return decimal_text(value)
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value


def _typed(value: Any, shape: Any, where: str) -> Any:  # noqa: ANN401 - any part of an event and its type
    parts = [part for part in get_args(shape) if part is not type(None)]
    try:
        if get_origin(shape) is list:
            return [_typed(one, parts[0], f"{where}[{index}]") for index, one in enumerate(value)]
        if get_origin(shape) is dict:
            return {name: _typed(one, parts[1], f"{where}.{name}") for name, one in value.items()}
        if parts:
            return None if value is None else _typed(value, parts[0], where)
        if is_typeddict(shape):
            hints = get_type_hints(shape)
            if unknown := [name for name in value if name not in hints]:
                raise DataError(f"{where} has no {unknown[0]}", field=f"{where}.{unknown[0]}")
            return {name: _typed(one, hints[name], f"{where}.{name}") for name, one in value.items()}
        if shape is Decimal:
            return Decimal(value)
        return datetime.fromisoformat(value) if shape is datetime else value
    except (KeyError, TypeError, ValueError, AttributeError, InvalidOperation) as error:
        raise DataError(f"{where}: {type(error).__name__}: {error}", field=where, value=str(value)) from error
