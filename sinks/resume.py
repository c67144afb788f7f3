"""What parked is tried again by itself: its record goes back to the topic it came from, as an operator's replay would send it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from towpath.acked import AckedProducer
from towpath.codec import Codec
from towpath.delivery.deadletters import in_order, replay_of
from towpath.delivery.parking import Parked, Parking
from towpath.errors import DataError, RetryableError
from towpath.kafka import KafkaSettings
from towpath.metrics import PARKED, Metrics
from towpath.records import Record
from towpath.topic_reader import Place, TopicReader

log = structlog.get_logger(__name__)

TICK_SECONDS = 1.0


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

    async def _send(self, due: Sequence[Parked], left: set[str]) -> None:
        """Send these again, and take from `left` whatever is dealt with."""
        letters = []
        records, gone = await asyncio.to_thread(_read, self._kafka, due)
        for one in gone:
            log.error("a record that waits is gone, past its topic's retention", dead_letter=one.dead_letter_id, topic=one.topic, offset=one.offset)
        await self._parking.forget([one.dead_letter_id for one in gone])
        left -= {one.dead_letter_id for one in gone}
        ids = {(one.topic, one.partition, one.offset): one.dead_letter_id for one in due}
        for record in records:
            try:
                letters.append(self._codec.decode_as("DeadLetter", record.value))
            except DataError as error:
                log.warning(
                    "a record that waits cannot be read", topic=record.topic, partition=record.partition, offset=record.offset, reason=str(error)
                )
                left.discard(ids[record.topic, record.partition, record.offset])  # looked at again when its claim ends
        for letter in in_order(letters):
            await self._producer.send(*replay_of(letter, by_itself=True))
            left.discard(letter["dead_letter_id"])


def _read(kafka: KafkaSettings, due: Sequence[Parked]) -> tuple[list[Record], list[Parked]]:
    """Return the records at these places, in their order, and those whose record retention has taken; what does not come now is in neither."""
    reader, found, gone = TopicReader(kafka), list[Record](), list[Parked]()
    try:
        extents = reader.extents({one.topic for one in due})
        for one in due:
            place = Place(one.topic, one.partition)
            if place in extents and one.offset < extents[place].low:
                gone.append(one)
                continue
            record = reader.first_records({place: one.offset}).get(place)
            if record is not None and record.offset == one.offset:
                found.append(record)
        return found, gone
    finally:
        reader.close()
