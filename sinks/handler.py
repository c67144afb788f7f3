"""What a sink's lane does with a Delivery: the effect, its receipt, or a dead letter."""

from __future__ import annotations

from functools import partial
from typing import Any

import structlog

from sinks.base import parse_document
from sinks.effector import Effector
from sinks.effects import Effected
from towpath.delivery.books import NONE, Books
from towpath.delivery.budget import Priority
from towpath.delivery.deadletters import Failure, Subject
from towpath.delivery.lane import State
from towpath.delivery.ledger import Effect, Ledger
from towpath.errors import DataError, RetryableError
from towpath.events import AGGREGATES
from towpath.metrics import DELIVERED, REPLAYED, Metrics
from towpath.records import Record

log = structlog.get_logger(__name__)


class DeliveryHandler:
    """Handles the deliveries of one connection."""

    def __init__(
        self,
        connection: str,
        *,
        effector: Effector,
        ledger: Ledger,
        books: Books,
        metrics: Metrics,
    ) -> None:
        self._connection, self._effector, self._ledger = connection, effector, ledger
        self._effectors = {priority: effector.at(priority) for priority in Priority}
        self._read: tuple[Record, dict[str, Any]] | None = None
        self._books, self._codec, self._metrics = books, books.codec, metrics

    async def handle(self, record: Record) -> None:
        """Make the delivery's effect happen once and write its receipt."""
        delivery = self._delivery(record)
        if delivery["target"] != self._connection:
            raise DataError(f"a delivery for {delivery['target']} on {record.topic}", field="target", value=delivery["target"])
        document = parse_document(delivery["document"], "document")
        again = record.replay is not None and record.replay.force
        wanted = (delivery["operation"], delivery["effect_key"], document, delivery["related"], _version(delivery))
        doubted = partial(self._look_again, record)
        effected = await self._effectors[_priority(delivery["event_type"])].apply(*wanted, again=again, doubted=doubted)
        await self._tell(record, delivery, effected)
        if (brought := self._effector.brings(delivery["operation"], delivery["effect_key"], document)) is not None:
            await self._books.wake(brought)

    async def _look_again(self, record: Record, seconds: float) -> None:
        try:
            await self._books.look_again(record, seconds)
        except RetryableError as error:
            key = (record.key or b"").decode("utf-8", "replace")
            by_hand = f"towpath replay {record.topic} --key {key} --force"
            log.exception("it may have been written beside another process", connection=self._connection, remedy=by_hand, reason=str(error))

    def state_of(self, record: Record) -> State | None:
        """Return the state that a delivery puts, None for a one-shot effect and for what an operator wants done again."""
        try:
            delivery = self._delivery(record)
        except DataError:
            return None
        if record.replay is not None or not self._effector.is_state(delivery["operation"]):
            return None
        return State(f"{delivery['operation']} {delivery['effect_key']}", _version(delivery))

    async def supersede(self, record: Record) -> None:
        """Write the receipt of a delivery that a newer one made needless."""
        await self._tell(record, self._delivery(record), Effected("superseded", ""))

    def _delivery(self, record: Record) -> dict[str, Any]:
        """Return what a record holds; it is asked for again at once, to see whether it is a state and then to deliver it."""
        if self._read is None or self._read[0] is not record:
            self._read = record, self._codec.decode_as("Delivery", record.value)
        return self._read[1]

    async def _tell(self, record: Record, delivery: dict[str, Any], effected: Effected) -> None:
        closes = dict(effected.closes)
        for letter, last_at in (record.replay.closes if record.replay else NONE).items():
            closes[letter] = max(last_at, closes.get(letter, last_at))
        await self._books.tell(
            effected.outcome,
            _subject(self._connection, delivery),
            closes,
            external_id=effected.external_id,
            external_at=effected.external_at,
            reason=effected.reason,
        )
        if effected.closes:  # not before it was told: who dies in between must find them when it comes again
            await self._ledger.forgive(self._effect(delivery), effected.closes)
        if record.replay is None:
            self._metrics.add(DELIVERED, connection=self._connection, operation=delivery["operation"], outcome=effected.outcome)
        else:
            self._metrics.add(REPLAYED, hop="sink", outcome=effected.outcome)

    async def give_up(self, record: Record, failure: Failure) -> None:
        """Store the delivery as a dead letter or parked, noted at its effect before that, so that a later success closes it whatever crashes here."""
        try:
            delivery = self._codec.decode_as("Delivery", record.value)
        except DataError:
            delivery = None
        draft = self._books.draft(record, failure, _subject(self._connection, delivery) if delivery else Subject(self._connection))
        if delivery is not None:
            version = _version(delivery) if self._effector.is_state(delivery["operation"]) else None
            await self._ledger.blame(self._effect(delivery), draft.dead_letter_id, version, at=draft.last_at)
        await self._books.give_up(draft, failure)

    def _effect(self, delivery: dict[str, Any]) -> Effect:
        return Effect(self._connection, delivery["operation"], delivery["effect_key"])


def _subject(connection: str, delivery: dict[str, Any]) -> Subject:
    names = ("key", "flow", "event_id", "trace_id", "operation", "effect_key", "mapping_version")
    return Subject(connection, **{name: delivery[name] for name in names})


def _priority(event_type: str) -> Priority:
    if event_type.startswith("Shipment"):
        return Priority.SHIPMENTS
    return Priority.ORDERS if AGGREGATES.get(event_type) == "orders" else Priority.STOCK


def _version(delivery: dict[str, Any]) -> tuple[int, int]:
    return delivery["version"]["major"], delivery["version"]["minor"]
