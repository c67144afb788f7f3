from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace

import pytest

from processors.engines.native_loop import Loop
from processors.engines.outbox import Sent, Wait
from processors.engines.settings import EngineSettings
from processors.port import Output, ReadState, Record, Step
from towpath.metrics import Metrics


class Chain:
    """Appends each value to what the state holds, and sends the whole."""

    def process(self, record: Record, read: ReadState) -> Step:
        whole = (read(b"k") or b"") + (record.value or b"")
        return Step([Output("out", b"k", whole)], {b"k": whole})


class World:
    """The group and both producers of a loop; it keeps what is done to it, in order."""

    def __init__(self, folder: Path) -> None:
        self.events: list[object] = []
        self.refused = self.unacked = self.unsure = False
        self.epoch = 0
        self.ends: dict[int, int] = {}
        self.breathe = lambda _: True
        self.loop = Loop(EngineSettings("127.0.0.1:1", "group", ("in",), 1, folder, security={"log_level": "0"}), Chain(), Metrics(), "id")
        self.loop._group = self.loop._outputs = self  # type: ignore[assignment]
        self.loop._changelog = SimpleNamespace(put=self.log, settle=self.settled, drop=self.drop, ends=self.ends)  # type: ignore[assignment]
        self.loop._state.keep([0])

    def put(self, sends: Iterable[Sent]) -> None:
        self.events += [("out", output.value) for output, _ in sends]

    def settle(self, sends: Callable[[], Iterable[Sent]], wait: Wait) -> bool:
        self.events.append(("acked", len(list(sends()))))
        return wait(0) and not self.unacked

    def log(self, sends: Iterable[Sent]) -> None:
        for output, partition in sends:
            self.ends[partition] = self.ends.get(partition, -1) + 1
            self.events.append(("log", output.value))

    def settled(self, _sends: Callable[[], Iterable[Sent]], wait: Wait) -> bool:
        return wait(0) and not self.refused

    def is_sure(self, _wait: Wait) -> bool:
        return not self.unsure

    def finish(self, ends: dict[tuple[str, int], int]) -> None:
        self.events.append(("done", *ends.values()))

    def rewind(self) -> None:
        self.events.append("rewind")

    def drop(self) -> None:
        """Forget what is queued."""

    def work(self, *values: bytes, first: int = 0) -> None:
        self.loop._work([Record("in", 0, first + n, 0.0, b"k", value) for n, value in enumerate(values)])

    def state(self) -> bytes | None:
        return self.loop._state.read(0, b"k")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_batch_reads_what_those_before_have_on_their_way_and_each_lands_in_its_turn(world: World) -> None:
    world.work(b"a", b"b")
    world.work(b"c", first=2)
    assert world.state() is None
    world.work(b"d", first=3)
    assert world.state() == b"ab"
    assert world.loop._land(world.breathe)
    first = [("out", b"a"), ("out", b"ab"), ("acked", 2), ("log", b"ab")]
    second = [("out", b"abc"), ("acked", 1), ("done", 2), ("log", b"abc")]
    assert world.events == [*first, *second, ("out", b"abcd"), ("acked", 1), ("done", 3), ("log", b"abcd"), ("done", 4)]
    assert (world.state(), world.loop._state.place(0)) == (b"abcd", 2)


def test_outputs_follow_only_when_those_before_are_acknowledged(world: World) -> None:
    world.work(b"a")
    world.unacked = True
    world.work(b"b", first=1)
    assert (world.events, world.state(), world.loop._sent) == ([("out", b"a"), ("acked", 1), "rewind"], None, None)


def test_a_batch_whose_forerunner_does_not_land_is_read_again_with_it(world: World) -> None:
    world.work(b"a")
    world.refused = True
    world.work(b"b", first=1)
    world.work(b"c", first=2)
    assert world.events[-2:] == [("acked", 1), "rewind"]
    assert (world.state(), world.loop._flight, world.loop._sent) == (None, None, None)
    world.refused = False
    world.work(b"a", b"b")
    assert world.loop._land(world.breathe)
    assert (world.state(), world.events[-1]) == (b"ab", ("done", 2))
    assert world.loop._state.place(0) == -1  # the first try may stand in the changelog: the next restore reads from before it


def test_a_worker_that_is_not_sure_of_its_partitions_writes_nothing(world: World) -> None:
    world.unsure = True
    world.work(b"a")
    assert not world.loop._land(world.breathe)
    assert (world.events, world.state(), world.loop._flight) == ([("out", b"a"), ("acked", 1), "rewind"], None, None)


def test_partitions_that_go_take_along_what_is_in_hand_and_leave_what_was_on_its_way(world: World) -> None:
    world.work(b"a")
    world.work(b"b", first=1)
    world.loop.revoked()
    assert (world.events[-1], world.state()) == (("done", 2), b"ab")
    world.work(b"c", first=2)
    world.loop.lost()
    assert (world.state(), world.loop._flight, world.loop._sent) == (b"ab", None, None)
