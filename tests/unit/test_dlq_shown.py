"""A dead letter can be shown and exported whatever its record holds: it may be dead for just that."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from towpath.cli.dlq import _whole
from towpath.codec import default_codec

TOLD: dict[str, Any] = {
    **dict.fromkeys(("reason", "flow", "business_key", "mapping_version"), ""),
    "dead_letter_id": "d15f75dc",
    "state": "dead",
    "connection": "shop",
    "hop": "adapter",
    "error_class": "data",
    "field": "id",
}


@pytest.mark.parametrize(
    ("value", "record", "text"),
    [
        (b'{"id": 1}', {"id": 1}, '{"id": 1}'),
        (b'{"id": 123456789012345678901234}', None, '{"id": 123456789012345678901234}'),
        (b'{"name": "\\ud83d"}', None, '{"name": "\\ud83d"}'),
        (b"[" * 300 + b"]" * 300, None, "[" * 300 + "]" * 300),
        (b"\xff", None, "hex:ff"),
    ],
    ids=["plain", "a number of 80 bits", "half a surrogate pair", "deep", "no text"],
)
def test_what_json_of_ours_cannot_hold_is_shown_as_its_bytes(value: bytes, record: object, text: str) -> None:
    original = {"dead_letter_id": "d15f75dc", "key": b"order/1", "value": value, "headers": [], "last_at": datetime(2026, 11, 20, tzinfo=UTC)}
    shown = orjson.loads(orjson.dumps(_whole(default_codec(), original, TOLD)))
    assert (record, text) == (shown["record"], shown["value"])
