"""A processor that was killed reads counts and holds again in another turn; the shop ends with the last number all the same."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from processors.flow_processor import FlowProcessor
from processors.mapping import load_model
from processors.routing import Route
from processors.stock import DROPPED, HELD, RETURNING, STANDING, Shelf
from processors.stockroom import HOLDS
from towpath.clock import SystemClock
from towpath.codec import default_codec
from towpath.delivery.deadletters import Registrar
from towpath.events import Event, StockHold
from towpath.records import Record
from towpath.testing.events import PLACED_AT, a_stock

CODEC = default_codec()
ROUTE = Route("stock", "erp", "shop", "StockChanged", load_model("bng-nopcommerce/stock_changed"), "")


class TickingClock(SystemClock):
    """A clock that is a millisecond later whenever it is read."""

    def __init__(self) -> None:
        self._now = PLACED_AT + timedelta(hours=1)

    def now(self) -> datetime:
        self._now += timedelta(milliseconds=1)
        return self._now


def counted(available: int, offset: int) -> Record:
    stock = a_stock(available=available, sequence=offset + 1)
    stock["meta"]["occurred_at"] = PLACED_AT + timedelta(seconds=offset)
    return Record("received.stock", 0, offset, PLACED_AT.timestamp() + offset, b"erp/stock/TP-0001", CODEC.encode("StockChanged", stock))


def held(quantity: int, offset: int, state: str = HELD, order: int | None = None) -> Record:
    hold: StockHold = {
        "connection": "erp", "sku": "TP-0001", "order_key": f"shop/order/{offset if order is None else order}", "quantity": Decimal(quantity),
        "state": state, "standing_at": None, "at": PLACED_AT,
    }  # fmt: skip
    return Record(HOLDS, 0, offset, PLACED_AT.timestamp() + offset + 0.5, b"erp/stock/TP-0001", CODEC.encode("StockHold", hold))


def turns(counts: Sequence[Record], holds: Sequence[Record], holds_first: Sequence[bool]) -> list[Record]:
    """Return the records of both topics, each in its order, in turns."""
    counts, holds, found = list(counts), list(holds), []
    for first in holds_first:
        if chosen := (holds if first else counts) or counts or holds:
            found += [chosen.pop(0)]
    return [*found, *counts, *holds]


@settings(max_examples=150)
@given(
    available=st.lists(st.integers(0, 30), min_size=1, max_size=4),
    quantities=st.lists(st.integers(1, 5), max_size=4),
    first=st.lists(st.booleans(), max_size=8),
    second=st.lists(st.booleans(), max_size=8),
    killed_after=st.integers(0, 8),
    state_after=st.integers(0, 8),
)
def test_the_newest_version_has_the_last_number(
    available: list[int], quantities: list[int], first: list[bool], second: list[bool], killed_after: int, state_after: int
) -> None:
    processor = FlowProcessor([ROUTE], Registrar(CODEC, "processor", "processor", frozenset({"erp", "shop"})), TickingClock())
    counts = [counted(number, offset) for offset, number in enumerate(available)]
    holds = [held(quantity, offset) for offset, quantity in enumerate(quantities)]
    told: list[tuple[int, Decimal]] = []

    def process(record: Record, state: dict[bytes, bytes]) -> None:
        step = processor.process(record, state.get)
        state.update(step.writes)
        for output in step.outputs:
            if output.topic == "deliver.shop":
                delivery = Event(*CODEC.decode(output.value)).value
                told.append((delivery["version"]["major"], Decimal(json.loads(delivery["document"])["StockQuantity"])))

    before, state, kept = turns(counts, holds, first)[:killed_after], dict[bytes, bytes](), dict[bytes, bytes]()
    read: list[Record] = []
    for number, record in enumerate(before):
        process(record, state)
        if number < state_after:
            kept, read = dict(state), before[: number + 1]
    for record in turns([one for one in counts if one not in read], [one for one in holds if one not in read], second):
        process(record, kept)
    last = Shelf.load(kept[b"shelf|erp|TP-0001"]).sellable
    assert max(Decimal(0), last) == max(told)[1]
    assert len({version for version, _ in told}) == len(told)


@given(
    quantities=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    ends=st.lists(st.sampled_from([STANDING, RETURNING, DROPPED]), max_size=4),
    committed=st.integers(0, 4),
    written=st.integers(0, 12),
)
def test_holds_of_which_a_crash_tore_what_was_written_count_once(quantities: list[int], ends: list[str], committed: int, written: int) -> None:
    processor = FlowProcessor([ROUTE], Registrar(CODEC, "processor", "processor", frozenset({"erp", "shop"})), TickingClock())
    holds = [held(quantity, offset) for offset, quantity in enumerate(quantities)]
    holds += [held(quantity, len(quantities) + order, end, order) for order, (quantity, end) in enumerate(zip(quantities, ends, strict=False))]

    def batch(records: Sequence[Record], state: dict[bytes, bytes]) -> dict[bytes, bytes]:
        """Return the last write of each key, in the order in which keys were written first: as they stand in the changelog."""
        writes: dict[bytes, bytes] = {}
        for record in records:
            writes.update(processor.process(record, lambda key: writes.get(key, state.get(key))).writes)
        return writes

    before = batch([counted(30, 0), *holds[:committed]], {})
    whole = before | batch(holds[committed:], before)
    torn = before | dict(list(batch(holds[committed:], before).items())[:written])
    torn |= batch(holds[committed:], torn)
    shelves = [Shelf.load(state[b"shelf|erp|TP-0001"]) for state in (whole, torn)]
    assert (shelves[0].held, shelves[0].sellable) == (shelves[1].held, shelves[1].sellable)
    assert {key: value for key, value in whole.items() if key.startswith(b"hold|")} == {
        key: value for key, value in torn.items() if key.startswith(b"hold|")
    }


def test_a_hold_in_a_topic_that_was_made_anew_is_heard() -> None:
    shelf = Shelf.load(Shelf().hearing(7, 100.0).dump())
    assert [True, True, False, False] == [shelf.has(*place) for place in ((7, 100.0), (3, 90.0), (8, 100.0), (3, 101.0))]
