"""confluent-kafka's consumer and producer for a played process: as far as the production code uses them, and with the same callbacks in `poll`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from towpath.records import Headers
from towpath.simulation.log import Log, Message, Place
from towpath.simulation.process import Process, Worker

ROUND_TRIP = 0.004
MEMBERS = "abcdefghijklmnopqrstuvwxyz"
NOTHING_COMMITTED = -1001
Report = Callable[[KafkaError | None, Message], None]


def refused(code: int) -> KafkaException:
    """Return what confluent-kafka raises for an error of Kafka's."""
    return KafkaException(KafkaError(code))


class Consumer:
    """`confluent_kafka.Consumer`."""

    def __init__(self, process: Process, log: Log, config: Mapping[str, Any]) -> None:
        self.process, self._log = process, log
        self.group = str(config["group.id"])
        self.session_seconds = float(config.get("session.timeout.ms", 45_000)) / 1000
        self._on_commit = config.get("on_commit")
        self._tells_ends = bool(config.get("enable.partition.eof"))
        self.id, self.topics, self.generation, self.joined = "", (), 0, False
        self._calls: dict[str, Callable[..., None] | None] = {}
        self._mine: list[Place] = []
        self._next: dict[Place, int] = {}
        self._ended: set[Place] = set()
        self._paused: set[Place] = set()
        self._answers: deque[tuple[KafkaError | None, list[TopicPartition]]] = deque()
        self._asleep: Worker | None = None
        self._subscribed = self._closed = self._assigned_by_hand = False
        log.listeners.append(self._heard)
        process.on_death.append(self._died)
        process.on_freeze.append(self._froze)

    topics: Sequence[str]

    def subscribe(self, topics: Sequence[str], **calls: Callable[..., None]) -> None:
        """Ask for partitions of these topics, when it polls."""
        self.topics, self._calls, self._subscribed = tuple(topics), dict(calls), True

    def poll(self, seconds: float = 0.0) -> Message | None:
        """Serve callbacks and return a message, waiting for one."""
        found = self.consume(1, seconds)
        return found[0] if found else None

    def consume(self, limit: int, seconds: float = 0.0) -> list[Message]:
        """Serve callbacks and return up to so many messages, waiting for the first."""
        world = self.process.world
        end = world.now + seconds
        while True:
            self._serve()
            if (found := self._fetched(limit)) or world.now >= end:
                return found
            self._asleep = self.process.here()
            self._asleep.block(end - world.now)
            self._asleep = None

    def assignment(self) -> list[TopicPartition]:
        """Return what it reads."""
        return [TopicPartition(*place) for place in self._next]

    def assign(self, places: Sequence[TopicPartition]) -> None:
        """Read these, from their offsets on."""
        self._assigned_by_hand = True
        self._next = {(place.topic, place.partition): max(0, place.offset) for place in places}
        self._ended.clear()

    def unassign(self) -> None:
        """Read nothing."""
        self._next.clear()

    def pause(self, places: Sequence[TopicPartition]) -> None:
        """Read these no more."""
        self._paused |= {(place.topic, place.partition) for place in places}

    def resume(self, places: Sequence[TopicPartition]) -> None:
        """Read these again."""
        self._paused -= {(place.topic, place.partition) for place in places}

    def memberid(self) -> str:
        """Return its name in the group."""
        return self.id

    def committed(self, places: Sequence[TopicPartition], _seconds: float = 0.0) -> list[TopicPartition]:
        """Return what the group has committed."""
        self._travel()
        known = self._log.group(self.group).committed
        return [TopicPartition(place.topic, place.partition, known.get((place.topic, place.partition), NOTHING_COMMITTED)) for place in places]

    def get_watermark_offsets(self, place: TopicPartition, _seconds: float = 0.0, *, cached: bool = False) -> tuple[int, int]:
        """Return where a partition begins and ends."""
        if not cached:
            self._travel()
        return 0, len(self._log.at((place.topic, place.partition)))

    def commit(self, *, offsets: Sequence[TopicPartition], asynchronous: bool) -> list[TopicPartition]:
        """Commit these offsets."""
        if not asynchronous:
            self._travel()
            self._take(offsets)
            self._travel()
            return list(offsets)

        def later() -> None:
            try:
                self._take(offsets)
                error = None
            except KafkaException as raised:
                error = raised.args[0]
            self._answers.append((error, list(offsets)))

        self.process.world.soon(later, ROUND_TRIP)
        return []

    def close(self) -> None:
        """Leave."""
        if self._closed or self.process.dead:
            return
        self._closed = True
        if self._mine:
            self._call("on_revoke", self._give_back())
        self._log.leave(self.group, self)

    def told(self) -> None:
        """Look what is new in the group."""
        self._wake()

    def _take(self, offsets: Sequence[TopicPartition]) -> None:
        group = self._log.group(self.group)
        if group.members.get(self.id) is not self:
            raise refused(KafkaError.UNKNOWN_MEMBER_ID)
        if self.generation != group.generation:
            raise refused(KafkaError.ILLEGAL_GENERATION)
        group.committed |= {(place.topic, place.partition): place.offset for place in offsets}
        self.process.act("commits", self.group, sorted((place.partition, place.topic, place.offset) for place in offsets))

    def _serve(self) -> None:
        while self._answers:
            if self._on_commit is not None:
                self._on_commit(*self._answers.popleft())
            else:
                self._answers.popleft()
        if not self._subscribed or self._closed:
            return
        group = self._log.group(self.group)
        known = group.members.get(self.id) is self
        if self._mine and (not known or self.generation != group.generation):
            self._call("on_lost", self._give_back())
        if known and not group.stable and not self.joined:
            if self._mine:
                self._call("on_revoke", list(self._mine))
                self._give_back()
            if group.members.get(self.id) is self and not group.stable:
                self._log.join(self.group, self)
        elif not known:
            self.generation = 0
            self.id = f"{self.process.world.random.choice(MEMBERS)}-{self.process.name}-{group.generation}"
            self._log.join(self.group, self)
        if group.members.get(self.id) is self and group.stable and self.generation != group.generation:
            self._given(group.assignments[self.id])

    def _given(self, places: list[Place]) -> None:
        group = self._log.group(self.group)
        self.generation, self._mine = group.generation, list(places)
        self._paused.clear()
        self._assigned_by_hand = False
        self._call("on_assign", places)
        if not self._assigned_by_hand:
            self._next = {place: group.committed.get(place, 0) for place in places}

    def _give_back(self) -> list[Place]:
        places, self._mine = self._mine, []
        self._next.clear()
        return places

    def _call(self, name: str, places: Sequence[Place]) -> None:
        call = self._calls.get(name)
        if call is not None:
            call(self, [TopicPartition(*place) for place in places])

    def _fetched(self, limit: int) -> list[Message]:
        found: list[Message] = []
        places = [place for place in self._next if place not in self._paused]
        if len(places) > 1:
            turn = self.process.world.random.randrange(len(places))
            places = places[turn:] + places[:turn]
        for place in places:
            records, position = self._log.at(place), self._next[place]
            taken = records[position : position + limit - len(found)]
            found += taken
            self._next[place] = position + len(taken)
            if self._tells_ends and self._next[place] >= len(records) and place not in self._ended and len(found) < limit:
                self._ended.add(place)
                found.append(Message(place, len(records), 0.0, None, None, (), KafkaError(KafkaError._PARTITION_EOF)))  # noqa: SLF001
        return found

    def _travel(self) -> None:
        self.process.here().block(self.process.world.random.random() * ROUND_TRIP)

    def _heard(self, place: Place) -> None:
        if place in self._next:
            self._wake()

    def _wake(self) -> None:
        if self._asleep is not None and not self.process.dead:
            self._asleep.wake(ROUND_TRIP)

    def _died(self) -> None:
        self._closed = True
        self.process.world.after(self.session_seconds, lambda: self._log.leave(self.group, self))

    def _froze(self, seconds: float) -> None:
        if seconds > self.session_seconds:
            self.process.world.after(self.session_seconds, lambda: self._log.leave(self.group, self))


class Producer:
    """`confluent_kafka.Producer`: idempotent, so that what it sends arrives in its order."""

    def __init__(self, process: Process, log: Log) -> None:
        self._process, self._log = process, log
        self._left = 0
        self._arrives = 0.0
        self._gone = False
        self._reports: deque[tuple[Report | None, KafkaError | None, Message]] = deque()
        self._queued: deque[list[Any]] = deque()
        self._asleep: Worker | None = None

    def __len__(self) -> int:
        return self._left

    def produce(
        self,
        topic: str,
        value: bytes | None = None,
        key: bytes | None = None,
        partition: int = -1,
        *,
        on_delivery: Report | None = None,
        headers: Headers | None = None,
    ) -> None:
        """Send a record."""
        world = self._process.world
        place = (topic, partition) if partition >= 0 else self._log.place(topic, key)
        self._left += 1
        entry: list[Any] = [place, key, value, headers or (), on_delivery, False]
        self._queued.append(entry)
        self._arrives = max(self._arrives, world.now + world.random.random() * 2 * ROUND_TRIP)
        world.after(self._arrives - world.now, lambda: self._arrive(entry))

    def poll(self, seconds: float = 0.0) -> int:
        """Hand over reports, waiting for one."""
        if not self._reports and seconds > 0:
            self._sleep(seconds)
        handed = 0
        while self._reports:
            report, error, message = self._reports.popleft()
            self._left -= 1
            handed += 1
            if report is not None:
                report(error, message)
        return handed

    def flush(self, seconds: float) -> int:
        """Wait until all is reported and return how many are not."""
        end = self._process.world.now + seconds
        while self._left and self._process.world.now < end and not self._process.dead:
            self.poll(end - self._process.world.now)
        return self._left

    def purge(self, *, in_queue: bool = True, in_flight: bool = True) -> None:
        """Drop what is not on its way yet; of what is, nobody is told."""
        del in_queue, in_flight
        while self._queued and self._process.world.random.random() < 0.5:  # noqa: PLR2004 - as far as it has come
            entry = self._queued.pop()
            entry[5] = True
            self._tell(entry, KafkaError(KafkaError._PURGE_QUEUE), -1)  # noqa: SLF001

    def _arrive(self, entry: list[Any]) -> None:
        if entry[5]:
            return
        self._queued.remove(entry)
        world = self._process.world
        if self._process.dead:  # what has left the machine arrives, and nothing after what has not
            self._gone = self._gone or world.random.random() < 0.5  # noqa: PLR2004
            if self._gone:
                return
        place, key, value, headers, *_ = entry
        offset = self._log.append(place, key, value, headers)
        self._process.act("sent", place, offset)
        world.soon(lambda: self._tell(entry, None, offset), ROUND_TRIP)

    def _tell(self, entry: list[Any], error: KafkaError | None, offset: int) -> None:
        place, key, value, headers, report, _ = entry
        self._reports.append((report, error, Message(place, offset, 0.0, key, value, headers, error)))
        if self._asleep is not None and not self._process.dead:
            self._asleep.wake()

    def _sleep(self, seconds: float) -> None:
        self._asleep = self._process.here()
        self._asleep.block(seconds)
        self._asleep = None
