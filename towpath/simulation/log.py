"""Kafka as the world has it: topics of partitions, and consumer groups with members, generations and committed offsets (the eager protocol)."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from confluent_kafka import KafkaError

from towpath.records import Headers
from towpath.simulation.process import Process, World

Place = tuple[str, int]


class Message:
    """A record as confluent-kafka gives it, or an error."""

    __slots__ = ("_error", "_headers", "_key", "_offset", "_partition", "_time", "_topic", "_value")

    def __init__(
        self, place: Place, offset: int, time: float, key: bytes | None, value: bytes | None, headers: Headers, error: KafkaError | None = None
    ) -> None:
        (self._topic, self._partition), self._offset, self._time, self._error = place, offset, time, error
        self._key, self._value, self._headers = key, value, list(headers)

    def topic(self) -> str:
        """Return its topic."""
        return self._topic

    def partition(self) -> int:
        """Return its partition."""
        return self._partition

    def offset(self) -> int:
        """Return its offset."""
        return self._offset

    def key(self) -> bytes | None:
        """Return its key."""
        return self._key

    def value(self) -> bytes | None:
        """Return its value."""
        return self._value

    def headers(self) -> list[tuple[str, bytes]]:
        """Return its headers."""
        return self._headers

    def timestamp(self) -> tuple[int, int]:
        """Return the kind of its time, and that in milliseconds."""
        return 1, int(self._time * 1000)

    def error(self) -> KafkaError | None:
        """Return what is wrong."""
        return self._error


class Member(Protocol):
    """A member of a group, as its coordinator knows it."""

    id: str
    topics: Sequence[str]
    process: Process
    session_seconds: float
    generation: int
    joined: bool

    def told(self) -> None:
        """Look what is new, when it polls next."""
        ...


@dataclass(slots=True)
class Group:
    """One consumer group; `assignments` are by member."""

    generation: int = 0
    stable: bool = True
    members: dict[str, Member] = field(default_factory=dict)
    assignments: dict[str, list[Place]] = field(default_factory=dict)
    committed: dict[Place, int] = field(default_factory=dict)


class Log:
    """All topics, and the coordinator of all groups; `epoch` is the broker's clock in seconds."""

    def __init__(self, world: World, partitions: int, epoch: float) -> None:
        self.world, self.partitions, self._epoch = world, partitions, epoch
        self.records: dict[Place, list[Message]] = {}
        self.groups: dict[str, Group] = {}
        self.listeners: list[Callable[[Place], None]] = []

    def place(self, topic: str, key: bytes | None) -> Place:
        """Return where a record of this key goes."""
        number = zlib.crc32(key) if key is not None else self.world.random.randrange(self.partitions)
        return topic, number % self.partitions

    def at(self, place: Place) -> list[Message]:
        """Return the records of a partition."""
        return self.records.setdefault(place, [])

    def append(self, place: Place, key: bytes | None, value: bytes | None, headers: Headers = ()) -> int:
        """Take a record and return its offset."""
        records = self.at(place)
        records.append(Message(place, len(records), self._epoch + self.world.now, key, value, headers))
        self.world.note("record", place, len(records) - 1, zlib.crc32(value or b""))
        for listener in self.listeners:
            listener(place)
        return len(records) - 1

    def topic(self, topic: str) -> list[Message]:
        """Return all records of a topic."""
        return [message for partition in range(self.partitions) for message in self.at((topic, partition))]

    def group(self, name: str) -> Group:
        """Return a group."""
        return self.groups.setdefault(name, Group())

    def lag(self, name: str, topics: Sequence[str]) -> int:
        """Return how many records of these topics a group has not committed."""
        committed = self.group(name).committed
        places = [(topic, partition) for topic in topics for partition in range(self.partitions)]
        return sum(len(self.at(place)) - committed.get(place, 0) for place in places)

    def join(self, name: str, member: Member) -> None:
        """Take in a member, or one that has let go of its partitions and is there again."""
        group = self.group(name)
        if member.id not in group.members:
            group.members[member.id] = member
            self._unsettle(group)
        member.joined = True
        self._settle(name, group)

    def leave(self, name: str, member: Member) -> None:
        """Take a member out: it left, or was not heard of for a session."""
        group = self.group(name)
        if group.members.get(member.id) is member:
            del group.members[member.id]
            self.world.note("left", name, member.id)
            self._unsettle(group)
            self._settle(name, group)
            member.told()

    def _unsettle(self, group: Group) -> None:
        if group.stable:
            group.stable = False
            for member in group.members.values():
                member.joined = False
                member.told()

    def _settle(self, name: str, group: Group) -> None:
        if group.stable or not all(member.joined for member in group.members.values()):
            return
        group.stable, group.generation = True, group.generation + 1
        ids = sorted(group.members)
        group.assignments = {one: [] for one in ids}
        for topic in sorted({topic for member in group.members.values() for topic in member.topics}):
            each, more = divmod(self.partitions, len(ids))
            numbers = iter(range(self.partitions))
            for index, one in enumerate(ids):
                group.assignments[one] += [(topic, next(numbers)) for _ in range(each + (index < more))]
        self.world.note("generation", name, group.generation, ids)
        for member in group.members.values():
            member.told()
