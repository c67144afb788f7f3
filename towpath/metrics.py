"""Every metric that Towpath has, declared once; `python -m towpath.metrics` prints docs/metrics.md."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.registry import Collector

Figure = TypeVar("Figure", Counter, Gauge, Histogram)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric as it is declared: its name without the ending that its kind adds, its help, and its labels."""

    kind: ClassVar[str] = ""

    name: str
    help: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Count(Metric):
    """Something that only rises; exposed as <name>_total."""

    kind: ClassVar[str] = "counter"


@dataclass(frozen=True, slots=True)
class Level(Metric):
    """Something that rises and falls."""

    kind: ClassVar[str] = "gauge"


@dataclass(frozen=True, slots=True)
class Spread(Metric):
    """How values spread over buckets (seconds)."""

    kind: ClassVar[str] = "histogram"

    buckets: tuple[float, ...] = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


RECEIVED = Count("towpath_received", "Records written to the inbox, by how they came (webhook, poll, fetch).", ("connection", "via"))
REFUSED = Count("towpath_refused", "Webhooks the receiver did not accept, by the status it answered.", ("connection", "reason"))
DECODED = Count("towpath_decoded", "Canonical events decoded from the inbox.", ("connection", "event"))
DROPPED = Count("towpath_dropped", "Events that end here on purpose: duplicate, superseded, filtered, unrouted, echo.", ("event", "reason"))
ROUTED = Count("towpath_routed", "Deliveries made from events.", ("flow", "event"))
DELIVERED = Count(
    "towpath_delivered",
    "Deliveries finished, by outcome: applied (written now), found (it stood there), unchanged (it was done before), superseded (by a newer).",
    ("connection", "operation", "outcome"),
)
DEAD_LETTERS = Count(
    "towpath_dead_letters",
    "Records given up, by state (dead; parked: what failed may pass) and class of error (data, passing, bug).",
    ("connection", "state", "error_class"),
)
TWINS = Count(
    "towpath_twins",
    "What a process that stood still wrote beside another: what stands twice, by what became of the later one (cancelled, left for a person,"
    " unknown), or an old state that may stand over a newer one (overwritten: the newest is sent again by itself).",
    ("connection", "operation", "outcome"),
)
REPLAYED = Count(
    "towpath_replayed",
    "Records that were replayed, by what became of them; of the others' figures only dead_letters counts them.",
    ("hop", "outcome"),
)
PARKED = Level("towpath_parked", "Deliveries that wait in parking now, and are tried again by themselves.", ("connection",))
OPEN_LETTERS = Level(
    "towpath_open_dead_letters",
    "Dead letters (state dead) and parked records (state parked) that are open, as the index has them.",
    ("connection", "state"),
)
OLDEST_LETTER = Level(
    "towpath_oldest_dead_letter_timestamp_seconds",
    "When the oldest of them failed first (seconds since 1970), 0 where none is open.",
    ("connection", "state"),
)
RETRIES = Count("towpath_retries", "Tries of a record after its first one.", ("connection",))
LAG = Level(
    "towpath_lag_records",
    "Records between the committed offset and the end of the partition as its last fetch told it, of the partitions this process reads.",
    ("topic", "partition"),
)
IN_FLIGHT = Level("towpath_in_flight", "Records being worked on now: fetched or decoded by the adapter, delivered by the sink.", ("connection",))
CALL_SECONDS = Spread(
    "towpath_call_seconds",
    "Time of one call to a connection's system, signing in included, by its answer: 2xx, 3xx, 4xx, 5xx, none.",
    ("connection", "answer"),
)
THROTTLED = Count("towpath_throttled", "Answers by which a connection's system asked us to wait.", ("connection",))
CIRCUIT_OPEN = Level(
    "towpath_circuit_open",
    "1 while the connection's system as a whole does not answer, and one probe goes out every `probe_seconds`.",
    ("connection",),
)
POLL_AGE = Level(
    "towpath_poll_age_seconds", "Time since the list of an entity was last read to its end, or since the start.", ("connection", "entity")
)
RESTARTS = Level("towpath_restarts", "How often the supervisor has restarted this role since it started.", ("role",))

METRICS: tuple[Metric, ...] = (
    RECEIVED,
    REFUSED,
    DECODED,
    DROPPED,
    ROUTED,
    DELIVERED,
    DEAD_LETTERS,
    TWINS,
    REPLAYED,
    PARKED,
    OPEN_LETTERS,
    OLDEST_LETTER,
    RETRIES,
    LAG,
    IN_FLIGHT,
    CALL_SECONDS,
    THROTTLED,
    CIRCUIT_OPEN,
    POLL_AGE,
    RESTARTS,
)


class Counted(NamedTuple):
    """Something that happened, for whoever counts it: a counter, and its labels."""

    metric: Count
    labels: Mapping[str, str]


class Metrics:
    """One process's figures, on a registry of their own; labels are checked against the declaration."""

    def __init__(self, declared: Sequence[Metric] = METRICS) -> None:
        self.registry = CollectorRegistry()
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, Histogram] = {}
        self._labelled: dict[tuple[object, ...], Any] = {}
        for metric in declared:
            self._declare(metric)

    def _declare(self, metric: Metric) -> None:
        if isinstance(metric, Count):
            self._counters[metric.name] = Counter(metric.name, metric.help, metric.labels, registry=self.registry)
        elif isinstance(metric, Level):
            self._gauges[metric.name] = Gauge(metric.name, metric.help, metric.labels, registry=self.registry)
        elif isinstance(metric, Spread):
            self._histograms[metric.name] = Histogram(metric.name, metric.help, metric.labels, buckets=metric.buckets, registry=self.registry)

    def add(self, metric: Count, amount: float = 1, **labels: str) -> None:
        """Raise a counter by `amount`."""
        self._of(self._counters[metric.name], labels).inc(amount)

    def set(self, metric: Level, value: float, **labels: str) -> None:
        """Set a gauge to `value`."""
        self._of(self._gauges[metric.name], labels).set(value)

    def follow(self, metric: Level, read: Callable[[], float], **labels: str) -> None:
        """Have a gauge say what `read` returns whenever it is looked at."""
        self._gauges[metric.name].labels(**labels).set_function(read)

    def forget(self, metric: Level, **labels: str) -> None:
        """Expose a gauge no more for these labels: what it spoke of is gone, or another process's."""
        self._labelled.pop((self._gauges[metric.name], frozenset(labels.items())), None)
        self._gauges[metric.name].remove(*(labels[name] for name in metric.labels))

    def observe(self, metric: Spread, seconds: float, **labels: str) -> None:
        """Count one value of a histogram."""
        self._of(self._histograms[metric.name], labels).observe(seconds)

    def _of(self, metric: Figure, labels: dict[str, str]) -> Figure:
        """Return a metric's child for these labels, which is looked up once: checking labels costs more than counting."""
        key = (metric, frozenset(labels.items()))
        child: Figure | None = self._labelled.get(key)
        if child is None:
            child = self._labelled[key] = metric.labels(**labels) if labels else metric
        return child

    def register(self, collector: Collector) -> None:
        """Add a collector that computes its figures when they are read (a process's memory, a pool's size)."""
        self.registry.register(collector)

    def exposition(self) -> bytes:
        """Return all figures in Prometheus' text format."""
        return generate_latest(self.registry)


def _row(metric: Metric) -> str:
    name = f"{metric.name}_total" if isinstance(metric, Count) else metric.name
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{name}` | {metric.kind} | {labels} | {metric.help} |"


def reference() -> str:
    """Return docs/metrics.md as the declarations make it."""
    head = [
        "# Metrics",
        "",
        "Every role answers `/metrics` on its health port, with its process's own figures (`process_*`) beside these.",
        "This page is made from `towpath/metrics.py` by `python -m towpath.metrics > docs/metrics.md`.",
        "",
        "| Name | Kind | Labels | What it says |",
        "| --- | --- | --- | --- |",
    ]
    return "\n".join([*head, *map(_row, METRICS), ""])


if __name__ == "__main__":
    sys.stdout.write(reference())
