from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from towpath.codec import default_codec
from towpath.delivery.deadletters import Failure, Registrar, Subject
from towpath.index.queries import Step, Xref, trace, unreadable_records, xrefs
from towpath.index.tables import metadata
from towpath.records import Output, Record, Replay
from towpath.testing.events import a_shipment, a_status, a_stock, an_order
from towpath.testing.index import index_records, of_event, placed

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
SINK = Registrar(default_codec(), "sink", "sink.erp", frozenset({"shop", "erp"}))
SOURCES = ("shop", "erp")


def inbox(connection: str, key: str, trace_number: int, *, at: float) -> Record:
    headers = [("towpath-kind", b"webhook"), ("webhook-id", b"wh_1"), ("traceparent", f"00-{trace_number:032x}-{7:016x}-01".encode())]
    return Record(f"inbox.{connection}", 0, int(at), at, key.encode(), b'{"email": "canary@shop.example"}', headers)


def delivered(number: int, external_id: str, *, operation: str = "create_order", target: str = "erp", minute: int = 0) -> Output:
    """Return the receipt of shop order `number`, written as `external_id`."""
    key = f"shop/order/{number}"
    subject = Subject(target, key, operation=operation, effect_key=key, trace_id=f"{number:032x}")
    return SINK.receipt("applied", subject, NOON + timedelta(minutes=minute), external_id=external_id)


def the_order() -> list[Record]:
    """Return the path of shop order 1001, whose number there is A-77, and what the ERP tells of it later; and another order."""
    failed = SINK.dead_letter(Record("deliver.erp", 0, 1, 0.0, b"k", b"v"), Failure("no SKU", field="SKU"), Subject("erp", "shop/order/1001"), NOON)[
        1
    ]
    return [
        inbox("shop", "order/1001", 1001, at=1),
        placed(of_event("OrderPlaced", an_order(1001, order_number="A-77")), 2, at=2),
        placed(failed, 3, at=3),
        placed(delivered(1001, "SO-5"), 4, at=4),
        inbox("erp", "shipment/SH-1", 1001, at=5),
        placed(of_event("ShipmentConfirmed", a_shipment(1001)), 6, at=6),
        placed(of_event("OrderStatusChanged", a_status(1001)), 7, at=7),
        inbox("shop", "order/1002", 1002, at=8),
        placed(of_event("OrderPlaced", an_order(1002)), 9, at=9),
        placed(delivered(1002, "SO-6"), 10, at=10),
    ]


def found(engine: Engine, text: str) -> list[Step]:
    with engine.begin() as connection:
        return trace(connection, text, SOURCES)


def crossed(engine: Engine, connection: str, text: str) -> list[Xref]:
    with engine.begin() as database:
        return xrefs(database, [connection], text, SOURCES)


@pytest.mark.parametrize("text", ["A-77", "1001", "shop/order/1001", "SO-5"])
def test_an_order_is_found_by_number_id_key_and_the_targets_id_with_all_that_was_told_of_it(engine: Engine, text: str) -> None:
    index_records(engine, the_order())
    expected = [
        ("inbox", "webhook"),
        ("adapter", "OrderPlaced"),
        ("sink", "dead"),
        ("sink", "applied"),
        ("inbox", "webhook"),
        ("adapter", "ShipmentConfirmed"),
        ("adapter", "OrderStatusChanged"),
    ]
    assert expected == [(step.hop, step.what) for step in found(engine, text)]


@pytest.mark.parametrize("text", ["", "1003", "shop", "SO-7", "order/1001"])
def test_nothing_is_found_by_what_names_no_order(engine: Engine, text: str) -> None:
    index_records(engine, the_order())
    assert [] == found(engine, text)


def test_a_step_says_when_where_and_why(engine: Engine) -> None:
    index_records(engine, the_order())
    steps = found(engine, "1001")
    assert datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC) == steps[0].at
    assert "wh_1 inbox.shop[0]@1" == steps[0].detail
    assert steps[2].detail.startswith("no SKU (field SKU, dead letter ")
    assert "create_order as SO-5 receipts[0]@4" == steps[3].detail
    assert steps[5].detail.startswith("shipment_id SH-1, from erp, event ")


def test_what_was_sent_again_says_so(engine: Engine) -> None:
    event = of_event("OrderPlaced", an_order(1001))
    again = event._replace(headers=Replay("one", 1, NOON, 1, "processor").headers())
    index_records(engine, [placed(event, 1, at=1), placed(again, 2, at=2)])
    assert [False, True] == [step.detail.startswith("sent again, from shop, event ") for step in found(engine, "1001")]


def test_a_shops_own_order_id_comes_before_an_equal_id_at_a_target(engine: Engine) -> None:
    index_records(engine, [*the_order(), placed(delivered(1001, "1002", operation="create_shipment", target="shop"), 11)])
    assert {"shop/order/1002"} == {step.key for step in found(engine, "1002")}


def test_steps_of_the_same_moment_stand_in_the_order_of_the_path(engine: Engine) -> None:
    records = [
        placed(delivered(1001, "SO-5"), at=1),
        placed(of_event("OrderPlaced", an_order(1001)), at=1),
        inbox("shop", "order/1001", 1001, at=1),
    ]
    index_records(engine, records)
    assert ["inbox", "adapter", "sink"] == [step.hop for step in found(engine, "1001")]


def test_indexing_again_changes_nothing(engine: Engine) -> None:
    index_records(engine, the_order())
    before = found(engine, "1001"), crossed(engine, "erp", "SO-5")
    index_records(engine, reversed(the_order()))
    assert before == (found(engine, "1001"), crossed(engine, "erp", "SO-5"))


@pytest.mark.parametrize(
    ("connection", "text"),
    [("erp", "SO-5"), ("erp", "shop/order/1001"), ("erp", "1001"), ("shop", "1001"), ("shop", "order/1001"), ("shop", "A-77"), ("erp", "A-77")],
)
def test_a_cross_reference_is_found_from_both_ends(engine: Engine, connection: str, text: str) -> None:
    index_records(engine, the_order())
    assert [("erp", "SO-5", "create_order", "shop/order/1001")] == [one[:4] for one in crossed(engine, connection, text)]


@pytest.mark.parametrize(
    ("connection", "text"), [("shop", "17"), ("erp", "C-4"), ("other", "88"), ("erp", "shop/customer/17"), ("shop", "customer/17")]
)
def test_what_is_no_order_is_found_from_both_ends_and_at_every_other_target(engine: Engine, connection: str, text: str) -> None:
    about = {"operation": "create_customer", "effect_key": "shop/customer/17"}
    told = [SINK.receipt("applied", Subject(at, "shop/order/1001", **about), NOON, external_id=one) for at, one in (("erp", "C-4"), ("other", "88"))]
    index_records(engine, [placed(one, number) for number, one in enumerate(told)])
    expected = {("erp", "C-4"), ("other", "88")} if text != "shop/customer/17" else {("erp", "C-4")}
    assert expected == {(one.connection, one.external_id) for one in crossed(engine, connection, text)}


def test_a_record_that_was_written_again_has_both_ids_the_newest_first(engine: Engine) -> None:
    index_records(engine, [placed(delivered(1001, "SO-9", minute=5), 1), placed(delivered(1001, "SO-5"), 2)])
    assert ["SO-9", "SO-5"] == [one.external_id for one in crossed(engine, "shop", "1001")]


def test_an_id_is_looked_up_at_its_own_connection(engine: Engine) -> None:
    index_records(engine, the_order())
    assert [] == crossed(engine, "shop", "SO-5")


def forged(**changes: Any) -> Record:  # noqa: ANN401 - any field of a receipt
    value = default_codec().decode_as("Receipt", delivered(1001, "SO-5").value) | changes
    return Record("receipts", 9, 1, 1e30, b"\xff\x00", default_codec().encode("Receipt", value))


@pytest.mark.parametrize(
    "record",
    [
        forged(external_id="\0" * 5000, key="ключ" * 5000),
        forged(key="x", hop="\ufffd" * 500, outcome="x" * 5000, dead_letter_id="\0", at=datetime.max.replace(tzinfo=UTC)),
        Record("receipts", 9, 1, float(-1), b"\xff" * 9000, b"poison"),
        Record("received.orders", 3, 1 << 62, 0.0, None, None),
        Record("inbox.shop", 9, 1, 0.0, b"order/\0" + b"9" * 9000, None, [("traceparent", b"00-"), ("towpath-kind", b"\0" * 900)]),
    ],
)
def test_a_forged_record_is_no_reason_to_stop(engine: Engine, record: Record) -> None:
    index_records(engine, [record, *the_order()])
    assert 7 == len(found(engine, "A-77"))


def test_what_cannot_be_decoded_is_counted_and_told_of_under_its_key(engine: Engine) -> None:
    index_records(engine, [Record("received.orders", 0, 1, 1.0, b"shop/order/9", b"poison"), *the_order()])
    assert [("received", "unreadable", "received.orders[0]@1")] == [step[1:4] for step in found(engine, "9")]
    with engine.begin() as connection:
        assert 1 == unreadable_records(connection)


def test_no_personal_data_reaches_the_index(engine: Engine) -> None:
    canary = "canary@shop.example"
    failed = Failure("the e-mail address is not valid", field="customer_email", value=canary)
    letter = SINK.dead_letter(Record("deliver.erp", 0, 1, 0.0, b"k", canary.encode()), failed, Subject("erp", "shop/order/1001"), NOON)[1]
    order = an_order(1001, customer_email=canary, customer_last_name=canary)
    index_records(engine, [inbox("shop", "order/1001", 1, at=1), placed(of_event("OrderPlaced", order)), placed(letter)])
    with engine.begin() as connection:
        rows = [str(tuple(row)) for table in metadata.sorted_tables for row in connection.execute(sa.select(table))]
    assert len(rows) >= 4
    assert [] == [row for row in rows if "canary" in row]


def test_stock_is_traced_by_its_key_and_told_with_its_place(engine: Engine) -> None:
    index_records(engine, [placed(of_event("StockChanged", a_stock("TP-0001", location="NORTH")))])
    (step,) = found(engine, "erp/stock/TP-0001")
    assert step.detail.startswith("location NORTH, from erp, event ")
