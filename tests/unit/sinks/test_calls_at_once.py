from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from sinks.base import Document, Operation, Standing, Update
from sinks.effector import Effector, Patience
from sinks.effects import Effected
from towpath.clock import SystemClock
from towpath.config import Connection
from towpath.delivery.claims import Order
from towpath.delivery.database import open_engine
from towpath.delivery.ledger import Effect, Ledger
from towpath.http import ApiClient
from towpath.metrics import Metrics
from towpath.systems.base import connect

IN_FLIGHT = 3
CLAIMED = 5
"""Those that call, and half as many that may as soon as one has ended."""


class Counting:
    """A target that answers when it is told to, and counts the calls that stand at it."""

    def __init__(self) -> None:
        self.standing, self.most, self.answered = 0, 0, 0
        self.answer, self.full = asyncio.Event(), asyncio.Event()
        self.operations: Mapping[str, Operation | Update] = {"make": Operation(self._nothing, self._make)}
        self.creates: Mapping[str, str] = {}

    async def _nothing(self, _api: ApiClient, _document: Document) -> Standing | None:
        return None

    async def _make(self, _api: ApiClient, document: Document) -> Standing:
        self.standing += 1
        self.most = max(self.most, self.standing)
        if self.standing == IN_FLIGHT:
            self.full.set()
        await self.answer.wait()
        self.standing -= 1
        self.answered += 1
        return Standing(str(document["Name"]))


class HeldLedger(Ledger):
    """The real ledger, which completes an effect only once it may."""

    may_complete: asyncio.Event

    async def complete(
        self, effect: Effect, external_id: str, *, at: datetime | None = None, digest: str | None = None, version: Order | None = None
    ) -> None:
        await self.may_complete.wait()
        await super().complete(effect, external_id, at=at, digest=digest, version=version)


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[HeldLedger]:
    ledger = HeldLedger(open_engine(URL.create("sqlite", database=str(tmp_path / "towpath.db"))), SystemClock(), "one")
    ledger.may_complete = asyncio.Event()
    yield ledger
    await ledger.close()


async def all_made(effector: Effector, number: int) -> list[Effected]:
    return await asyncio.gather(*(effector.apply("make", f"thing/{one}", {"Name": f"T{one}"}, {}) for one in range(number)))


async def test_as_many_calls_stand_at_the_target_as_may_the_next_are_claimed_and_what_is_being_booked_keeps_none_from_calling(
    ledger: HeldLedger,
) -> None:
    connection = Connection.model_validate({"system": "bng", "url": "http://127.0.0.1:9", "credentials": {"api_key": "k"}})
    api, target = connect("erp", connection, SystemClock(), Metrics()), Counting()
    effector = Effector("erp", target, api, ledger, Patience(timeout=10, settle=5), SystemClock(), in_flight=IN_FLIGHT)
    making = asyncio.create_task(all_made(effector, 4 * IN_FLIGHT))
    async with asyncio.timeout(20):
        await target.full.wait()
        while [] != (unclaimed := [one for one in range(CLAIMED) if await ledger.peek(Effect("erp", "make", f"thing/{one}")) is None]):
            assert min(unclaimed) >= IN_FLIGHT
        assert None is await ledger.peek(Effect("erp", "make", f"thing/{CLAIMED}"))
        target.answer.set()
        while target.answered < 4 * IN_FLIGHT:  # noqa: ASYNC110 - none is completed yet, and all the same all are called
            await asyncio.sleep(0.01)
        assert not making.done()
        ledger.may_complete.set()
        effected = await making
    assert IN_FLIGHT == target.most
    assert [Effected("applied", f"T{one}") for one in range(4 * IN_FLIGHT)] == effected
    await api.close()
