"""What a list says of an entity just as it was fetched last is not fetched again; anything else is, and what could not be stored too."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import URL

from producers.adapter import InboxHandler, find_source
from producers.base import ASKED, BACKFILLED, ENTITY, KIND, POLLED, WEBHOOK, Fetch, Poll, Provenance, References
from tests.unit.producers.test_adapter_supersedes import Idle, NothingKnown, nothing_unread
from towpath.clock import SystemClock
from towpath.codec import default_codec
from towpath.delivery.books import Books
from towpath.delivery.database import open_engine
from towpath.delivery.deadletters import Registrar
from towpath.delivery.gate import Gate
from towpath.delivery.parking import Parking
from towpath.errors import RetryableError
from towpath.events import Event
from towpath.http import ApiClient
from towpath.metrics import Metrics
from towpath.records import Record
from towpath.systems import nopcommerce
from towpath.testing.producer import FakeProducer

ROW = {"id": 7, "status": 20, "total": 30.5, "card_number": "4111"}


class Drawer:
    """A system of things, each with a head that its list has too and a rest that takes calls; counts how often one is fetched."""

    blanked: Sequence[str] = ("card_number",)

    def __init__(self) -> None:
        self.head: dict[str, Any] = ROW
        self.fetched = 0
        self.polls: Sequence[Poll] = (Poll("thing", self._listed, part="head"), Poll("other", self._listed))

    def wanted(self, body: bytes) -> Fetch | None:
        return Fetch(str(json.loads(body)["entity"]), 7)

    async def fetch(self, _api: ApiClient, _wanted: Fetch, _references: References) -> str | None:
        self.fetched += 1
        return json.dumps({"head": self.head, "rest": self.fetched})

    def decode(self, _entity: str, _payload: bytes, _provenance: Provenance) -> list[Event]:
        return []

    def _listed(self, *_: object) -> Any:  # noqa: ANN401 - never asked here
        raise AssertionError


class Adapter:
    """The adapter of such a system."""

    def __init__(self, folder: Path) -> None:
        self.source, self.producer, self.metrics = Drawer(), FakeProducer(), Metrics()
        api = ApiClient("shop", "http://127.0.0.1:1", dialect=nopcommerce.DIALECT, authoriser=Idle(), gate=Gate(SystemClock()), timeout=1)
        parking = Parking(open_engine(URL.create("sqlite", database=str(folder / "ledger.db"))), SystemClock(), timedelta(seconds=60))
        registrar = Registrar(default_codec(), "adapter", "adapter.shop", frozenset({"shop"}))
        books = Books("shop", registrar, parking, self.producer, SystemClock(), self.metrics)
        self._handler = InboxHandler(
            "shop",
            source=self.source,
            api=api,
            references=NothingKnown(),
            books=books,
            producer=self.producer,
            metrics=self.metrics,
            unread=nothing_unread(folder),
        )

    async def take(self, kind: str, value: object, entity: str = "thing") -> int:
        """Return how often things were fetched by the time that a record of the inbox is done."""
        pairs = {KIND: kind.encode(), ENTITY: entity.encode()}
        value = {"entity": entity} if kind == WEBHOOK else value
        body = json.dumps(value).encode()
        await self._handler.handle(Record("inbox.shop", 0, 1, 0.0, f"{entity}/7".encode(), body, tuple(pairs.items())))
        return self.source.fetched


@pytest.fixture
def adapter(tmp_path: Path) -> Adapter:
    return Adapter(tmp_path)


LISTED = {**dict(reversed(ROW.items())), "card_number": ""}
"""The row as the poller writes it: in any order, card fields blanked."""


async def test_a_row_that_says_what_was_fetched_last_is_not_fetched_again(adapter: Adapter) -> None:
    assert [await adapter.take(kind, LISTED) for kind in (WEBHOOK, POLLED, POLLED)] == [1, 1, 1]
    assert [("thing", "duplicate")] == [tuple(labels) for labels in dropped(adapter)]


@pytest.mark.parametrize("value", [{**LISTED, "status": 40}, {**LISTED, "more": None}, {"id": 7}])
async def test_a_row_that_says_anything_else_is_fetched(adapter: Adapter, value: object) -> None:
    assert [await adapter.take(WEBHOOK, None), await adapter.take(POLLED, value)] == [1, 2]


@pytest.mark.parametrize("kind", [WEBHOOK, ASKED, BACKFILLED])
async def test_what_others_than_the_poller_ask_for_is_fetched(adapter: Adapter, kind: str) -> None:
    assert [await adapter.take(one, LISTED) for one in (WEBHOOK, kind)] == [1, 2]


async def test_a_list_whose_rows_are_no_part_of_what_is_fetched_is_fetched(adapter: Adapter) -> None:
    assert [await adapter.take(kind, LISTED, "other") for kind in (WEBHOOK, POLLED)] == [1, 2]


async def test_what_did_not_get_into_the_inbox_is_fetched_again(adapter: Adapter) -> None:
    async def refuse(_topic: str) -> None:
        raise RetryableError("sending to Kafka: no broker")

    adapter.producer.before = refuse
    with pytest.raises(RetryableError):
        await adapter.take(POLLED, LISTED)
    adapter.producer.before = None
    assert [await adapter.take(POLLED, LISTED), await adapter.take(POLLED, LISTED)] == [2, 2]


async def test_what_was_fetched_since_with_other_content_is_fetched(adapter: Adapter) -> None:
    await adapter.take(WEBHOOK, None)
    adapter.source.head = {**ROW, "status": 30}
    assert [await adapter.take(WEBHOOK, None), await adapter.take(POLLED, LISTED), await adapter.take(POLLED, {**LISTED, "status": 30})] == [2, 3, 3]


def test_the_shops_list_of_orders_has_what_is_fetched_of_one() -> None:
    source = find_source("nopcommerce")
    assert source is not None
    assert ["order"] == [poll.part for poll in source.polls if poll.entity == "order"]


def dropped(adapter: Adapter) -> list[tuple[str, ...]]:
    """Return the labels (event, reason) of what ended in the adapter."""
    samples = [sample for family in adapter.metrics.registry.collect() for sample in family.samples if sample.name == "towpath_dropped_total"]
    return [(sample.labels["event"], sample.labels["reason"]) for sample in samples if sample.value]
