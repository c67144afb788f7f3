"""The figures of a run: each thing that is wrong shows under its own name, and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from towpath.demo.pairs import ALL, find_pair, find_pairs
from towpath.demo.play import Plan
from towpath.demo.proof import Proof, prove, together
from towpath.demo.report import ZERO, Told, summary, verdict
from towpath.demo.stores import Stores

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
ALONE, EVERY = find_pair("bng-nopcommerce"), find_pairs(ALL)
NAMES = ("bng-nop-shop/order/1001", "bng-mag-shop/order/1001", "bp-nop-shop/order/1001")
FAULTS = ("unavailable", "response_lost", "late_commit", "webhook_duplicate", "webhook_shuffle")
Rows = dict[str, list[dict[str, Any]]]


def shop(erp: str = "erp") -> Rows:
    """What a shop holds of one order that was paid and shipped; its number and its products are those of every shop."""
    order = {"id": 1001, "custom_order_number": "1001", "order_status_id": 30, "payment_status_id": 30, "customer_id": 101, "order_total": 12.5}
    return {
        "orders": [order],
        "webhooks": [{"type": "order.placed", "created_at": NOON.isoformat(), "body": json.dumps({"data": {"entityId": 1001}})}],
        "products": [{"sku": "A", "stock_quantity": 7}],
        "shipments": [{"id": 5, "admin_comment": f"by {erp}/shipment/SH1", "shipped_date_utc": NOON.isoformat()}],
        "shipment_items": [{"shipment_id": 5, "quantity": 2}],
        "mails": [{"shipment_id": 5}],
    }


def erp() -> Rows:
    """What its ERP holds of it."""
    told = {"ExternalOrderID": "SHOP-1001", "OrderStatus": 40, "PaymentStatus": "Paid", "Total": "12.50"}
    return {
        "sales_orders": [{**told, "_CreatedAt": (NOON + timedelta(seconds=1)).isoformat()}],
        "customers": [{"ExternalID": "SHOP-101"}],
        "inventory": [{"SKU": "A", "Available": 4}, {"SKU": "A", "Available": 3}],
        "shipments": [{"ShipmentID": "SH1", "Lines": [{"Quantity": 2}]}],
    }


def proven(change: Callable[[Rows, Rows], object] = lambda _shop, _erp: None, oversold: int = 0) -> Proof:
    at_shop, at_erp = shop(), erp()
    change(at_shop, at_erp)
    return prove(ALONE, Stores(at_shop, at_erp, oversold, dict.fromkeys(FAULTS, 1)))


def wrong(proof: Proof) -> dict[str, int]:
    """Return the figures of a run of one pair that must be 0 and are not."""
    found = summary(Plan("bng-nopcommerce", 1, 7, "mild"), [ALONE], [proof], Told([], {}, {"shop": []}))
    return {name: found[name] for name in ZERO if found[name]}


def every() -> list[Proof]:
    stores = [Stores(shop(pair.name("erp")), erp(), 0, dict.fromkeys(FAULTS, 1)) for pair in EVERY]
    return [prove(pair, one) for pair, one in zip(EVERY, stores, strict=True)]


def test_what_agrees_on_both_sides_is_wrong_nowhere() -> None:
    proof = proven()
    assert {} == wrong(proof)
    assert (1, 1, 1) == (proof.orders_placed, proof.orders_in_target, proof.shipments)
    assert {"p50": 1000.0, "p99": 1000.0} == proof.latency_ms
    assert 1.0 == proof.events_per_s
    assert {"p50": 250.0, "p99": 250.0} == proof.window({"shop/order/1001": NOON + timedelta(milliseconds=250), "other/order/1001": NOON})


@pytest.mark.parametrize(
    ("figures", "change"),
    [
        ({"duplicates": 1}, lambda _, there: there["sales_orders"].append({**there["sales_orders"][0]})),
        ({"duplicates": 1}, lambda _, there: there["customers"].append({**there["customers"][0]})),
        ({"duplicates": 1}, lambda here, _: here["shipments"].insert(0, {**here["shipments"][0], "id": 6})),
        ({"duplicates": 1}, lambda here, _: here["mails"].append({**here["mails"][0]})),
        ({"lost": 1}, lambda _, there: there["sales_orders"].clear()),
        ({"strays": 1}, lambda _, there: there["sales_orders"].append({**there["sales_orders"][0], "ExternalOrderID": "SHOP-9"})),
        ({"strays": 1}, lambda here, _: here["shipments"].append({**here["shipments"][0], "id": 6, "admin_comment": "by other-erp/shipment/SH1"})),
        ({"strays": 1}, lambda here, _: here["shipments"].append({**here["shipments"][0], "id": 6, "admin_comment": None})),
        ({"strays": 1, "shipments_missing": 1}, lambda here, _: here["shipments"][0].update(admin_comment="by other-erp/shipment/SH1")),
        ({"shipments_missing": 1}, lambda here, _: here["shipments"][0].update(shipped_date_utc=None)),
        ({"shipments_missing": 1}, lambda here, _: here["shipment_items"][0].update(quantity=1)),
        ({"stock_mismatches": 1}, lambda here, _: here["products"][0].update(stock_quantity=6)),
        ({"status_mismatches": 1}, lambda here, _: here["orders"][0].update(order_status_id=40)),
        ({"status_mismatches": 1}, lambda _, there: there["sales_orders"][0].update(PaymentStatus="Pending")),
        ({"total_mismatches": 1}, lambda _, there: there["sales_orders"][0].update(Total="12.51")),
    ],
)
def test_each_breach_shows_in_its_own_figure(figures: dict[str, int], change: Callable[[Rows, Rows], object]) -> None:
    assert figures == wrong(proven(change))


@pytest.mark.parametrize(("statuses", "twins"), [((40, 90), 1), ((90, 40), 1), ((40, 40), 0), ((90, 90), 0), ((40, 90, 90), 2)])
def test_a_twin_that_is_cancelled_is_told_apart_and_no_mismatch(statuses: tuple[int, ...], twins: int) -> None:
    def written_again(_: Rows, there: Rows) -> None:
        there["sales_orders"][:] = [{**there["sales_orders"][0], "OrderStatus": status, "PaymentStatus": "Paid"} for status in statuses]

    proof = proven(written_again)
    assert (len(statuses) - 1, twins) == (proof.duplicates, len(proof.cancelled_twins))
    assert (2 if statuses == (90, 90) else 0) == proof.status_mismatches


def test_what_was_sold_and_was_not_there_shows() -> None:
    assert {"oversold": 3} == wrong(proven(oversold=3))


def test_an_order_of_which_a_dead_letter_tells_is_not_lost() -> None:
    letter = {"connection": "erp", "business_key": "shop/order/1001", "state": "dead"}
    proof = proven(lambda _, there: there["sales_orders"].clear())
    found = summary(Plan("bng-nopcommerce", 1, 7, "none"), [ALONE], [proof], Told([letter], {}, {"shop": []}))
    assert (0, 1) == (found["lost"], found["dead_letters"])


def test_several_pairs_are_summed_and_each_has_its_own_figures() -> None:
    held = {name: NOON + timedelta(milliseconds=100 * (index + 1)) for index, name in enumerate(NAMES)}
    waits = {pair.name("shop"): [float(index)] for index, pair in enumerate(EVERY)}
    found = summary(Plan(ALL, 1, 7, "mild"), EVERY, every(), Told([], held, waits))
    assert (ALL, 3, 3, 3) == (found["pair"], found["orders_placed"], found["orders_in_target"], found["shipments"])
    assert {"orders": 1, "products": 1, "customers": 1} == found["shared_ids"]
    assert dict.fromkeys(FAULTS, 3) == found["faults_injected"]
    assert ({"p50": 200.0, "p99": 300.0}, {"p50": 1.0, "p99": 2.0}) == (found["oversell_window_ms"], found["stock_window_ms"])
    assert [100.0, 200.0, 300.0] == [found["pairs"][pair.label]["oversell_window_ms"]["p50"] for pair in EVERY]
    assert [1, 1, 1] == [found["pairs"][pair.label]["orders_placed"] for pair in EVERY]
    assert [] == verdict(found, "mild")


def test_what_is_wrong_with_one_of_several_pairs_is_told_with_its_name() -> None:
    proofs = every()
    proofs[1] = replace(proofs[1], missing=[NAMES[1]], faults=dict.fromkeys(FAULTS, 1) | {"late_commit": 0})
    letter = {"connection": "bp-nop-erp", "business_key": NAMES[1], "state": "dead"}
    found = summary(Plan(ALL, 1, 7, "mild"), EVERY, proofs, Told([letter], {}, {pair.name("shop"): [] for pair in EVERY}))
    assert ["bng-magento: lost: 1, must be 0", "bng-magento: the fault late_commit never happened, so this run proves nothing of it"] == verdict(
        found, "mild"
    )
    assert [0, 0, 1] == [found["pairs"][pair.label]["dead_letters"] for pair in EVERY]


def test_a_run_whose_ids_do_not_overlap_proves_nothing_of_that() -> None:
    proofs = every()
    proofs[2] = replace(proofs[2], ids={**proofs[2].ids, "products": {"B"}})
    assert {"orders": {"1001"}, "products": set(), "customers": {"101"}} == together(proofs).ids
    found = summary(Plan(ALL, 1, 7, "none"), EVERY, proofs, Told([], {}, {pair.name("shop"): [] for pair in EVERY}))
    assert ["no id of products is in every shop, so this run proves nothing of ids that overlap"] == verdict(found, "none")
