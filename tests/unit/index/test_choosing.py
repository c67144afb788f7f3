"""A choice that means nothing is told, and none means another dead letter than its author did."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Engine

from towpath.cli._dlq_mending import opened
from towpath.cli._letters import chosen, one
from towpath.codec import default_codec
from towpath.delivery.deadletters import Failure, Registrar, Subject
from towpath.errors import ConfigError
from towpath.records import Output, Record, Replay
from towpath.testing.events import an_order
from towpath.testing.index import index_records, of_event, placed

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
REGISTRAR = Registrar(default_codec(), "sink", "sink.erp", frozenset({"erp"}))


def failed(dead_letter_id: str, number: int, *, at: datetime = NOON) -> Output:
    record = Record("deliver.erp", 0, number, 0.0, b"k", b"v", Replay(dead_letter_id, 1, NOON, 0, "sink.erp").headers())
    return REGISTRAR.dead_letter(record, Failure("refused"), Subject("erp", f"shop/order/{number}"), at)[1]


def index(engine: Engine, *letters: Output) -> None:
    index_records(engine, [placed(letter, offset) for offset, letter in enumerate(letters)])


def test_an_orders_number_is_never_taken_for_the_beginning_of_an_id(engine: Engine) -> None:
    index(engine, failed("10019c3e-77", 7), failed("a8f3d210-01", 1001))
    with engine.begin() as connection:
        for number in ("", "1", "1001", "10019c3"):
            with pytest.raises(ConfigError, match="too little of an id"):
                one(connection, number)
        with pytest.raises(ConfigError, match=r"--where order=100190001$"):
            one(connection, "100190001")
        assert "shop/order/7" == one(connection, "10019c3e").told["business_key"]


@pytest.mark.parametrize(("limit", "expected"), [(None, [3, 1, 2]), (2, [3, 1]), (9, [3, 1, 2])])
def test_of_those_that_are_named_by_id_so_many_are_taken_the_oldest_first(engine: Engine, limit: int | None, expected: list[int]) -> None:
    ids = [f"a8f3d21{number}" for number in (1, 2, 3)]
    index(engine, *(failed(name, number, at=NOON + timedelta(minutes=number % 3)) for number, name in enumerate(ids, start=1)))
    indexer: Any = SimpleNamespace(transaction=engine.begin)
    assert [f"shop/order/{number}" for number in expected] == [one.told["business_key"] for one in opened(indexer, [*ids, ids[0]], limit=limit)]


@pytest.mark.parametrize(("order", "numbers"), [("A-77", [1001]), ("1002", [1001]), ("shop/order/1002", [1002]), ("1003", [1003]), ("A", [])])
def test_an_order_is_named_by_its_number_and_by_its_id_where_that_is_no_other_ones_number(engine: Engine, order: str, numbers: list[int]) -> None:
    told = [(1001, "A-77"), (1001, "1002"), (1002, "A-78"), (1003, "A-79")]  # the first was numbered anew
    events = [placed(of_event("OrderPlaced", an_order(number, order_number=named)), 10 + place) for place, (number, named) in enumerate(told)]
    a_product = REGISTRAR.dead_letter(Record("deliver.erp", 0, 9, 0.0, b"k", b"v"), Failure("refused"), Subject("erp", "shop/product/1003"), NOON)[1]
    index(engine, *(failed(f"letter-{number}", number) for number in (1001, 1002, 1003)), a_product)
    index_records(engine, events)
    with engine.begin() as connection:
        found = chosen(connection, [f"order={order}"], "", None)
    assert [f"shop/order/{number}" for number in numbers] == [letter.told["business_key"] for letter in found]


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("connection=epr", 'no dead letter has connection=epr; did you mean "erp"?\n'),
        ("state=open", "no dead letter has state=open; known: dead\n"),
        ("business_key=9", ""),
        ("order=9", ""),
        ("connection=erp", ""),
    ],
)
def test_a_value_that_none_has_is_told_and_one_that_none_has_now_is_not(
    engine: Engine, capsys: pytest.CaptureFixture[str], where: str, told: str
) -> None:
    index(engine, failed("a8f3d210-01", 1001), REGISTRAR.receipt("applied", Subject("erp"), NOON, dead_letter_id="a8f3d210-01"))
    with engine.begin() as connection:
        assert [] == chosen(connection, [where], "", None)
    assert told == capsys.readouterr().err


@pytest.mark.parametrize("name", ["order", "business_key", "reason"])
def test_an_empty_part_which_every_dead_letter_has_chooses_none(engine: Engine, name: str) -> None:
    index(engine, failed("10019c3e-77", 7))
    with engine.begin() as connection, pytest.raises(ConfigError, match=rf"^--where {name}=: "):
        chosen(connection, [f"{name}="], "", None)
