"""The logs that a run is judged by: what the receivers answered, what the systems hold, and what stands in the topics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from towpath.chaos.arena import Arena
from towpath.chaos.fault import TWINS_COUNTED
from towpath.codec import Codec
from towpath.delivery.deadletters import RECEIPTS
from towpath.demo.pairs import ERP, SHOP
from towpath.demo.play import figures
from towpath.demo.proof import Proof
from towpath.errors import DataError
from towpath.events import AGGREGATES, Event
from towpath.index.asking import told_letters
from towpath.kafka import KafkaSettings
from towpath.lag import behind, pipeline
from towpath.records import Record
from towpath.startup import in_daemon
from towpath.topic_reader import TopicReader

WEBHOOK_ID, KIND = "webhook-id", "towpath-kind"
Place = tuple[str, int, int]
Row = Mapping[str, Any]


class Fact(NamedTuple):
    """An event of a topic: what it is about, which version of it, its content's digest, and where it stands."""

    type: str
    identity: str
    key: str
    version: tuple[int, int]
    digest: str
    place: Place
    event_id: str = ""
    connection: str = ""
    trace: str = ""
    replayed: bool = False


class Asked(NamedTuple):
    """A delivery, and where it stands."""

    row: Row
    place: Place
    replayed: bool = False

    @property
    def version(self) -> tuple[int, int]:
        """Return its version."""
        return self.row["version"]["major"], self.row["version"]["minor"]


class Kind(StrEnum):
    """How a record came into an inbox."""

    WEBHOOK = "webhook"
    POLLED = "polled"
    BACKFILLED = "backfilled"
    ASKED = "asked"
    FETCHED = "fetched"


class Stored(NamedTuple):
    """A record of an inbox: how it came, the entity that its key names, and the trace that it began or goes on with."""

    connection: str
    kind: str
    key: str
    webhook_id: str
    trace: str
    content: bytes
    place: Place
    replayed: bool = False


class Letter(NamedTuple):
    """A record of a dead letter topic, with the record that it says it holds; None where that is not in its topic."""

    row: Row
    original: Record | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was found, after all has settled."""

    accepted: Mapping[str, frozenset[str]]
    """By connection: the webhooks that a receiver answered 2xx, as the sender noted."""
    stored: Mapping[str, frozenset[str]]
    """By connection: the webhooks in its inbox."""
    received: Sequence[Fact]
    unreadable: Sequence[Place]
    """What stands in `received.*` and is no event."""
    public: Sequence[Fact]
    deliveries: Sequence[Asked]
    receipts: Sequence[Row]
    """In the order in which they were written, for each key."""
    letters: Sequence[Letter]
    open_letters: Sequence[Row]
    proof: Proof
    lag: Mapping[str, int]
    twins_counted: int = 0
    """How many twins the fault's sinks told that they cancelled; of a fault that may not make any, none."""
    inbox: Sequence[Stored] = ()
    flows: frozenset[tuple[str, str]] = frozenset()
    """The events that some flow wants, each with its source."""
    illegible: Sequence[Place] = ()
    """What stands in a topic of dead letters and is none."""

    @property
    def twins(self) -> frozenset[str]:
        """Return what inboxes call the orders that stood twice and were cancelled for it: what is told of those is nobody's."""
        return frozenset(f"sales_order/{order_id}" for order_id in self.proof.cancelled_twins)


async def gather(arena: Arena) -> Evidence:
    """Read all logs; raises what reading them raises."""
    accepted = {name: frozenset(row["id"] for row in await arena.rows(name, "webhooks") if row["accepted"]) for name in (SHOP, ERP)}
    config, proof = arena.stack.config(), await figures(arena.stack)
    topics = await in_daemon(lambda: _Topics.read(config.kafka, list(config.connections), arena.codec))
    inbox = [one for name in accepted for one in topics.inbox(name)]
    return Evidence(
        accepted=accepted,
        stored={name: frozenset(one.webhook_id for one in inbox if (one.connection, one.kind) == (name, Kind.WEBHOOK)) for name in accepted},
        inbox=inbox,
        flows=frozenset((flow.source, flow.event) for flow in config.flows.values()),
        received=topics.facts("received."),
        unreadable=topics.unreadable(),
        public=topics.facts(""),
        deliveries=[Asked(row, place, topics.is_replay(place)) for name in accepted for row, place in topics.rows(f"deliver.{name}", "Delivery")],
        receipts=[row for row, _ in topics.rows(RECEIPTS, "Receipt")],
        letters=list(topics.letters()),
        illegible=topics.illegible(),
        open_letters=await in_daemon(lambda: told_letters(config)),
        proof=proof,
        lag=await in_daemon(lambda: lag_of(arena)),
        twins_counted=int(arena.notes.get(TWINS_COUNTED, 0)),
    )


def read_topics(kafka: KafkaSettings, names: Sequence[str]) -> list[Record]:
    """Return every record that stands in the topics now, in order per partition."""
    with closing(TopicReader(kafka)) as reader:
        spans = {place: (extent.low, extent.high) for place, extent in reader.extents(names).items()}
        return [record for batch in reader.read(spans) for record in batch.records]


def facts_of(records: Sequence[Record], codec: Codec) -> list[Fact]:
    """Return the events that stand in these records."""
    found = []
    for record in records:
        if (event := _event(record, codec)) is not None:
            meta = event.meta
            version = (meta["version"]["major"], meta["version"]["minor"])
            told = meta["event_id"], meta["connection"], record.trace_id, record.replay is not None
            found.append(Fact(event.type, event.identity, meta["key"], version, meta["digest"], _place(record), *told))
    return found


def lag_of(arena: Arena) -> dict[str, int]:
    """Return how many records each group has yet to read."""
    config = arena.stack.config()
    with closing(TopicReader(config.kafka)) as reader:
        return behind(reader, pipeline(config))


class _Topics:
    """All records of the topics, by place."""

    def __init__(self, records: Sequence[Record], codec: Codec) -> None:
        self._codec = codec
        self._by_topic: dict[str, list[Record]] = {}
        self._at: dict[Place, Record] = {}
        for record in records:
            self._by_topic.setdefault(record.topic, []).append(record)
            self._at[_place(record)] = record

    @classmethod
    def read(cls, kafka: KafkaSettings, connections: Sequence[str], codec: Codec) -> _Topics:
        aggregates = sorted(set(AGGREGATES.values()))
        names = [*aggregates, *(f"received.{name}" for name in aggregates), RECEIPTS, "dlq.unknown"]
        names += [f"{kind}.{name}" for kind in ("inbox", "deliver", "dlq", "parked") for name in connections]
        return cls(read_topics(kafka, names), codec)

    def inbox(self, connection: str) -> Iterator[Stored]:
        """Yield what stands in a connection's inbox."""
        for record in self._by_topic.get(f"inbox.{connection}", []):
            key, webhook_id = (record.key or b"").decode("utf-8", "replace"), record.header(WEBHOOK_ID) or ""
            how = record.header(KIND) or "", key, webhook_id, record.trace_id
            yield Stored(connection, *how, record.value or b"", _place(record), record.replay is not None)

    def facts(self, prefix: str) -> list[Fact]:
        """Return the events of every aggregate's topic with this prefix."""
        records = [record for name in sorted(set(AGGREGATES.values())) for record in self._by_topic.get(prefix + name, [])]
        return facts_of(records, self._codec)

    def unreadable(self) -> list[Place]:
        """Return where no event stands in `received.*`."""
        topics = [f"received.{name}" for name in sorted(set(AGGREGATES.values()))]
        return [_place(record) for topic in topics for record in self._by_topic.get(topic, []) if _event(record, self._codec) is None]

    def rows(self, topic: str, schema: str) -> Iterator[tuple[Row, Place]]:
        """Yield the rows of a topic with this schema."""
        for record in self._by_topic.get(topic, []):
            try:
                yield self._codec.decode_as(schema, record.value), _place(record)
            except DataError:
                continue

    def is_replay(self, place: Place) -> bool:
        """Tell whether what stands there was sent again."""
        return self._at[place].replay is not None

    def letters(self) -> Iterator[Letter]:
        """Yield every dead letter and parked record."""
        for topic in self._of_letters():
            for row, _ in self.rows(topic, "DeadLetter"):
                yield Letter(row, self._at.get((row["topic"], row["partition"], row["offset"])))

    def illegible(self) -> list[Place]:
        """Return where no dead letter stands in their topics."""
        found: list[Place] = []
        for topic in self._of_letters():
            told = {place for _, place in self.rows(topic, "DeadLetter")}
            found += [place for record in self._by_topic[topic] if (place := _place(record)) not in told]
        return found

    def _of_letters(self) -> list[str]:
        return sorted(topic for topic in self._by_topic if topic.startswith(("dlq.", "parked.")))


def _event(record: Record, codec: Codec) -> Event | None:
    try:
        event = Event(*codec.decode(record.value))
    except DataError:
        return None
    return event if event.type in AGGREGATES else None


def _place(record: Record) -> Place:
    return record.topic, record.partition, record.offset
