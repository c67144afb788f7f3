"""(b) The processor on each engine, with one worker and with two, beside a hand-written loop that makes the same outputs."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import get_args

from benchmarks.deployment import Deployment, deployment, orders_to_bng
from benchmarks.figures import Benchmark, Goal, Taken
from benchmarks.orders import load, stream
from benchmarks.outputs import DELIVERIES, PUBLIC, Checked, Checker, written
from benchmarks.processes import Measured, cpu_s
from benchmarks.progress import Sample, between, follow, forget, watching
from benchmarks.sizes import Sizes
from processors.role import GROUP
from towpath.config import Config, load_config

TITLE = "Processor: Avro OrderPlaced of 700 bytes, 30 % repeated: decode, deduplicate, map, encode"
METHOD = """`towpath run processor` with one flow, NopCommerce orders to BNG, on a topic of 4 partitions that is full before it starts; its state is
durable (RocksDB and a changelog). Each order becomes two records, the public event and the delivery with BNG's document. The control is a loop of
confluent-kafka and fastavro with a mapping written by hand and a set in memory, which makes the same two records, or the delivery alone. A run is
timed from the first delivery to the last, by the records' own times; the workers of a pair are let in together. Topics, group and state are made
anew for each run. Checked: each order's two records are there once, and are what the hand-written mapping says, byte for byte or field by field."""
SOURCE = "received.orders"
OUTPUTS = (DELIVERIES, PUBLIC, "dlq.shop", "dlq.erp", "dlq.unknown", "holds", "receipts")
REPEATED = 0.3
TOGETHER_MS = 6_000
BARE, BARE_ONE_OUTPUT, BARE_TWO = "bare loop", "bare loop, deliveries alone", "bare loop, 2 processes"
TARGETS = {"faust": 0.25, "native": 0.7}


@dataclass(frozen=True, slots=True)
class Arena:
    """Where the contestants meet: a Kafka with all events."""

    place: Deployment
    config: Config
    events: int
    numbers: count[int]

    @property
    def orders(self) -> int:
        """Return how many different orders the events are of."""
        return self.events - int(self.events * REPEATED)

    @property
    def patience(self) -> float:
        """Return how many seconds a run may take."""
        return 90 + self.events / 500


def engines() -> Sequence[str]:
    """Return every engine that the configuration knows."""
    return [str(name) for name in get_args(Config.model_fields["engine"].annotation)]


def run(folder: Path, sizes: Sizes, only: Sequence[str] = ()) -> Benchmark:
    """Return what was measured."""
    names = [name for name in engines() if not only or name in only]
    pairs = sizes.processor_pairs
    benchmark = Benchmark("processor", TITLE, METHOD, goals=_goals(names, pairs=pairs))
    with deployment(folder, group_initial_rebalance_delay_ms=str(TOGETHER_MS if pairs else 0)) as place:
        config = load_config(place.configure("topics", orders_to_bng(names[0])))
        place.create_topics(config)
        arena = Arena(place, config, load(config.kafka, SOURCE, stream(sizes.processor_events, REPEATED)), count())
        contestants: dict[str, Callable[[], Taken]] = {BARE: partial(_bare, arena, 1)}
        for name in names:
            contestants[_one(name)] = partial(_engine, arena, name, 1)
        contestants[BARE_ONE_OUTPUT] = partial(_bare, arena, 1, public=False)
        if pairs:
            contestants[BARE_TWO] = partial(_bare, arena, 2)
            contestants |= {_two(name): partial(_engine, arena, name, 2) for name in names}
        benchmark.alternate(contestants, sizes.rounds)
    return benchmark


def _one(engine: str) -> str:
    return f"engine: {engine}"


def _two(engine: str) -> str:
    return f"engine: {engine}, 2 workers"


def _goals(names: Sequence[str], *, pairs: bool) -> list[Goal]:
    found = []
    for name in names:
        found.append(Goal(f"engine {name} beside the bare loop", _one(name), BARE, "events_per_s", least=TARGETS.get(name)))
        found.append(Goal(f"engine {name} beside the bare loop that makes one output", _one(name), BARE_ONE_OUTPUT, "events_per_s"))
        if pairs:
            found.append(Goal(f"engine {name}, two workers beside one", _two(name), _one(name), "events_per_s", least=1.8))
    return [*found, Goal("bare loop, two processes beside one: what the machine gives", BARE_TWO, BARE, "events_per_s")] if pairs else found


def _engine(arena: Arena, engine: str, workers: int) -> Taken:
    number = next(arena.numbers)
    paths = [arena.place.configure(f"run{number}-{worker}", orders_to_bng(engine)) for worker in range(workers)]
    try:
        return _measure(arena, GROUP, lambda: [arena.place.start("processor", path) for path in paths])
    finally:
        for path in paths:
            shutil.rmtree(path.parent)


def _bare(arena: Arena, workers: int, *, public: bool = True) -> Taken:
    arguments = ("benchmarks.bare_loop", arena.place.servers, "bare", "0" if public else "1")
    log = arena.place.folder / "bare.log"
    return _measure(arena, "bare", lambda: [Measured(log, *arguments) for _ in range(workers)], public=public)


def _measure(arena: Arena, group: str, start: Callable[[], Sequence[Measured]], *, public: bool = True) -> Taken:
    place = arena.place
    peaks: list[float] = []
    try:
        with ExitStack() as stack:
            watch = stack.enter_context(watching(place.servers, group, SOURCE, DELIVERIES))
            workers = start()
            for worker in workers:
                stack.callback(worker.stop)
            samples = follow(watch, workers, lambda: cpu_s(place.broker_process), events=arena.events, outputs=arena.orders, seconds=arena.patience)
            peaks = [worker.peak_mb() for worker in workers]
        checked = Checker(orders=arena.orders).check(written(place.servers, OUTPUTS), public=public)
        return Taken(_figures(checked, samples, arena.events) | {"peak_mb": max(peaks)}, checked.problems)
    except (TimeoutError, RuntimeError) as error:
        return Taken({}, [str(error)])
    finally:
        forget(place.servers, group, lambda topic: topic.startswith("received."))
        place.create_topics(arena.config)


def _figures(checked: Checked, samples: Sequence[Sample], events: int) -> dict[str, float]:
    first, last = checked.span
    took = last - first

    def per_100k(figure: Callable[[Sample], float]) -> float:
        return (between(samples, last, figure) - between(samples, first, figure)) / events * 100_000

    return {
        "events_per_s": events / took if took else 0.0,
        "cpu_s_per_100k": per_100k(lambda sample: sample.cpu_s),
        "broker_cpu_s_per_100k": per_100k(lambda sample: sample.broker_cpu_s),
        "start_to_first_s": first - samples[0].at,
    }
