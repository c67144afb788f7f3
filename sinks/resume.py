"""What parked is tried again by itself: its record goes back to the topic it came from, as an operator's replay would send it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence

import structlog

from towpath.acked import AckedProducer
from towpath.codec import Codec
from towpath.delivery.deadletters import in_order, replay_of
from towpath.delivery.parking import Parked, Parking
from towpath.errors import DataError, RetryableError
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

    def __init__(self, kafka: KafkaSettings, connections: Sequence[str], parking: Parking, producer: AckedProducer, codec: Codec) -> None:
        self._kafka, self._connections = kafka, connections
        self._parking, self._producer, self._codec = parking, producer, codec

    async def run(self, stop: asyncio.Event, metrics: Metrics) -> None:
        """Work until `stop` is set; what cannot be sent now is sent another time."""
        while not stop.is_set():
            for connection in self._connections:
                try:
                    await self.resume(connection)
                    metrics.set(PARKED, await self._parking.count(connection), connection=connection)
                except RetryableError as error:
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
        try:
            await self._send(due, left)
        finally:
            await self._parking.give_back(sorted(left))
            await self._parking.sent([one for one in due if one.dead_letter_id not in left])

    async def _send(self, due: Sequence[Parked], left: set[str]) -> None:
        """Send these again, and take from `left` whatever is dealt with."""
        letters = []
        records, gone = await asyncio.to_thread(_read, self._kafka, due)
        for one in gone:
            log.error("a record that waits is gone, past its topic's retention", dead_letter=one.dead_letter_id, topic=one.topic, offset=one.offset)
        await self._parking.forget([one.dead_letter_id for one in gone])
        left -= {one.dead_letter_id for one in gone}
        for dead_letter_id, record in records.items():
            try:
                letters.append(self._codec.decode_as("DeadLetter", record.value))
            except DataError as error:
                log.warning(
                    "a record that waits cannot be read", topic=record.topic, partition=record.partition, offset=record.offset, reason=str(error)
                )
                left.discard(dead_letter_id)  # looked at again in an hour
        for letter in in_order(letters):
            await self._producer.send(*replay_of(letter, by_itself=True))
            left.discard(letter["dead_letter_id"])


def _read(kafka: KafkaSettings, due: Sequence[Parked]) -> tuple[dict[str, Record], list[Parked]]:
    """Return the records by dead letter, in their order, and those whose record retention has taken; what is not there now is in neither."""
    reader, found = TopicReader(kafka), dict[str, Record]()
    ids = {(one.topic, one.partition, one.offset): one.dead_letter_id for one in due}
    try:
        extents = reader.extents({one.topic for one in due})
        gone = [one for one in due if (extent := extents.get(Place(one.topic, one.partition))) is not None and one.offset < extent.low]
        for spans in _spans(due, extents):
            for batch in reader.read(spans):
                found |= {ids[at]: record for record in batch.records if (at := (record.topic, record.partition, record.offset)) in ids}
        return {one.dead_letter_id: found[one.dead_letter_id] for one in due if one.dead_letter_id in found}, gone
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
