"""Faust's consumer, made safe: no message is skipped after a seek, and no commit passes a message that is not acknowledged.

Faust 0.15.3 loses track in four places (faust/transport/consumer.py, faust/tables/recovery.py):

- `perform_seek` rewinds to the committed offsets while `getmany` still iterates over a batch from before; the batch's late `set_read_offset`
  makes the messages that are fetched again look already read, and they are dropped in silence.
- A partition with nothing committed is not rewound at all (aiokafka's `seek_to_committed` skips it), and `_new_offset` then takes the first
  acknowledged offset for the beginning, so the commit passes what was dropped. With a commit it still passes a hole of one message.
- `_add_gap` takes the distance to the last read offset for a compacted gap, even where that offset is from before a seek.
- `flow_control.resume()` empties the queues of the agents, also of what was delivered between the seek and the resume.

So here every fetched record carries the *seek epoch* of its partition, taken in the consumer thread where fetches and seeks take turns: a
record of an older epoch is not delivered, not recorded and not processed. Delivery waits between a seek and the resume. And the offset to
commit is counted over the offsets as delivered, never guessed from the acknowledged ones.
"""

# ruff: noqa: ANN401, ASYNC109, FBT001, FBT002 (the signatures are Faust's)

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import suppress
from typing import Any

from aiokafka.errors import ConsumerStoppedError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import ConsumerMessage
from mode.threads import WorkerThread

YIELD_EVERY = 100
FULL = 0.02
"""Seconds until partitions are looked at again for which an agent's queue was full: `getmany` would wait a second for the others alone, or Faust
sleep for one."""
FETCH_MS = 50
"""How long a broker may wait for records. aiokafka has one fetch under way to each broker, of the partitions of which it has nothing at that moment:
what comes to any other waits until that one is answered, though its topics are empty. Faust lets that be 1.5 s."""


class Fetched(dict[Any, Any]):
    """Records by partition as `getmany` wants them, with the seek epochs and the group generation they were fetched in."""

    def __init__(self, records: Mapping[Any, Any], epochs: Mapping[TP, int], generation: int) -> None:
        super().__init__(records)
        self.epochs = {tp: epochs.get(tp, 0) for tp in records}
        self.generation = generation


class Message(ConsumerMessage):
    """Faust's message with the seek epoch it was fetched in."""

    __slots__ = ("epoch",)
    epoch: int


class DaemonThread(WorkerThread):
    """A thread that does not keep a process alive whose consumer could not be stopped in time."""

    def __init__(self, service: Any, **kwargs: Any) -> None:
        super().__init__(service, **kwargs)
        self.daemon = True


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """Fetches and seeks in the consumer's own thread, and counts the seeks of each partition."""

    Worker = DaemonThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.epochs: dict[TP, int] = defaultdict(int)

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_MS  # noqa: SLF001 - Faust has no setting for it
        return consumer

    async def _fetch_records(self, *args: Any, **kwargs: Any) -> Fetched:
        # aiokafka moves the position and returns without an await between (`fetched_records`): no seek can come between records and epochs.
        records = await super()._fetch_records(*args, **kwargs)
        return Fetched(records, self.epochs, self.app.consumer_generation_id)

    async def _seek_wait(self, consumer: Any, partitions: Mapping[TP, int]) -> None:
        for tp in partitions:  # changelogs, at the start of a recovery; super() seeks before its first await
            self.epochs[tp] += 1
        await super()._seek_wait(consumer, partitions)

    async def rewind(self, partitions: Iterable[TP]) -> dict[TP, int]:
        """Seek each partition to its committed offset, or to its beginning where nothing is committed; return where each one stands."""
        found: dict[TP, int] = await self.call_thread(self._rewind, list(partitions))
        return found

    async def _rewind(self, partitions: list[TP]) -> dict[TP, int]:
        consumer = self._ensure_consumer()
        committed = await asyncio.gather(*[consumer.committed(driver.ensure_aiokafka_TP(tp)) for tp in partitions])
        offsets = {tp: offset for tp, offset in zip(partitions, committed, strict=True) if offset is not None}
        fresh = [driver.ensure_aiokafka_TP(tp) for tp in partitions if tp not in offsets]
        if fresh:
            offsets |= {TP(tp.topic, tp.partition): start for tp, start in (await consumer.beginning_offsets(fresh)).items()}
        for tp, offset in offsets.items():  # no await from here on
            consumer.seek(driver.ensure_aiokafka_TP(tp), offset)
            self.epochs[tp] += 1
        return offsets


class Consumer(driver.Consumer):
    """Faust's aiokafka consumer, with delivery and commits counted by seek epoch."""

    _thread: ConsumerThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.delivered: dict[TP, deque[int]] = defaultdict(deque)
        self._abandoned = False
        self._resumed = asyncio.Event()
        self._resumed.set()
        super().__init__(*args, **kwargs)

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def perform_seek(self) -> None:
        """Rewind every input partition; nothing is delivered from here until the flow resumes."""
        self._resumed.clear()
        stands = await self._thread.rewind([tp for tp in self.assignment() if self.app.topics.acks_enabled_for(tp.topic)])
        for tp, offset in stands.items():
            self._forget(tp)
            self._read_offset[tp] = self._committed_offset[tp] = offset

    def resume_flow(self) -> None:
        """Deliver again: Faust has emptied the agents' queues just before (`Recovery.on_recovery_completed`)."""
        super().resume_flow()
        self._resumed.set()

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Commit what is acknowledged (Faust would forget it first), let the agents finish, and forget the partitions."""
        await self.commit()
        await super().on_partitions_revoked(revoked)
        for tp in revoked:
            self._forget(tp)

    def _forget(self, tp: TP) -> None:
        for kept in (self.delivered, self._acked, self._acked_index, self._gap):
            kept.pop(tp, None)

    def current(self, message: Message) -> bool:
        """Whether `message` may be processed: its partition is still ours and was not rewound since it was fetched."""
        fresh = message.epoch == self._epoch(message.tp) and message.generation_id == self.app.consumer_generation_id
        return fresh and self.app.flow_control.is_active()

    def _epoch(self, tp: TP) -> int:
        return self._thread.epochs.get(tp, 0)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:
        """Yield the fetched messages, round-robin over the topics, but for those whose partition was rewound since they were fetched."""
        records, active = await self._wait_next_records(timeout)
        if not isinstance(records, Fetched) or not records:
            return
        if not self._resumed.is_set():
            await self.wait(self._resumed.wait())
        for tp, record in self.scheduler.iterate(records):
            if self.should_stop or not self.flow_active or records.generation != self.app.consumer_generation_id:
                return  # a rebalance: every partition is rewound at its end
            if records.epochs[tp] == self._epoch(tp) and (tp in active or tp in self._buffered_partitions):
                self.app.monitor.track_tp_end_offset(tp, self.highwater(tp))
                yield tp, self._message(tp, record, records.epochs[tp])

    async def _wait_next_records(self, timeout: float) -> tuple[Any, set[TP]]:
        if not self.flow_active:
            await self.wait(self.can_resume_flow.wait())
        active = self._get_active_partitions()
        if active:
            return await self._getmany(active_partitions=active, timeout=FULL if self._buffered_partitions else timeout), active
        await self.sleep(FULL)
        return {}, active

    def _message(self, tp: TP, record: Any, epoch: int) -> Message:
        seconds = (record.timestamp or 0) / 1000
        message = Message(
            record.topic,
            record.partition,
            record.offset,
            seconds,
            record.timestamp_type,
            record.headers,
            record.key,
            record.value,
            record.checksum,
            tp=tp,
            generation_id=self.app.consumer_generation_id,
        )
        message.epoch = epoch
        return message

    async def _drain_messages(self, fetcher: Any) -> None:
        """Deliver what is fetched until either service stops; an offset is recorded at once with the check that it is of this epoch."""
        count = 0
        try:
            while not (self.should_stop or fetcher.should_stop):
                async for tp, message in self.getmany(timeout=1.0):
                    if self.app.topics.acks_enabled_for(message.topic):
                        self.delivered[tp].append(message.offset)
                    self._read_offset[tp] = message.offset
                    await self._deliver(message)
                    count += 1
                    if not count % YIELD_EVERY:
                        await asyncio.sleep(0)
                await asyncio.sleep(0)
        except (ConsumerStoppedError, asyncio.CancelledError):
            if not self.app.should_stop:
                raise

    async def _deliver(self, message: Message) -> None:
        if self._commit_every is not None and self._n_acked >= self._commit_every:
            self._n_acked = 0
            await self.commit()
        # Faust cancels this when the flow is suspended, at the price of three tasks a message. Not needed: a resume lets it go on, the
        # emptying of a full queue ends its `put` (mode/utils/queues.py), and a message that comes too late is no longer `current`.
        await self.callback(message)

    def _new_offset(self, tp: TP) -> int | None:
        """Return the offset to commit: behind the last of the delivered messages that are acknowledged without a hole, or None."""
        acked, end = self._acked_index[tp], None
        for offset in self.delivered[tp]:
            if offset not in acked:
                break
            end = offset + 1
        return end

    async def _commit_offsets(self, offsets: Mapping[TP, int], start_new_transaction: bool = True) -> bool:
        before = {tp: self._committed_offset[tp] for tp in offsets}
        done = await super()._commit_offsets(offsets, start_new_transaction)
        for tp, offset in offsets.items():
            if done:
                self._finish(tp, offset)
            elif self._committed_offset[tp] == offset:
                self._committed_offset[tp] = before[tp]  # Faust notes a commit that was refused as done
        return bool(done)

    def _finish(self, tp: TP, offset: int) -> None:
        waiting = self.delivered[tp]
        while waiting and waiting[0] < offset:
            waiting.popleft()
        self._acked[tp] = [acked for acked in self._acked[tp] if acked >= offset]
        self._acked_index[tp] = set(self._acked[tp])

    def abandon(self) -> None:
        """Wait no longer for what is in hand (`wait_empty`) nor for a commit: the next process reads it again."""
        self._abandoned = True
        self._unacked_messages.clear()

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Commit what is acknowledged; nothing once abandoned, for aiokafka retries for ever while the brokers are away.

        Faust takes a commit that is under way for the one that is asked for, though it does not have what was acknowledged since it began.
        """
        if self._commit_fut is not None and not self._abandoned:
            await super().commit(topics, start_new_transaction)
        return not self._abandoned and bool(await super().commit(topics, start_new_transaction))

    def behind(self) -> dict[tuple[str, int], tuple[int, bool]]:
        """Return by partition the first delivered offset that is not committed, and whether it or a later one is acknowledged."""
        return {(tp.topic, tp.partition): (waiting[0], bool(self._acked_index[tp])) for tp, waiting in self.delivered.items() if waiting}

    def lag(self) -> dict[tuple[str, int], int]:
        """Return by input partition the records between the committed offset and the end, where a fetch has told the end."""
        found = {}
        for tp in self._committed_offset.keys() & self.assignment():
            with suppress(AssertionError):  # revoked this moment, in the consumer's thread
                if self.app.topics.acks_enabled_for(tp.topic) and (end := self.highwater(tp)) is not None:
                    found[tp.topic, tp.partition] = end - (self._committed_offset[tp] or 0)
        return found


class Transport(driver.Transport):
    """Faust's aiokafka transport with the guarded consumer."""

    Consumer = Consumer
