"""(e) Starting, and coming back after kill -9, with a state of a million keys; beside a bare consumer that is killed as well and has no state."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.deployment import Deployment, deployment, orders_to_bng, wait_ready
from benchmarks.figures import Benchmark, Goal, Taken
from benchmarks.orders import OrderForm, load
from benchmarks.outputs import DELIVERIES, Checker, written
from benchmarks.processes import Measured, wait_until
from benchmarks.processor import OUTPUTS, SOURCE, engines
from benchmarks.progress import forget, watching
from benchmarks.sizes import Sizes
from benchmarks.state import fill
from processors.role import GROUP, engine_settings
from towpath.config import Config, load_config

TITLE = "Recovery: start, and kill -9, with the state of many orders"
METHOD = """The state stands in the changelog as that many orders left it (two keys each). `empty disk` is a start that reads all of it back,
`full disk` one that finds it in RocksDB; both to the moment the role says that it is ready. Then 200 new orders a second come in, the processor is
killed with SIGKILL in mid-stream, and started at once with the disk it left; `killed to next delivery` includes the broker's wait for the dead
worker (its session of 10 s). The control is the hand-written loop with the same session, and no state. Checked: repeats of old orders make nothing,
each new order its two records; what a kill repeats (at least once; the sink's ledger makes it one effect) is counted."""
BARE = "bare loop, no state"
PROBES = 1_000
PER_SECOND = 200
BEFORE_SECONDS, AFTER_SECONDS = 3.0, 3.0
BURST = 20
NEVER_SO_SOON = 0.3
"""Nothing that was started after a kill delivers within so many seconds; what comes sooner was sent before."""


def run(folder: Path, sizes: Sizes, only: Sequence[str] = ()) -> Benchmark:
    """Return what was measured."""
    names = [name for name in engines() if not only or name in only]
    contestants = {f"engine: {name}": name for name in names}
    goals = [Goal(f"{one}: killed to next delivery, beside the bare loop", one, BARE, "killed_to_next_delivery_s") for one in contestants]
    benchmark = Benchmark("recovery", TITLE, METHOD, goals=goals)
    with deployment(folder) as place:
        benchmark.add(BARE, _guarded(partial(_bare, place, names[0])))
        for contestant, name in contestants.items():
            benchmark.add(contestant, _guarded(partial(_ours, place, name, sizes.state_keys)))
    return benchmark


def _guarded(measure: Callable[[], Taken]) -> Taken:
    try:
        return measure()
    except (TimeoutError, RuntimeError) as error:
        return Taken({}, [str(error)])


@dataclass(slots=True)
class Contestant:
    """One that is started, killed in mid-stream, and started again; `first` is the number of its first new order."""

    place: Deployment
    config: Config
    group: str
    start: Callable[[], Measured]
    first: int = 0
    sent: int = 0

    def killed(self, process: Measured) -> tuple[Measured, float]:
        """Kill it in mid-stream and start it again; return the new process, and the time of the kill, once all is committed."""
        before, stop = self._count(DELIVERIES), threading.Event()
        feeding = threading.Thread(target=self._feed, args=(stop,), daemon=True)
        feeding.start()
        try:
            wait_until(lambda: self._count(DELIVERIES) > before, "the first delivery of the stream", 60)
            time.sleep(BEFORE_SECONDS)
            process.kill()
            killed_at = time.time()
            before, process = self._count(DELIVERIES), self.start()
            wait_until(lambda: self._count(DELIVERIES) > before, "a delivery after the kill", 120, every=0.5)
            time.sleep(AFTER_SECONDS)
        finally:
            stop.set()
            feeding.join()
        self.caught_up()
        return process, killed_at

    def _feed(self, stop: threading.Event) -> None:
        form, began = OrderForm(), time.monotonic()
        while not stop.is_set():
            self.sent += load(self.config.kafka, SOURCE, map(form.make, range(self.first + self.sent, self.first + self.sent + BURST)))
            stop.wait(max(0.0, began + self.sent / PER_SECOND - time.monotonic()))

    def _count(self, topic: str) -> int:
        with watching(self.place.servers, self.group, SOURCE, topic) as watch:
            return watch.outputs()

    def caught_up(self) -> None:
        """Return once the group has committed all there is."""
        with watching(self.place.servers, self.group, SOURCE, SOURCE) as watch:
            wait_until(lambda: watch.committed() >= watch.outputs(), f"{self.group} to have committed all", 120, every=0.2)

    def judged(self, killed_at: float) -> Taken:
        """Return the time to the next delivery, and what is wrong with all outputs there are."""
        records = list(written(self.place.servers, OUTPUTS))
        checked = Checker(orders=self.sent, first=self.first, repeats_allowed=True).check(records)
        after = [one.timestamp for one in records if one.topic == DELIVERIES and one.timestamp > killed_at + NEVER_SO_SOON]
        problems = [*checked.problems, *([] if after else ["nothing was delivered after the kill"])]
        return Taken({"killed_to_next_delivery_s": min(after, default=killed_at) - killed_at, "repeated_by_the_kill": checked.repeated}, problems)


def _bare(place: Deployment, engine: str) -> Taken:
    config = load_config(place.configure("bare", orders_to_bng(engine)))
    place.create_topics(config)
    bare = Contestant(place, config, "bare", lambda: Measured(place.folder / "bare.log", "benchmarks.bare_loop", place.servers, "bare", "0"))
    process = bare.start()
    try:
        process, killed_at = bare.killed(process)
    finally:
        process.stop()
    taken = bare.judged(killed_at)
    forget(place.servers, "bare", lambda _topic: False)
    return taken


def _ours(place: Deployment, engine: str, keys: int) -> Taken:
    path = place.configure(engine, orders_to_bng(engine))
    config = load_config(path)
    place.create_topics(config)
    settings = engine_settings(config)
    ours = Contestant(place, config, GROUP, partial(place.start, "processor", path))
    _started(ours, path)[0].stop()  # it makes its changelog
    ours.first = fill(config, settings.changelog, keys, settings.partitions)
    shutil.rmtree(settings.datadir)
    process, empty_s = _started(ours, path)
    restored_mb = process.now_mb()
    process.stop()
    process, full_s = _started(ours, path)
    try:
        _repeat_old(ours)
        process, killed_at = ours.killed(process)
        _repeat_old(ours)
        figures = {
            "empty_disk_s": empty_s,
            "full_disk_s": full_s,
            "restored_mb": restored_mb,
            "now_mb": process.now_mb(),
            "peak_mb": process.peak_mb(),
        }
    finally:
        process.stop()
    taken = ours.judged(killed_at)
    on_disk = sum(file.stat().st_size for file in settings.datadir.rglob("*") if file.is_file()) / 1e6
    forget(place.servers, GROUP, lambda _topic: False)
    return Taken({**figures, "disk_mb": on_disk, "state_keys": keys, **taken.figures}, taken.problems)


def _started(ours: Contestant, path: Path) -> tuple[Measured, float]:
    began = time.monotonic()
    process = ours.start()
    wait_ready(process, path, "processor")
    return process, time.monotonic() - began


def _repeat_old(ours: Contestant) -> None:
    """Send orders again whose state was read back: none may make anything."""
    load(ours.config.kafka, SOURCE, map(OrderForm().make, range(max(0, ours.first - PROBES), ours.first)))
    ours.caught_up()
