"""(h) How fast an operator's `towpath dlq replay --all` sends dead letters again, and how fast they are done, beside the same deliveries live."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.asking import ask
from benchmarks.deployment import Deployment, deployment, shop
from benchmarks.figures import Benchmark, Goal, Taken
from benchmarks.orders import Sent, load
from benchmarks.plugged import plug_in
from benchmarks.processes import ROOT, measured, wait_until
from benchmarks.sink import IN_FLIGHT, deliveries, wrongly_called
from benchmarks.sizes import Sizes
from towpath.broker.ports import answers, free_ports
from towpath.clock import SystemClock
from towpath.codec import default_codec
from towpath.config import Config, load_config
from towpath.delivery.deadletters import PARKED, Failure, Registrar, Subject
from towpath.demo.pairs import SHOP
from towpath.records import Record

TITLE = "Redrive: parked deliveries, 20 ms target, 32 calls in flight"
METHOD = """So many deliveries, each of a key of its own, stand in `parked.*` as a sink left them, and the index knows none of them.
`towpath dlq replay --all` runs once: `command_s` is all of it, from its start to its end, with the indexing; `effects_per_s` are effects by the time
from the target's first call to its last answer, done by the sink of the sink benchmark while the command still sends. The control is the same sink
with the same deliveries as they come at first. Checked: each effect once, each of its key in order, and afterwards no dead letter is open."""
REDRIVEN, LIVE = "parked, replayed", "live"
SECONDS = 120


def run(folder: Path, sizes: Sizes) -> Benchmark:
    """Return what was measured."""
    plug_in()
    goals = [Goal("effects/s of replayed deliveries beside live ones", REDRIVEN, LIVE, "effects_per_s")]
    benchmark = Benchmark("redrive", TITLE, METHOD, goals=goals)
    (port,) = free_ports(1)
    with deployment(folder) as place, measured(folder / "target.log", "benchmarks.slow_target", str(port)):
        wait_until(lambda: answers(port), "the target to listen")
        target = f"http://127.0.0.1:{port}"
        rounds = [(f"slow{number}", sizes.redriven) for number in range(2 * sizes.rounds)]
        for turn in range(sizes.rounds):
            benchmark.add(LIVE, _round(place, target, *rounds[2 * turn], _live))
            benchmark.add(REDRIVEN, _round(place, target, *rounds[2 * turn + 1], _redriven))
    return benchmark


def _round(place: Deployment, target: str, name: str, count: int, begin: Callable[[Config, Path, str, int], dict[str, float]]) -> Taken:
    slow = {"system": "slow", "url": target, "limits": {"in_flight": IN_FLIGHT}}
    flow = {"source": SHOP, "target": name, "event": "OrderPlaced", "mapping": "nopcommerce-bng/order_placed"}
    path = place.configure(name, {"connections": {SHOP: shop(), name: slow}, "flows": {"things": flow}})
    config = load_config(path)
    place.create_topics(config)
    ask(f"{target}/begin", {"failing": []})
    process = place.start("sink", path, "benchmarks.plugged")
    try:
        figures = begin(config, path, name, count)
        wait_until(lambda: _done(target) >= count, f"{count} effects", SECONDS + count / 100, every=0.2)
        seen = ask(f"{target}/seen")
        figures["effects_per_s"] = count / (seen["last_done"] - seen["first_call"])
        problems = wrongly_called(seen, count, 1, [])
        wait_until(lambda: not _open(path), "every dead letter to be closed", 60, every=1.0)
    except (TimeoutError, RuntimeError) as error:
        return Taken({}, [str(error)])
    finally:
        process.stop()
    shutil.rmtree(path.parent)
    return Taken(figures, problems)


def _live(config: Config, _path: Path, name: str, count: int) -> dict[str, float]:
    load(config.kafka, f"deliver.{name}", deliveries(name, count, 1))
    return {}


def _redriven(config: Config, path: Path, name: str, count: int) -> dict[str, float]:
    load(config.kafka, f"parked.{name}", _parked(name, count))
    began = time.monotonic()
    _towpath(path, "dlq", "replay", "--all")
    took = time.monotonic() - began
    return {"command_s": took, "replayed_per_s": count / took}


def _parked(name: str, count: int) -> Iterator[Sent]:
    """Yield the deliveries as the sink parks them."""
    registrar, failure = Registrar(default_codec(), "sink", f"sink.{name}", frozenset({name})), Failure("503", "passing", state=PARKED)
    for number, sent in enumerate(deliveries(name, count, 1)):
        record = Record(f"deliver.{name}", 0, number, 0.0, sent.key, sent.value)
        _, output = registrar.dead_letter(record, failure, Subject(name, key=sent.key.decode(), flow="things"), SystemClock().now())
        yield Sent(number, sent.key, output.value or b"")


def _done(target: str) -> int:
    return sum(ask(f"{target}/seen")["done"].values())


def _open(path: Path) -> bool:
    return bool(_towpath(path, "dlq", "list", "--json").strip())


def _towpath(path: Path, *command: str) -> str:
    """Return what a command of an operator's printed; raises RuntimeError with its trouble."""
    arguments = [sys.executable, "-m", "benchmarks.plugged", *command, "--config", str(path)]
    done: Any = subprocess.run(arguments, capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"towpath {' '.join(command)}: exit code {done.returncode}: {done.stderr[-500:]}")
    return str(done.stdout)
