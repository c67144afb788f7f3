"""Failures of one cause are one group, with what they mean and commands that mend them; of another cause, another."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from towpath.index.groups import fingerprint, grouped, remedy

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def told(minute: int = 0, /, **changes: str) -> dict[str, Any]:
    """Return what is told of a dead letter that failed at first at noon, and last so many minutes later."""
    texts = {"connection": "erp", "error_class": "data", "field": "Lines[0].SKU", "mapping_version": "7d85", "hop": "sink", "state": "dead"}
    found = {**texts, "group": "sink.erp", "reason": f"unknown SKU {minute}", **changes}
    return {**found, "first_at": NOON, "last_at": NOON + timedelta(minutes=minute), "fingerprint": fingerprint(found)}


def test_the_lines_of_orders_are_one_field() -> None:
    assert fingerprint(told()) == fingerprint(told(field="Lines[12].SKU"))


@pytest.mark.parametrize("change", [{"connection": "erp-2"}, {"error_class": "bug"}, {"field": "Total"}, {"mapping_version": "8e96"}])
def test_another_connection_class_field_or_mapping_version_is_another_cause(change: dict[str, str]) -> None:
    assert fingerprint(told()) != fingerprint(told(**change))


def test_a_group_tells_how_many_since_when_until_when_and_the_newest_reason() -> None:
    large, small = grouped([told(3), told(9, field="Total"), told(7, field="Lines[2].SKU"), told(5)])
    assert (3, NOON, NOON + timedelta(minutes=7), "unknown SKU 7") == (large.letters, large.first_at, large.last_at, large.reason)
    assert ("Lines[].SKU", "7d85", 1, "Total") == (large.field, large.mapping_version, small.letters, small.field)
    assert f"`towpath dlq replay --where fingerprint={large.fingerprint}`" in large.remedy


@pytest.mark.parametrize(
    ("changes", "meaning", "command"),
    [
        ({}, "erp refuses what it is given (Lines[].SKU)", "`towpath dlq replay 3f2a --remap`"),
        ({"hop": "processor", "connection": "shop"}, "what shop told breaks a rule", "`towpath dlq edit 3f2a`"),
        ({"hop": "adapter", "connection": "shop"}, "cannot be read", "`towpath dlq edit 3f2a`"),
        ({"error_class": "bug"}, "Towpath itself failed", "`towpath dlq replay 3f2a`"),
        ({"state": "parked"}, "something that passes", "`towpath status`"),
        ({"hop": "spring"}, "none of Towpath's (sink.erp)", "`towpath dlq replay 3f2a`"),
        ({"field": "duplicate"}, "a customer is like one", "`towpath review merge`"),
    ],
)
def test_what_a_failure_means_and_the_command_that_mends_it_are_told(changes: dict[str, str], meaning: str, command: str) -> None:
    found = remedy(told(**changes), "3f2a")
    assert (True, True) == (meaning in found.meaning, command in found.remedy), found
