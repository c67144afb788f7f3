"""(a) The receiver: signed webhooks over 64 connections, answered after acks=all, beside a server that answers 200 and stores nothing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import asdict
from functools import partial
from pathlib import Path

from benchmarks.deployment import Deployment, deployment, shop, wait_ready
from benchmarks.figures import Benchmark, Goal, Limit, Taken, quantile
from benchmarks.http_load import Load, Told, told_of
from benchmarks.processes import Measured, cpu_s, measured, output_of, wait_until
from benchmarks.sizes import Sizes
from benchmarks.webhooks import body_of
from producers.base import WEBHOOK_ID
from towpath.broker.ports import answers, free_ports
from towpath.config import load_config
from towpath.demo.pairs import SHOP, WEBHOOK_SECRET
from towpath.kafka import KafkaSettings
from towpath.records import Record
from towpath.topic_reader import TopicReader

OURS, BARE = "towpath receiver", "bare aiohttp, 200"
TITLE = "Receiver: signed 1.5 KB webhooks, acks=all, 64 connections"
METHOD = """`towpath run receiver` on the embedded Kafka. The load generator (raw sockets on uvloop, a process of its own, its share of a core told
as `client_cpu_share`) keeps 64 connections busy in a closed loop; the control is an aiohttp server on uvloop that reads the body and answers
200. Both run the whole time, and are loaded in turn. Checked: every answer is 2xx, and the inbox holds exactly what was answered, as it was sent."""
GOALS = (Goal("requests/s beside the bare 200", OURS, BARE, "requests_per_s", least=0.6),)
LIMITS = (Limit("p99 of an answer", OURS, "p99_ms", 20),)
WARM_UP_SECONDS = 1.0


def run(folder: Path, sizes: Sizes) -> Benchmark:
    """Return what was measured."""
    benchmark = Benchmark("receiver", TITLE, METHOD, goals=GOALS, limits=LIMITS)
    ours, bare = free_ports(2)
    with deployment(folder) as place:
        path = place.configure("receiver", {"connections": {SHOP: shop()}, "receiver": {"port": ours}})
        place.create_topics(load_config(path))
        with measured(folder / "bare.log", "benchmarks.bare_http", str(bare)) as control:
            receiver = place.start("receiver", path)
            try:
                wait_ready(receiver, path, "receiver")
                wait_until(lambda: answers(bare), "the control to listen")
                accepted: Counter[str] = Counter()
                contestants = {
                    BARE: partial(_round, place, control, bare, sizes.receiver_seconds, None),
                    OURS: partial(_round, place, receiver, ours, sizes.receiver_seconds, accepted),
                }
                for server, port in ((control, bare), (receiver, ours)):
                    _round(place, server, port, WARM_UP_SECONDS, accepted if server is receiver else None)
                benchmark.alternate(contestants, sizes.rounds)
            finally:
                receiver.stop()
        benchmark.problems += [f"{OURS}: {problem}" for problem in stored_wrongly(inbox(place.servers), accepted)]
    return benchmark


def _round(place: Deployment, server: Measured, port: int, seconds: float, accepted: Counter[str] | None) -> Taken:
    run = f"run{sum(accepted.values()) if accepted else 0}"
    load = Load(port, f"/hooks/{SHOP}", WEBHOOK_SECRET, run, seconds)
    used, broker_used = server.cpu_s(), cpu_s(place.broker_process)
    told = told_of(output_of("benchmarks.http_load", json.dumps(asdict(load)), seconds=seconds + 120))
    server.require_running()
    if accepted is not None:
        accepted.update({f"{run}-{number}": times for number, times in told.accepted.items()})
    costs = {"cpu_s": server.cpu_s() - used, "broker_cpu_s": cpu_s(place.broker_process) - broker_used}
    return taken(told, costs, server.peak_mb())


def taken(told: Told, costs: Mapping[str, float], peak_mb: float) -> Taken:
    """Return the figures of one load; an answer other than 2xx, or none, is a problem."""
    answered = sum(told.accepted.values())
    wrong = {status: times for status, times in told.statuses.items() if not 200 <= status < 300}  # noqa: PLR2004 - 2xx
    figures = {
        "requests_per_s": answered / told.seconds,
        "p50_ms": quantile(told.latencies, 0.50) * 1000,
        "p99_ms": quantile(told.latencies, 0.99) * 1000,
        "max_ms": max(told.latencies, default=0.0) * 1000,
        **{f"{name}_per_10k": used / answered * 10_000 if answered else 0.0 for name, used in costs.items()},
        "client_cpu_share": told.client_cpu_share,
        "peak_mb": peak_mb,
    }
    problems = [f"{times} requests were answered {status or 'not at all'}" for status, times in wrong.items()]
    return Taken(figures, problems if answered else [*problems, "nothing was answered"])


def inbox(servers: str) -> Iterable[Record]:
    """Yield every record of the inbox."""
    with closing(TopicReader(KafkaSettings(bootstrap_servers=servers))) as reader:
        spans = {place: (extent.low, extent.high) for place, extent in reader.extents([f"inbox.{SHOP}"]).items()}
        for batch in reader.read(spans):
            yield from batch.records


def stored_wrongly(records: Iterable[Record], accepted: Mapping[str, int]) -> list[str]:
    """Return what is wrong where the records are not exactly what was accepted (how often, by the webhook's id), as it was sent."""
    stored: Counter[str] = Counter()
    changed = 0
    for record in records:
        webhook_id = record.header(WEBHOOK_ID) or ""
        stored[webhook_id] += 1
        changed += record.value != body_of(int(webhook_id.rpartition("-")[2]))
    lost = sum((Counter(accepted) - stored).values())
    more = sum((stored - Counter(accepted)).values())
    told = ((lost, "accepted webhooks are not in the inbox"), (more, "records were never accepted"), (changed, "records are not what was sent"))
    return [f"{times} {what}" for times, what in told if times]
