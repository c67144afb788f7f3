"""What parked is tried again by itself: its record goes back to the topic it came from, as an operator's replay would send it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import structlog

from sinks.later import DELIVERIES, Later
from towpath.acked import AckedProducer
from towpath.codec import Codec
from towpath.delivery.deadletters import in_order, replay_of, why_not_sent
from towpath.delivery.parking import Parked, Parking
from towpath.errors import ConfigError, DataError, RetryableError
from towpath.kafka import KafkaSettings
from towpath.metrics import PARKED, Metrics
from towpath.records import Record
from towpath.topic_reader import Extent, Place, TopicReader

log = structlog.get_logger(__name__)

TICK_SECONDS = 1.0
CLOSE = 200
"""Records that cost less to read than another request."""


class Resumer:
    """Looks every second for what is due of some connections."""

    def __init__(
        self, kafka: KafkaSettings, connections: Sequence[str], parking: Parking, producer: AckedProducer, codec: Codec, later: Later
    ) -> None:
        self._kafka, self._connections = kafka, connections
        self._parking, self._producer, self._codec, self._later = parking, producer, codec, later

    async def run(self, stop: asyncio.Event, metrics: Metrics) -> None:
        """Work until `stop` is set; what cannot be sent now is sent another time, also where Kafka refuses us at the moment."""
        while not stop.is_set():
            for connection in self._connections:
                try:
                    await self.resume(connection)
                    metrics.set(PARKED, await self._parking.count(connection), connection=connection)
                except (RetryableError, ConfigError) as error:
                    log.warning("trying what is parked", connection=connection, reason=str(error))
            try:
                await asyncio.wait_for(stop.wait(), TICK_SECONDS)
            except TimeoutError:
                continue

    async def resume(self, connection: str) -> None:
        """Send again what is due of one connection; what cannot be read or sent now is due again at once."""
        due = await self._parking.due(connection)
        if not due:
            return
        left = {one.dead_letter_id for one in due}
        late = [one for one in due if one.topic.startswith(DELIVERIES)]
        parked = [one for one in due if one not in late]
        try:
            try:
                await self._send(parked, left)
            finally:
                await self._parking.sent([one for one in parked if one.dead_letter_id not in left])
            for one in late:
                await self._later.look(one)
                await self._parking.forget([one.dead_letter_id])
                left.discard(one.dead_letter_id)
        finally:
            await self._parking.give_back(sorted(left))

    async def _send(self, due: Sequence[Parked], left: set[str]) -> None:
        """Send these again, and take from `left` whatever is dealt with."""
        if not due:
            return
        letters = []
        records, gone = await asyncio.to_thread(_read, self._kafka, due)
        for one, record in records:
            try:
                found = self._codec.decode_as("DeadLetter", record.value)
                if found["dead_letter_id"] == one.dead_letter_id:
                    letters.append(_sendable(found))
                else:
                    gone.append(one)
            except DataError as error:
                log.warning(
                    "a record that waits cannot be tried", topic=record.topic, partition=record.partition, offset=record.offset, reason=str(error)
                )
                left.discard(one.dead_letter_id)  # looked at again in an hour
        for one in gone:
            log.error(
                "a record that waits is gone: past its topic's retention, or with the topic",
                dead_letter=one.dead_letter_id,
                topic=one.topic,
                offset=one.offset,
            )
        await self._parking.forget([one.dead_letter_id for one in gone])
        left -= {one.dead_letter_id for one in gone}
        for letter in in_order(letters):
            try:
                await self._producer.send(*replay_of(letter, by_itself=True))
            except DataError as error:  # its replay's headers make it too large; looked at again in an hour, as the topic may be made to take more
                log.warning("a record that waits cannot be sent again", dead_letter=letter["dead_letter_id"], reason=str(error))
            left.discard(letter["dead_letter_id"])


def _sendable(letter: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a dead letter that can be sent again; raises DataError for one that would be another record."""
    if why := why_not_sent(letter):
        raise DataError(why, field="value")
    return letter


def _read(kafka: KafkaSettings, due: Sequence[Parked]) -> tuple[list[tuple[Parked, Record]], list[Parked]]:
    """Return what stands at each place, which is another's where the topic was made anew, and those whose place their topic has not, or no more.

    Of a topic that is not there now neither is known.
    """
    reader, found = TopicReader(kafka), dict[tuple[str, int, int], Record]()
    wanted = {one[1:] for one in due}
    try:
        extents = reader.extents({one.topic for one in due})
        gone = [
            one for one in due if (extent := extents.get(Place(one.topic, one.partition))) is not None and not extent.low <= one.offset < extent.high
        ]
        for spans in _spans(due, extents):
            for batch in reader.read(spans):
                found |= {at: record for record in batch.records if (at := (record.topic, record.partition, record.offset)) in wanted}
        return [(one, found[one[1:]]) for one in due if one[1:] in found], gone
    finally:
        reader.close()


def _spans(due: Sequence[Parked], extents: Mapping[Place, Extent]) -> Iterator[dict[Place, tuple[int, int]]]:
    """Yield what to read of each place, until all that is there now was read: what stands close together at once, for each span is asked anew."""
    spans: dict[Place, list[tuple[int, int]]] = {}
    for place, offset in sorted((Place(one.topic, one.partition), one.offset) for one in due):
        if place in extents and extents[place].low <= offset < extents[place].high:
            known = spans.setdefault(place, [(offset, offset)])
            if offset - known[-1][1] > CLOSE:
                known.append((offset, offset))
            known[-1] = (known[-1][0], offset + 1)
    for turn in range(max(map(len, spans.values()), default=0)):
        yield {place: known[turn] for place, known in spans.items() if turn < len(known)}
