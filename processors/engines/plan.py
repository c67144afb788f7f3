"""What a batch of records leads to, worked out before anything is sent: outputs in order, the last write of each key, and what to count."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence

from processors.port import Output, Preparing, Processor, ReadState, Record
from towpath.metrics import Counted, Metrics

AHEAD = 64
"""Records that are prepared together: enough for it to pay, few enough for their events to be at hand still when their turn comes."""
Reader = Callable[[int], ReadState]
"""From a partition to what reads its state as it is before a batch."""


class Plan:
    """Outputs, writes (by partition) and counts of the records added so far; later records see the writes of earlier ones."""

    def __init__(self, processor: Processor, reader: Reader) -> None:
        self._processor = processor
        self._before = reader
        self.outputs: list[Output] = []
        self.writes: dict[int, dict[bytes, bytes]] = defaultdict(dict)
        self._readers: dict[int, ReadState] = {}
        self._counts: list[Counted] = []

    def add(self, record: Record) -> None:
        """Take in what `record` leads to; if the processor raises, the plan is as before."""
        step = self._processor.process(record, self._readers.get(record.partition) or self._reader(record.partition))
        self.outputs += step.outputs
        self._counts += step.counts
        if step.writes:
            self.writes[record.partition].update(step.writes)

    def ahead(self, records: Sequence[Record]) -> Iterator[Record]:
        """Yield the records, those that come next prepared together where the processor knows how to."""
        if not isinstance(self._processor, Preparing):
            yield from records
            return
        for begin in range(0, len(records), AHEAD):
            some = records[begin : begin + AHEAD]
            self._processor.prepare(some, lambda partition: self._readers.get(partition) or self._reader(partition))
            yield from some

    def count(self, metrics: Metrics) -> None:
        """Count what happened."""
        known = {id(counted): counted for counted in self._counts}  # the same few stand in it again and again
        for one, times in Counter(map(id, self._counts)).items():
            metrics.add(known[one].metric, times, **known[one].labels)

    def _reader(self, partition: int) -> ReadState:
        """Return what reads the state of a partition as the records added so far leave it."""
        fresh, before = self.writes[partition], self._before(partition)

        def read(key: bytes) -> bytes | None:
            found = fresh.get(key)
            return found if found is not None else before(key)

        self._readers[partition] = read
        return read
