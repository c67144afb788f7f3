"""What a process may have written beside another: looked at once that can happen no more, by whoever is alive then."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from towpath.acked import AckedProducer
from towpath.codec import Codec
from towpath.delivery.claims import Order
from towpath.delivery.ledger import Effect, Ledger
from towpath.delivery.parking import Parked
from towpath.errors import DataError
from towpath.kafka import KafkaSettings
from towpath.metrics import TWINS, Metrics
from towpath.records import EPOCH, Record, Replay
from towpath.replaying import again
from towpath.topic_reader import Place, TopicReader

log = structlog.get_logger(__name__)

DELIVERIES = "deliver."


class Later:
    """Sends deliveries again, with force: what may stand twice is looked for as they come, and what an old state was written over is put again."""

    def __init__(self, kafka: KafkaSettings, ledger: Ledger, producer: AckedProducer, codec: Codec, metrics: Metrics) -> None:
        self._kafka, self._ledger, self._producer = kafka, ledger, producer
        self._codec, self._metrics = codec, metrics

    async def look(self, late: Parked) -> int:
        """Send again what the delivery at this place of its topic may have been written beside, and return how many deliveries that were.

        What is done once is sent itself. Of a state what stood over it is sent: the ledger has the older version first, as the target may, so
        that the other is written again; what is newer than that comes by itself. Where it is not known which stood, since a process died when it
        had noted that, all that are newer are sent, in their order.
        """
        records = await asyncio.to_thread(_read, self._kafka, late)
        place = {"topic": late.topic, "partition": late.partition, "offset": late.offset}
        if not records or records[0].offset != late.offset:
            log.error("what was written may stand twice, or over a newer state, and its delivery is gone", **place)
            return 0
        try:
            effect, version = self._state_of(records[0])
        except DataError:  # the topic was made anew
            log.exception("what was written may stand twice, or over a newer state, and its delivery is another's", **place)
            return 0
        known = await self._ledger.peek(effect)
        if known is None or known.version is None:
            return await self._send(records[:1], effect, late)
        versions = [(record, self._version_of(record, effect)) for record in records[1:]]
        newer = [record for record, other in versions if other is not None and other > version]
        if not newer:
            return 0
        stood = await self._ledger.overwritten(effect, version)
        newer = [record for record, other in versions if other == stood][-1:] or newer
        told = {"connection": effect.connection, "operation": effect.operation}
        log.error("an older state may stand over a newer one, which is sent again", **told, effect_key=effect.key, version=version, newer=len(newer))
        self._metrics.add(TWINS, 1, **told, outcome="overwritten")
        return await self._send(newer, effect, late)

    async def _send(self, records: Sequence[Record], effect: Effect, late: Parked) -> int:
        replay = Replay("", 0, EPOCH, 0, f"sink.{effect.connection}", replay_id=late.dead_letter_id, force=True)
        for record in records:
            try:
                await self._producer.send(*again(record, replay))
            except DataError as error:
                log.warning("a delivery cannot be sent again", **effect._asdict(), offset=record.offset, reason=str(error))
        return len(records)

    def _version_of(self, record: Record, effect: Effect) -> Order | None:
        """Return the version that a delivery puts of this state, None where it puts another one."""
        try:
            found, version = self._state_of(record)
        except DataError:  # a dead letter by now
            return None
        return version if found == effect else None

    def _state_of(self, record: Record) -> tuple[Effect, Order]:
        delivery = self._codec.decode_as("Delivery", record.value)
        version = delivery["version"]
        return Effect(delivery["target"], delivery["operation"], delivery["effect_key"]), (version["major"], version["minor"])


def _read(kafka: KafkaSettings, late: Parked) -> list[Record]:
    """Return what stands in the partition from this place to its end as it is now, in order, of the key that stands first."""
    reader, place = TopicReader(kafka), Place(late.topic, late.partition)
    try:
        extent = reader.extents([late.topic]).get(place)
        if extent is None or not extent.low <= late.offset < extent.high:
            return []
        found: list[Record] = []
        for batch in reader.read({place: (late.offset, extent.high)}):
            found += [record for record in batch.records if record.offset < extent.high and record.key == (found or batch.records)[0].key]
        return found
    finally:
        reader.close()
