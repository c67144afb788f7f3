from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from towpath.chaos.checker import check
from towpath.chaos.evidence import Asked, Evidence, Fact, Letter
from towpath.chaos.fault import BOUNDS, INVARIANTS
from towpath.demo.proof import Proof
from towpath.records import ATTEMPTS, Record

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
PROOF = Proof(
    orders_placed=1,
    orders_in_target=1,
    duplicates=0,
    cancelled_twins=[],
    missing=[],
    strays=0,
    oversold=0,
    stock_mismatches=0,
    shipments=1,
    shipments_missing=0,
    status_mismatches=0,
    total_mismatches=0,
    faults={},
    announced={},
    arrived={},
    ids={},
)
ORDER = Fact("OrderPlaced", "shop/order/1001", "shop/order/1001", (1, 0), "d1", ("received.orders", 0, 0))
STOCK = Fact("StockChanged", "erp/stock/A|MAIN", "erp/stock/A", (1, 0), "d1", ("received.stock", 0, 0))


def asked(event_id: str, version: int, offset: int, operation: str = "set_stock") -> Asked:
    row = {"target": "shop", "operation": operation, "effect_key": "A", "event_id": event_id, "version": {"major": version, "minor": 0}}
    return Asked(row, ("deliver.shop", 0, offset))


def receipt(event_id: str, outcome: str = "applied", external_id: str = "1") -> dict[str, Any]:
    told = {"hop": "sink", "connection": "shop", "operation": "set_stock", "effect_key": "A"}
    return {**told, "event_id": event_id, "outcome": outcome, "external_id": external_id}


def letter(**more: object) -> Letter:
    place = {"topic": "received.orders", "partition": 0, "offset": 5, "key": b"k", "value": b"v"}
    place["headers"] = [{"name": "ce_source", "value": b"shop"}]
    told = {"dead_letter_id": "l1", "error_class": "data", "reason": "why", "group": "processor", "attempts": 1, "first_at": NOON, "last_at": NOON}
    told |= {"state": "parked", "business_key": "shop/order/1001", "connection": "erp"}
    return Letter({**place, **told, **more}, Record("received.orders", 0, 5, 0.0, b"k", b"v", [("ce_source", b"shop"), (ATTEMPTS, b"2")]))


GOOD = Evidence(
    accepted={"shop": frozenset({"w1"})},
    stored={"shop": frozenset({"w1", "w2"})},
    received=[ORDER, STOCK],
    unreadable=[],
    public=[ORDER, STOCK],
    deliveries=[asked("e1", 1, 0), asked("e2", 2, 1)],
    receipts=[receipt("e1"), receipt("e1"), receipt("e2")],
    letters=[letter()],
    open_letters=[],
    proof=PROOF,
    lag={"processor": 0},
)
OPEN = {"dead_letter_id": "l2", "state": "dead", "business_key": "shop/order/1001", "connection": "erp", "reason": "why"}


def broken(evidence: Evidence, recovery_s: float | None = 1.0, *, letters: bool = False) -> dict[str, int]:
    """Return how often each invariant is found broken, of those that are."""
    return {name: len(found) for name, found in check(evidence, recovery_s, letters=letters).items() if found}


def test_what_is_whole_breaks_nothing() -> None:
    assert {} == broken(GOOD)
    assert [*INVARIANTS, BOUNDS] == list(check(GOOD, 60.0, letters=False))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("I1", {"stored": {"shop": frozenset[str]()}}),
        ("I1", {"proof": replace(PROOF, missing=["shop/order/1001"])}),
        ("I1", {"proof": replace(PROOF, shipments_missing=1)}),
        ("I1", {"public": [STOCK]}),
        ("I1", {"received": [ORDER, STOCK, STOCK._replace(version=(2, 0), digest="d2")]}),
        ("I1", {"unreadable": [("received.stock", 3, 7)]}),
        ("I1", {"receipts": [receipt("e1")]}),
        ("I2", {"proof": replace(PROOF, duplicates=1)}),
        ("I2", {"receipts": [receipt("e1"), receipt("e2", external_id="2")]}),
        ("I3", {"receipts": [receipt("e2"), receipt("e1")]}),
        ("I3", {"proof": replace(PROOF, stock_mismatches=1)}),
        ("I3", {"proof": replace(PROOF, status_mismatches=1)}),
        ("I3", {"proof": replace(PROOF, total_mismatches=1)}),
        ("I4", {"proof": replace(PROOF, strays=1)}),
        ("I4", {"lag": {"processor": 1}}),
        ("I4", {"receipts": [*GOOD.receipts, receipt("e3")]}),
        ("I4", {"public": [*GOOD.public, ORDER._replace(identity="shop/order/9")]}),
        ("I5", {"letters": [letter(value=b"changed")]}),
        ("I5", {"letters": [letter()._replace(original=None)]}),
        ("I5", {"letters": [letter(headers=[])]}),
        ("I5", {"illegible": [("dlq.shop", 0, 3)]}),
        ("I5", {"letters": [letter(reason="")]}),
        ("I5", {"letters": [letter(first_at=NOON + timedelta(seconds=1))]}),
        (BOUNDS, {"open_letters": [OPEN]}),
        (BOUNDS, {"letters": [letter(state="dead")]}),
    ],
)
def test_each_breach_is_found_under_its_own_name(name: str, change: dict[str, Any]) -> None:
    assert {name: 1} == broken(replace(GOOD, **change))


@pytest.mark.parametrize("recovery", [None, 60.1])
def test_recovery_that_is_slow_or_never_comes_is_a_breach(recovery: float | None) -> None:
    assert {"I6": 1} == broken(GOOD, recovery)


def test_what_a_dead_letter_tells_of_is_not_lost() -> None:
    dead: dict[str, Any] = {
        "letters": [
            letter(offset=0),
            letter(topic="deliver.shop", offset=1)._replace(original=Record("deliver.shop", 0, 1, 0.0, b"k", b"v", [("ce_source", b"shop")])),
        ]
    }
    assert {} == broken(replace(GOOD, **dead, public=[STOCK], receipts=[receipt("e1")]))
    missing = replace(GOOD, proof=replace(PROOF, missing=["shop/order/1001"]), open_letters=[OPEN])
    assert {} == broken(missing, letters=True)


def test_a_state_that_came_again_may_be_public_under_an_earlier_version() -> None:
    assert {} == broken(replace(GOOD, received=[ORDER, STOCK, STOCK._replace(version=(5, 0))]))


@pytest.mark.parametrize(
    ("twice", "cancelled", "counted", "wrong"), [(1, 1, 1, 0), (2, 2, 3, 0), (1, 1, 0, 1), (1, 0, 1, 1), (2, 1, 2, 1), (2, 2, 1, 1)]
)
def test_what_stands_twice_is_forgiven_where_its_twin_is_cancelled_and_counted(twice: int, cancelled: int, counted: int, wrong: int) -> None:
    found = replace(GOOD, proof=replace(PROOF, duplicates=twice, cancelled_twins=["SO1"] * cancelled), twins_counted=counted)
    assert wrong == len(check(found, 1.0, letters=False)["I2"])


def test_what_was_superseded_needs_no_order() -> None:
    assert {} == broken(replace(GOOD, receipts=[receipt("e2"), receipt("e1", "superseded")]))
