"""What one hop writes of the records of a connection: receipts, dead letters, and which of those are parked."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from towpath.acked import AckedProducer
from towpath.clock import Clock
from towpath.codec import Codec
from towpath.delivery.deadletters import Failure, Registrar, Subject, fails_at
from towpath.delivery.parking import Parked, Parking
from towpath.events import stable_id
from towpath.metrics import DEAD_LETTERS, Metrics
from towpath.records import Output, Record

NONE: Mapping[str, datetime] = {}


class Draft(NamedTuple):
    """A dead letter before it is sent: its id, when its record failed, and the output."""

    dead_letter_id: str
    last_at: datetime
    output: Output


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
        closes: Mapping[str, datetime] = NONE,
        *,
        external_id: str = "",
        external_at: datetime | None = None,
        reason: str = "",
    ) -> None:
        """Write what became of the subject: a receipt for each dead letter that it closes, else one.

        Each dead letter is told with when it failed last, and closed as of no earlier: another's clock may be ahead of this one.
        """
        now = self._clock.now()
        for dead_letter_id, last_at in sorted(closes.items()) or [("", now)]:
            receipt = self._registrar.receipt(
                outcome,
                subject,
                max(now, last_at),
                external_id=external_id,
                external_at=external_at,
                reason=reason,
                dead_letter_id=dead_letter_id,
            )
            await self._producer.send(*receipt)
        await self._parking.forget(sorted(closes))

    def draft(self, record: Record, failure: Failure, subject: Subject) -> Draft:
        """Return the dead letter as it would be stored: its id is the same however often the record is given up."""
        now = self._clock.now()
        dead_letter_id, output = self._registrar.dead_letter(record, failure, subject, now)
        return Draft(dead_letter_id, fails_at(record, now), output)

    async def give_up(self, draft: Draft, failure: Failure) -> None:
        """Store a record as a dead letter, or parked until it is tried again."""
        place = await self._producer.send(*draft.output)
        await self._parking.keep(self._connection, Parked(draft.dead_letter_id, draft.output.topic, *place), failure)
        self._metrics.add(DEAD_LETTERS, connection=self._connection, state=failure.state, error_class=failure.error_class)

    async def look_again(self, record: Record, seconds: float) -> None:
        """Have what may have been written beside another process looked at again in so many seconds, each such time by itself."""
        place = (record.topic, record.partition, record.offset)
        await self._parking.look_again(self._connection, Parked(stable_id("late", *place, self._clock.now().isoformat()), *place), seconds)

    async def wake(self, awaited: str) -> None:
        """Have what waits for this effect ("operation key") or arrival ("entity key") tried now."""
        await self._parking.wake(self._connection, awaited)
