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
from processors.stock import HELD, Shelf
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


def held(quantity: int, offset: int) -> Record:
    hold: StockHold = {
        "connection": "erp", "sku": "TP-0001", "order_key": f"shop/order/{offset}", "quantity": Decimal(quantity), "state": HELD,
        "standing_at": None, "at": PLACED_AT,
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
