"""What one hop writes of the records of a connection: receipts, dead letters, and which of those are parked."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from towpath.acked import AckedProducer
from towpath.clock import Clock
from towpath.codec import Codec
from towpath.delivery.deadletters import Failure, Registrar, Subject
from towpath.delivery.parking import Parked, Parking
from towpath.metrics import DEAD_LETTERS, Metrics
from towpath.records import Record


class Books:
    """The books of one hop for one connection; whatever is written is acknowledged when a call returns."""

    def __init__(self, connection: str, registrar: Registrar, parking: Parking, producer: AckedProducer, clock: Clock, metrics: Metrics) -> None:
        self._connection, self._registrar, self._parking = connection, registrar, parking
        self._producer, self._clock, self._metrics = producer, clock, metrics
        self.codec: Codec = registrar.codec

    async def tell(
        self,
        outcome: str,
        subject: Subject,
        closes: Collection[str] = (),
        *,
        external_id: str = "",
        external_at: datetime | None = None,
        reason: str = "",
    ) -> None:
        """Write what became of the subject: a receipt for each dead letter that it closes, else one."""
        for dead_letter_id in sorted(closes) or [""]:
            receipt = self._registrar.receipt(
                outcome,
                subject,
                self._clock.now(),
                external_id=external_id,
                external_at=external_at,
                reason=reason,
                dead_letter_id=dead_letter_id,
            )
            await self._producer.send(*receipt)
        await self._parking.forget(sorted(closes))

    def letter_id(self, record: Record, failure: Failure, subject: Subject) -> str:
        """Return the id that the record's dead letter has, or would have: the same however often the record is given up."""
        return self._registrar.dead_letter(record, failure, subject, self._clock.now())[0]

    async def give_up(self, record: Record, failure: Failure, subject: Subject) -> str:
        """Store a record as a dead letter, or parked until it is tried again, and return its dead letter's id."""
        dead_letter_id, output = self._registrar.dead_letter(record, failure, subject, self._clock.now())
        place = await self._producer.send(*output)
        await self._parking.keep(self._connection, Parked(dead_letter_id, output.topic, *place), failure)
        self._metrics.add(DEAD_LETTERS, connection=self._connection, state=failure.state, error_class=failure.error_class)
        return dead_letter_id

    async def wake(self, awaited: str) -> None:
        """Have what waits for this effect ("operation key") or arrival ("entity key") tried now."""
        await self._parking.wake(self._connection, awaited)
