"""The native engine's loop: takes batches, has them processed, and makes what they lead to lasting, in one thread.

Of each batch: outputs acknowledged, then the changelog, then the state, then the offsets. None of it is waited for while there is something to do:
the outputs of a batch and the changelog of the one before are on their way while the next batch is processed. That one reads what is on its way
first, its outputs follow when those before are acknowledged, and a changelog is written only when the earlier one is.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

from processors.engines.native_changelog import Restorer
from processors.engines.native_group import Group
from processors.engines.native_state import State
from processors.engines.outbox import ANY_PARTITION, Outbox, Sent, Wait
from processors.engines.plan import Plan
from processors.engines.sender import producer_config
from processors.engines.settings import EngineError, EngineSettings
from processors.engines.topics import WARNINGS
from processors.port import Output, Processor, ReadState, Record
from towpath.errors import RetryableError
from towpath.failpoints import Failpoints
from towpath.metrics import Metrics

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5
RESTORE_SECONDS = 0.2
LONGEST_PAUSE = 5.0


@dataclass(frozen=True, slots=True)
class Batch:
    """What a batch led to, in `changelog` too: the plan, and up to where it brings each partition."""

    plan: Plan
    ends: dict[tuple[str, int], int]
    changelog: str

    def outputs(self) -> Iterator[Sent]:
        """Yield its outputs."""
        return zip(self.plan.outputs, repeat(ANY_PARTITION))

    def changes(self) -> Iterator[Sent]:
        """Yield its changelog records."""
        for partition, writes in self.plan.writes.items():
            for key, value in writes.items():
                yield Output(self.changelog, key, value), partition


class Loop:
    """Runs until told to stop, in the thread that calls `run`; the properties may be asked from another."""

    def __init__(self, settings: EngineSettings, processor: Processor, metrics: Metrics, changelog_id: str) -> None:
        self._settings, self._processor, self._metrics = settings, processor, metrics
        self._failpoints = Failpoints.from_environment()
        self._stopping = threading.Event()
        common: dict[str, Any] = {"bootstrap.servers": settings.bootstrap_servers, "log_level": WARNINGS, **settings.security}
        self._common = common
        config = producer_config(settings)
        patience = min(int(config["message.timeout.ms"]), int(settings.session_timeout * 500))
        self._outputs, self._changelog = Outbox(config), Outbox(config | {"message.timeout.ms": patience}, places=True)
        self._state = State(settings.datadir / "native", settings.store, changelog_id)
        self._group = Group(settings, common, self, self._stopping)
        self._restorer: Restorer | None = None
        self._sent: Batch | None = None
        self._flight: Batch | None = None
        self._trouble: str | None = None

    def stop(self) -> None:
        """Have `run` finish what is in hand and return."""
        self._stopping.set()

    @property
    def flowing(self) -> bool:
        """Whether the state of what is ours is restored and its records flow; a worker that was given nothing waits for nothing."""
        return self._group.assigned and self._restorer is None and self._group.flowing

    @property
    def restoring(self) -> bool:
        """Whether state is being read back."""
        return self._restorer is not None

    @property
    def trouble(self) -> str | None:
        """Why it does not go on now, though it tries; None where all is well."""
        restoring = self._restorer.trouble if self._restorer is not None else None
        return self._trouble or self._outputs.trouble or self._changelog.trouble or self._group.trouble or restoring

    @property
    def lag(self) -> dict[tuple[str, int], int]:
        """Return by input partition of ours the records between the committed offset and the end."""
        return self._group.lag

    @property
    def behind(self) -> dict[tuple[str, int], tuple[int, bool]]:
        """Return by input partition the committed offset where records follow it, as the watchdog wants it."""
        return self._group.behind

    def run(self) -> None:
        """Work until stopped, commit what is done and leave; raises EngineError when it cannot go on, with nothing unfinished committed."""
        try:
            self._group.join()
            while not self._stopping.is_set():
                self._turn()
            self._land(once)
            self._group.commit()
        finally:
            self._sent = self._flight = None
            self._group.close()
            if self._restorer is not None:
                self._restorer.close()
            self._state.close()
            self._outputs.close()
            self._changelog.close()

    def assigned(self, partitions: Sequence[int]) -> None:
        """Open the state of what is ours now, and begin to read back what it lacks."""
        self._state.keep(partitions)
        self._end_restoring()
        self._restorer = Restorer(self._settings, self._common, self._state, partitions)

    def revoked(self) -> None:
        """Finish the batches that are on their way; one that is being processed is dropped."""
        self._end_restoring()
        self._land(once)

    def lost(self) -> None:
        """Drop everything."""
        self._end_restoring()
        self._forget()

    def _end_restoring(self) -> None:
        if self._restorer is not None:
            self._restorer.close()
            self._restorer = None

    def _turn(self) -> None:
        idle = self._sent is None and self._flight is None and self._restorer is None
        records = self._group.take(self._settings.batch, POLL_SECONDS if idle else 0.0)
        if self._restorer is not None:
            if self._restorer.step(RESTORE_SECONDS) and self._group.begin():
                self._end_restoring()
        elif records:
            self._work(records)
        else:
            self._land(self._group.breathe)

    def _work(self, records: Sequence[Record]) -> None:
        epoch = self._group.epoch
        batch, broken = self._processed(records)
        if self._group.epoch != epoch:
            self._drop(epoch)
            return
        if not self._advance(self._group.breathe):
            return  # what is in hand builds upon it, and is read again with it
        self._outputs.put(batch.outputs())
        self._sent = batch
        if broken is not None:
            self._land(once)
            self._group.commit()
            raise broken

    def _processed(self, records: Sequence[Record]) -> tuple[Batch, EngineError | None]:
        """Return what the records led to; it ends before one that the processor raises for, and when it is to stop."""
        plan, broken = Plan(self._processor, self._reader), None
        ends: dict[tuple[str, int], int] = {}
        for record in plan.ahead(records):
            if self._stopping.is_set():
                break
            try:
                if not self._added(plan, record):
                    break
            except EngineError:
                raise
            except Exception as error:
                log.exception("processing %s[%d] offset %d", record.topic, record.partition, record.offset)
                broken = EngineError(f"processing {record.topic}[{record.partition}] offset {record.offset}: {type(error).__name__}: {error}")
                broken.__cause__ = error
                break
            ends[record.topic, record.partition] = record.offset + 1
        return Batch(plan, ends, self._settings.changelog), broken

    def _added(self, plan: Plan, record: Record) -> bool:
        """Take in what a record leads to, tried again while that may help; False where it is no longer ours to try."""
        pause = 0.1
        while True:
            try:
                plan.add(record)
            except RetryableError as error:
                self._trouble = f"processing {record.topic}[{record.partition}] offset {record.offset}: {error}"
                wait = error.retry_after or pause
                log.warning("%s; trying again in %.1f s", self._trouble, wait)
                if not self._group.breathe(wait):
                    return False
                pause = min(pause * 2, LONGEST_PAUSE)
            else:
                self._trouble = None
                return True

    def _land(self, wait: Wait) -> bool:
        """Wait for all that is on its way, then write the state and commit; False where that cannot be done, and it is read again."""
        return self._advance(wait) and self._landed(wait)

    def _advance(self, wait: Wait) -> bool:
        """Wait for the outputs that are on their way, and for the batch before, then send their changelog; False as `_land`."""
        if (batch := self._sent) is None:
            return True
        epoch = self._group.epoch
        if not self._outputs.settle(batch.outputs, wait):
            self._drop(epoch)
            return False
        self._failpoints.hit("processor.after_outputs")
        if not self._landed(wait):
            return False
        if self._group.epoch != epoch or not self._group.is_sure(wait):
            self._drop(epoch)
            return False
        self._changelog.put(batch.changes())
        self._sent, self._flight = None, batch
        return True

    def _landed(self, wait: Wait) -> bool:
        """Wait for the changelog that is on its way, then write the state and commit; False as `_land`."""
        if (flight := self._flight) is None:
            return True
        epoch = self._group.epoch
        if not self._changelog.settle(flight.changes, lambda seconds: wait(seconds) and self._group.is_sure(wait)):
            self._drop(epoch)
            return False
        self._failpoints.hit("processor.after_changelog")
        for partition, writes in flight.plan.writes.items():
            if writes:
                self._state.write(partition, writes, self._place(partition, len(writes)))
        self._failpoints.hit("processor.after_state")
        self._flight = None
        self._group.finish(flight.ends)
        flight.plan.count(self._metrics)
        return True

    def _place(self, partition: int, count: int) -> int:
        """Return where in the changelog the state stands after `count` records more.

        It moves only if they join on to what is held: with another writer's record between, the next restore reads from the old place on.
        """
        held, end = self._state.place(partition), self._changelog.ends.get(partition, -1)
        return end if end == held + count else held

    def _drop(self, epoch: int) -> None:
        """Forget what is in hand and on its way, and read it again."""
        self._forget()
        if self._group.epoch == epoch:
            self._group.rewind()

    def _forget(self) -> None:
        self._sent = self._flight = self._trouble = None
        self._outputs.drop()
        self._changelog.drop()

    def _reader(self, partition: int) -> ReadState:
        """Return what reads the state of a partition as the batches that are on their way leave it."""
        batches = [batch.plan.writes.get(partition) for batch in (self._sent, self._flight) if batch is not None]
        under_way, stored = [writes for writes in batches if writes], self._state.read

        def read(key: bytes) -> bytes | None:
            for writes in under_way:
                if (found := writes.get(key)) is not None:
                    return found
            return stored(partition, key)

        return read


def once(seconds: float) -> bool:
    """Wait for what is on its way, without asking the group and without trying again: within its callbacks, and at the end."""
    return seconds == 0
