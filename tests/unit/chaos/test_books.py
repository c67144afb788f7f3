"""The books of each hop: one record of a chain that ends nowhere is found, whatever else stands there."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.chaos.test_checker import GOOD, PROOF, broken, letter, receipt
from towpath.chaos.books import out_of_balance, unadapted, unprocessed, unrouted
from towpath.chaos.evidence import Asked, Evidence, Fact, Kind, Stored
from towpath.records import Record

ROW = {"id": 7, "order_status_id": 20}
NAMED = b'{"type": "order.updated", "data": {"entity": "order", "entityId": 7}}'


def stored(offset: int, kind: str, trace: str, *, connection: str = "shop", key: str = "order/7", content: bytes = NAMED, **more: Any) -> Stored:  # noqa: ANN401
    return Stored(connection, kind, key, more.pop("webhook_id", f"w{offset}"), trace, content, (f"inbox.{connection}", 0, offset), **more)


def fetched(offset: int, trace: str, **more: Any) -> Stored:  # noqa: ANN401 - passed on
    return stored(offset, Kind.FETCHED, trace, content=json.dumps({"order": ROW}).encode(), **more)


def fact(offset: int, version: tuple[int, int], digest: str, trace: str = "t", connection: str = "shop", **more: Any) -> Fact:  # noqa: ANN401
    kind, identity = more.pop("type", "OrderStatusChanged"), f"{connection}/order/7"
    return Fact(kind, identity, identity, version, digest, ("received.orders", 0, offset), f"e{digest}", connection, trace, **more)


SHOP_INBOX = [
    stored(0, Kind.WEBHOOK, "t1"),
    stored(1, Kind.WEBHOOK, "t2"),
    fetched(2, "t2"),
    stored(3, Kind.POLLED, "t3", content=json.dumps(ROW).encode()),
]
ERP_INBOX = [stored(0, Kind.WEBHOOK, "t4", connection="erp"), stored(1, Kind.WEBHOOK, "t5", connection="erp")]
ERP_INBOX += [fetched(2, "t4", connection="erp"), fetched(3, "t5", connection="erp")]
TOLD = [fact(0, (5, 2), "a", "t2"), fact(1, (1, 0), "b", "t4", "erp"), fact(2, (2, 0), "c", "t5", "erp")]
WHOLE = replace(GOOD, received=TOLD, public=TOLD, inbox=[*SHOP_INBOX, *ERP_INBOX])


def without(evidence: Evidence, dropped: Stored) -> Evidence:
    return replace(evidence, inbox=[one for one in evidence.inbox if one != dropped])


def test_a_chain_that_is_whole_balances() -> None:
    """A webhook that a later one made needless, a row that says what was fetched, and the rest: fetched, decoded, published."""
    assert [] == list(out_of_balance(WHOLE))
    assert {} == broken(WHOLE)


@pytest.mark.parametrize("lost", [SHOP_INBOX[2], ERP_INBOX[2], ERP_INBOX[3]])
def test_an_adapter_that_silently_drops_one_webhook_is_found(lost: Stored) -> None:
    received = [one for one in TOLD if one.trace != lost.trace]
    found = without(replace(WHOLE, received=received, public=received), lost)
    assert any(f"{Kind.WEBHOOK} order/7" in why and "neither fetched" in why for why in unadapted(found))
    assert "I4" in broken(found)


@pytest.mark.parametrize("lost", TOLD)
def test_an_adapter_that_silently_drops_one_fetched_record_is_found(lost: Fact) -> None:
    left = [one for one in TOLD if one != lost]
    assert 1 == len(list(unadapted(replace(WHOLE, received=left, public=left))))


def test_a_row_of_a_list_that_says_something_else_than_what_was_fetched_and_was_not_fetched_is_found() -> None:
    news = SHOP_INBOX[3]._replace(content=json.dumps(ROW | {"order_status_id": 30}).encode())
    assert 1 == len(list(unadapted(replace(WHOLE, inbox=[*SHOP_INBOX[:3], news]))))


def test_a_webhook_of_the_erp_carries_what_it_tells_and_no_later_one_does_for_it() -> None:
    later = [*ERP_INBOX, stored(4, Kind.WEBHOOK, "t6", connection="erp"), stored(5, Kind.WEBHOOK, "t5", connection="erp")]
    assert ["('inbox.erp', 0, 4)", "('inbox.erp', 0, 5)"] == [
        why.partition(" at ")[2].partition(" was ")[0] for why in unadapted(replace(WHOLE, inbox=later))
    ]


@pytest.mark.parametrize(
    "explained",
    [
        {"letters": [letter(topic="inbox.erp", offset=9)]},
        {"one": stored(9, Kind.WEBHOOK, "t9", connection="erp", replayed=True)},
        {"one": stored(9, Kind.WEBHOOK, "t9", connection="erp", key="evt_1", webhook_id="evt_1", content=b'{"type": "nothing"}')},
        {"one": stored(9, Kind.WEBHOOK, "t9", connection="erp", key="sales_order/SO9"), "proof": replace(PROOF, cancelled_twins=["SO9"])},
        {"one": stored(9, Kind.POLLED, "t9", connection="erp", key="sales_order/SO9"), "proof": replace(PROOF, cancelled_twins=["SO9"])},
    ],
)
def test_what_is_dead_or_replayed_or_names_nothing_or_a_twin_is_explained(explained: dict[str, Any]) -> None:
    one = explained.pop("one", stored(9, Kind.WEBHOOK, "t9", connection="erp"))
    assert [] == list(unadapted(replace(WHOLE, inbox=[*WHOLE.inbox, one], **explained)))
    assert 1 == len(list(unadapted(replace(WHOLE, inbox=[*WHOLE.inbox, stored(9, Kind.WEBHOOK, "t9", connection="erp")]))))


def test_a_webhook_that_cannot_be_read_and_is_no_dead_letter_is_found() -> None:
    unread = stored(9, Kind.WEBHOOK, "t9", connection="erp", key="evt_1", webhook_id="evt_1", content=b"\xff")
    assert 1 == len(list(unadapted(replace(WHOLE, inbox=[*WHOLE.inbox, unread]))))


# --- the processor

NEWS = [fact(0, (1, 0), "a"), fact(1, (2, 0), "b"), fact(2, (3, 0), "c")]
AGAIN = [*NEWS, fact(3, (3, 0), "c"), fact(4, (1, 0), "a"), fact(5, (4, 0), "c"), fact(6, (5, 0), "b", replayed=True)]
"""Beside what is new: a duplicate, what is superseded, the same under a later version, and a replay."""


def test_a_processor_that_publishes_all_that_is_new_balances() -> None:
    assert [] == list(unprocessed(replace(WHOLE, received=AGAIN, public=NEWS)))


@pytest.mark.parametrize("lost", NEWS)
def test_a_processor_that_silently_drops_one_event_is_found_though_a_newer_one_is_public(lost: Fact) -> None:
    found = replace(WHOLE, inbox=[], received=AGAIN, public=[one for one in NEWS if one != lost])
    assert [lost] == list(unprocessed(found))
    assert "I4" in broken(found) or "I1" in broken(found), "the newest is what I1 says is lost"
    dead = letter(offset=lost.place[2])._replace(original=Record(*lost.place, 0.0, b"k", b"v", [("ce_source", b"shop")]))
    assert [] == list(unprocessed(replace(found, letters=[dead])))


def test_what_went_back_to_what_it_was_is_new_again() -> None:
    back = [fact(0, (1, 0), "a"), fact(1, (2, 0), "b"), fact(2, (3, 0), "a")]
    assert [back[2]] == list(unprocessed(replace(WHOLE, received=back, public=back[:2])))


def test_an_order_is_published_once_and_what_is_told_of_it_again_may_be_a_change_or_nothing() -> None:
    placed = [fact(offset, (offset, 0), digest, type="OrderPlaced") for offset, digest in enumerate("aab")]
    assert [] == list(unprocessed(replace(WHOLE, received=placed, public=placed[:1])))
    assert [placed[0]] == list(unprocessed(replace(WHOLE, received=placed[:1], public=[])))


@pytest.mark.parametrize(
    ("kind", "flows", "asked", "wrong"), [("OrderPlaced", 1, 0, 1), ("OrderPlaced", 1, 1, 0), ("OrderPlaced", 0, 0, 0), ("StockChanged", 1, 0, 0)]
)
def test_an_order_that_is_public_and_of_which_no_delivery_was_made_is_found(kind: str, flows: int, asked: int, wrong: int) -> None:
    public = [fact(0, (1, 0), "a", type=kind)]
    deliveries = [Asked({"event_id": "ea"}, ("deliver.erp", 0, 0))] * asked
    found = replace(WHOLE, received=public, public=public, deliveries=deliveries, flows=frozenset([("shop", kind)] * flows))
    assert wrong == len(list(unrouted(found)))


# --- the sinks


def test_a_sink_that_silently_drops_one_of_two_deliveries_of_an_effect_is_found() -> None:
    twice = [*GOOD.deliveries, GOOD.deliveries[1]._replace(place=("deliver.shop", 0, 2))]
    assert {"I4": 1} == broken(replace(GOOD, deliveries=twice))
    assert {} == broken(replace(GOOD, deliveries=twice, receipts=[*GOOD.receipts, receipt("e2", "unchanged")]))
    assert {} == broken(replace(GOOD, deliveries=[*GOOD.deliveries, twice[2]._replace(replayed=True)]))
