"""What a batch of records leads to, worked out before anything is sent: outputs in order, the last write of each key, and what to count."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from processors.port import Output, Processor, Record
from towpath.metrics import Counted, Metrics

Read = Callable[[int, bytes], bytes | None]


class Plan:
    """Outputs, writes (by partition) and counts of the records added so far; later records see the writes of earlier ones."""

    def __init__(self, processor: Processor, read: Read) -> None:
        self._processor = processor
        self._read = read
        self.outputs: list[Output] = []
        self.writes: dict[int, dict[bytes, bytes]] = defaultdict(dict)
        self._counts: list[Counted] = []

    def add(self, record: Record) -> Sequence[Output]:
        """Take in what `record` leads to and return its outputs; if the processor raises, the plan is as before."""
        fresh = self.writes[record.partition]

        def read(key: bytes) -> bytes | None:
            return fresh[key] if key in fresh else self._read(record.partition, key)

        step = self._processor.process(record, read)
        self.outputs.extend(step.outputs)
        fresh.update(step.writes)
        self._counts.extend(step.counts)
        return step.outputs

    def count(self, metrics: Metrics) -> None:
        """Count what happened, each figure once."""
        found: dict[tuple[str, *tuple[str, ...]], list[Counted]] = defaultdict(list)
        for counted in self._counts:
            found[counted.metric.name, *counted.labels.values()].append(counted)
        for same in found.values():
            metrics.add(same[0].metric, len(same), **same[0].labels)
