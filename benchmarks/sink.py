"""(c) The sink with its ledger, healthy and with 1 % of keys failing for ever, beside lanes written by hand without a ledger."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import orjson

from benchmarks.asking import ask
from benchmarks.deployment import Deployment, deployment, shop
from benchmarks.figures import Benchmark, Goal, Taken
from benchmarks.orders import SEED, OrderForm, Sent, load
from benchmarks.outputs import written
from benchmarks.plugged import plug_in
from benchmarks.processes import Measured, measured, wait_until
from benchmarks.sizes import Sizes
from towpath.broker.ports import answers, free_ports
from towpath.codec import default_codec
from towpath.config import load_config
from towpath.demo.pairs import SHOP
from towpath.testing.events import PLACED_AT

TITLE = "Sink: 20 ms target, 32 calls in flight, 10 effects a key"
METHOD = """`towpath run sink` with a system of the benchmark's own, whose one call takes 20 ms (so 1,600 a second are the limit): lanes, ledger in
SQLite with full durability before and after each call, receipts acknowledged by all. The control is lanes written by hand (uvloop, aiohttp,
confluent-kafka, a failing key waits outside the 32), without ledger and receipts. A rate is healthy effects by the time from the target's first
call to its last healthy answer. Failing keys are refused with 503 for ever. The target counts: never two calls of one key at once, none out of order,
each effect once; for ours the ledger and the receipts hold each effect once."""
OURS, OURS_FAILING, BARE, BARE_FAILING = "towpath sink", "towpath sink, 1 % of keys fail", "bare lanes", "bare lanes, 1 % of keys fail"
GOALS = (
    Goal("effects/s beside the bare lanes", OURS, BARE, "effects_per_s", least=0.8),
    Goal("effects/s with 1 % of keys failing beside none failing", OURS_FAILING, OURS, "effects_per_s", least=0.95),
    Goal("bare lanes with 1 % of keys failing beside none failing", BARE_FAILING, BARE, "effects_per_s"),
)
FAILING_SHARE = 0.01
IN_FLIGHT = 32


@dataclass(frozen=True, slots=True)
class Arena:
    """Where the contestants meet."""

    place: Deployment
    target: str
    events: int
    keys: int
    numbers: count[int]

    @property
    def failing(self) -> list[str]:
        """Return the keys that fail for ever."""
        return [f"thing-{number}" for number in range(max(1, int(self.keys * FAILING_SHARE)))]

    @property
    def each(self) -> int:
        """Return how many effects a key has."""
        return self.events // self.keys


def run(folder: Path, sizes: Sizes) -> Benchmark:
    """Return what was measured."""
    plug_in()
    benchmark = Benchmark("sink", TITLE, METHOD, goals=GOALS)
    (port,) = free_ports(1)
    with deployment(folder) as place, measured(folder / "target.log", "benchmarks.slow_target", str(port)):
        wait_until(lambda: answers(port), "the target to listen")
        arena = Arena(place, f"http://127.0.0.1:{port}", sizes.sink_events, sizes.sink_keys, count())
        contestants = {
            BARE: partial(_round, arena, _bare, failing=False),
            OURS: partial(_round, arena, _ours, failing=False),
            OURS_FAILING: partial(_round, arena, _ours, failing=True),
            BARE_FAILING: partial(_round, arena, _bare, failing=True),
        }
        benchmark.alternate(contestants, sizes.rounds)
    return benchmark


def deliveries(target: str, keys: int, each: int) -> Iterator[Sent]:
    """Yield `each` deliveries of every key, those of one key in order, keys mixed; the same ones every time."""
    left = [number for number in range(keys) for _ in range(each)]
    random.Random(SEED).shuffle(left)  # noqa: S311 - made-up data
    event, sequences = OrderForm().make(0).value, [count() for _ in range(keys)]
    for number in left:
        key, sequence = f"thing-{number}", next(sequences[number])
        yield Sent(number, key.encode(), default_codec().encode("Delivery", _delivery(target, key, sequence, event)))


def _delivery(target: str, key: str, sequence: int, event: bytes) -> dict[str, Any]:
    own = {"source": SHOP, "target": target, "event_type": "OrderPlaced", "mapping": "none", "mapping_version": "1", "event": event, "related": {}}
    name = f"{SHOP}/{key}/{sequence}"
    document = orjson.dumps({"Key": key, "Seq": sequence, "Note": "x" * 500}).decode()
    when = {"version": {"major": 1, "minor": sequence}, "occurred_at": PLACED_AT, "received_at": PLACED_AT}
    ids = {"delivery_id": name, "effect_key": name, "event_id": name, "key": f"{SHOP}/{key}", "trace_id": f"{1:032x}"}
    return {**own, **when, **ids, "flow": "things", "operation": "put_thing", "document": document}


def _ours(arena: Arena, path: Path, _topic: str) -> Measured:
    return arena.place.start("sink", path, "benchmarks.plugged")


def _bare(arena: Arena, path: Path, topic: str) -> Measured:
    return Measured(path.parent / "bare.log", "benchmarks.bare_lanes", arena.place.servers, topic, arena.target)


def _round(arena: Arena, start: Callable[[Arena, Path, str], Measured], *, failing: bool) -> Taken:
    name = f"slow{next(arena.numbers)}"
    slow = {"system": "slow", "url": arena.target, "limits": {"in_flight": IN_FLIGHT}}
    flow = {"source": SHOP, "target": name, "event": "OrderPlaced", "mapping": "nopcommerce-bng/order_placed"}
    path = arena.place.configure(name, {"connections": {SHOP: shop(), name: slow}, "flows": {"things": flow}})
    config = load_config(path)
    arena.place.create_topics(config)
    receipts = len(list(written(arena.place.servers, ["receipts"])))
    load(config.kafka, f"deliver.{name}", deliveries(name, arena.keys, arena.each))
    bad = arena.failing if failing else []
    ask(f"{arena.target}/begin", {"failing": bad})
    healthy = (arena.keys - len(bad)) * arena.each
    process = start(arena, path, f"deliver.{name}")
    try:
        wait_until(lambda: _done(process, arena.target) > 0, "the first effect", 60)
        used = process.cpu_s()
        wait_until(lambda: _done(process, arena.target) >= healthy, f"{healthy} effects", 60 + arena.events / 100, every=0.2)
        cost, peak = process.cpu_s() - used, process.peak_mb()
    except (TimeoutError, RuntimeError) as error:
        return Taken({}, [str(error)])
    finally:
        process.stop()
    seen = ask(f"{arena.target}/seen")
    problems = wrongly_called(seen, arena.keys, arena.each, bad)
    if start is _ours:
        told = len(list(written(arena.place.servers, ["receipts"]))) - receipts
        problems += unbooked(config.data_dir / "towpath.db", told, healthy)
    shutil.rmtree(path.parent)
    took = seen["last_done"] - seen["first_call"]
    figures = {"effects_per_s": healthy / took, "cpu_s_per_10k": cost / healthy * 10_000, "refused_calls": seen["refused"], "peak_mb": peak}
    return Taken(figures, problems)


def _done(process: Measured, target: str) -> int:
    process.require_running()
    return sum(ask(f"{target}/seen")["done"].values())


def wrongly_called(seen: Mapping[str, Any], keys: int, each: int, failing: Sequence[str]) -> list[str]:
    """Return what the target saw that it may never see."""
    wanted = {f"thing-{number}": each for number in range(keys) if f"thing-{number}" not in failing}
    problems = [f"{seen[name]} calls were {name.replace('_', ' ')}" for name in ("at_once", "out_of_order") if seen[name]]
    wrong = [key for key in {*wanted, *seen["done"]} if wanted.get(key, 0) != seen["done"].get(key, 0)]
    problems += [f"{len(wrong)} keys have not each effect once, such as {min(wrong)}"] if wrong else []
    problems += [f"{seen['most_in_flight']} calls were in flight, {IN_FLIGHT} may be"] if seen["most_in_flight"] > IN_FLIGHT else []
    return problems + (["no call of a failing key was refused"] if failing and not seen["refused"] else [])


def unbooked(ledger: Path, receipts: int, effects: int) -> list[str]:
    """Return what is wrong where ledger and receipts do not hold each effect once."""
    with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as database:
        (done,) = database.execute("SELECT count(*) FROM effects WHERE state = 'done'").fetchone()
    found = {"effects are done in the ledger": int(done), "receipts were written": receipts}
    return [f"{many} {what}, {effects} were made" for what, many in found.items() if many != effects]
