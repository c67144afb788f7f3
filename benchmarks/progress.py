"""Following a consumer group and its outputs from outside, and what its processes cost meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import NamedTuple

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from benchmarks.processes import Measured, wait_until
from towpath.kafka import KafkaSettings, make_admin, make_consumer

EVERY = 0.1
SECONDS = 10.0


class Sample(NamedTuple):
    """One look: when (seconds since the epoch), how many records the output holds, and the processor time used by then."""

    at: float
    outputs: int
    cpu_s: float
    broker_cpu_s: float


class Watch:
    """Looks at one topic's end and one group's place in another."""

    def __init__(self, servers: str, group: str, source: str, output: str, partitions: int = 4) -> None:
        self._consumer = make_consumer(KafkaSettings(bootstrap_servers=servers), group)  # it never joins
        self._source = [TopicPartition(source, number) for number in range(partitions)]
        self._output = [TopicPartition(output, number) for number in range(partitions)]
        wait_until(self._knows, f"Kafka to tell of {output}", 30)

    def _knows(self) -> bool:
        try:
            return self.outputs() >= 0
        except KafkaException:  # it was made only just now
            return False

    def close(self) -> None:
        """Leave Kafka."""
        self._consumer.close()

    def outputs(self) -> int:
        """Return how many records the output topic holds."""
        return sum(self._consumer.get_watermark_offsets(place, SECONDS)[1] for place in self._output)

    def committed(self) -> int:
        """Return how many records the group has committed."""
        return sum(max(0, place.offset) for place in self._consumer.committed(self._source, SECONDS))


def follow(
    watch: Watch, workers: Sequence[Measured], broker_cpu_s: Callable[[], float], *, events: int, outputs: int, seconds: float
) -> list[Sample]:
    """Return a sample every 0.1 s, from now until the group has committed every event and the outputs are there.

    Raises TimeoutError after so many seconds, RuntimeError where a worker ended.
    """
    samples: list[Sample] = []
    until = time.monotonic() + seconds
    while True:
        for worker in workers:
            worker.require_running()
        samples.append(Sample(time.time(), watch.outputs(), sum(worker.cpu_s() for worker in workers), broker_cpu_s()))
        if samples[-1].outputs >= outputs and watch.committed() >= events:
            return samples
        if time.monotonic() > until:
            raise TimeoutError(
                f"after {seconds:g} s there are {samples[-1].outputs} of {outputs} outputs, and {watch.committed()} of {events} commits"
            )
        time.sleep(EVERY)


def between(samples: Sequence[Sample], moment: float, figure: Callable[[Sample], float]) -> float:
    """Return a figure at a moment, in a straight line between the looks before and after it."""
    after = next((number for number, sample in enumerate(samples) if sample.at >= moment), len(samples) - 1)
    if after == 0:
        return figure(samples[0])
    one, two = samples[after - 1], samples[after]
    share = min(1.0, (moment - one.at) / (two.at - one.at)) if two.at > one.at else 1.0
    return figure(one) + share * (figure(two) - figure(one))


def forget(servers: str, group: str, keep: Callable[[str], bool]) -> None:
    """Delete a group that nobody is in any more, and every topic of ours that is not to be kept; returns when they are gone."""
    settings = KafkaSettings(bootstrap_servers=servers)
    admin = make_admin(settings)

    def is_deleted() -> bool:
        (deleted,) = admin.delete_consumer_groups([group]).values()
        error = deleted.exception(SECONDS)
        return error is None or "NOT_FOUND" in str(error)

    wait_until(is_deleted, f"the group {group} to be empty", 60, every=0.3)
    unwanted = [name for name in _topics(admin) if not keep(name) and not name.startswith("__")]
    if unwanted:
        for deleted in admin.delete_topics(unwanted, operation_timeout=SECONDS).values():
            deleted.result(2 * SECONDS)
        wait_until(lambda: not set(unwanted) & set(_topics(admin)), f"{len(unwanted)} topics to be deleted", 30, every=0.2)


def _topics(admin: AdminClient) -> list[str]:
    return list(admin.list_topics(timeout=SECONDS).topics)


def watching(servers: str, group: str, source: str, output: str) -> closing[Watch]:
    """Return a watch that ends with its `with`."""
    return closing(Watch(servers, group, source, output))
