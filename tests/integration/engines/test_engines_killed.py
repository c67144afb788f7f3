"""What holds of every engine when its process dies, sleeps, or has a neighbour."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from processors.engines.testing import PARTITIONS, Place, running, until
from towpath.failpoints import VARIABLE

WORKER = Path(__file__).with_name("worker.py")

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def worker(kind: str, place: Place, tmp_path: Path) -> Iterator[Start]:
    """Give what starts a worker process; those still there at the end are killed."""
    started: list[subprocess.Popen[bytes]] = []

    def start(datadir: str = "data", processor: str = "once", seconds: float = 0.0, failpoint: str = "") -> subprocess.Popen[bytes]:
        armed = {VARIABLE: f"{failpoint}:1:{tmp_path / failpoint}"} if failpoint else {}
        command = [sys.executable, str(WORKER), kind, place.servers, place.name, str(tmp_path / datadir), processor, str(seconds)]
        with (tmp_path / "log").open("ab") as log:
            started.append(subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **armed}))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
    if started:
        sys.stdout.write((tmp_path / "log").read_text(errors="replace")[-8000:])  # pytest shows it where the test failed


async def ended(process: subprocess.Popen[bytes]) -> int:
    return await asyncio.to_thread(process.wait, 40)


async def test_a_worker_killed_again_and_again_loses_nothing_and_ends_all_committed(place: Place, worker: Start) -> None:
    events, kills = 8000, 3
    place.produce((b"k%d" % i, b"v%d" % i) for i in range(events))
    for kill in range(1, kills + 1):
        process = worker(seconds=0.0004)
        await until(lambda kill=kill: place.sent() >= kill * 1800, 60)  # type: ignore[misc]
        process.kill()
        await ended(process)
    worker(seconds=0.0004)
    await until(place.done, 60)
    assert set(place.values()) == {b"v%d" % i for i in range(events)}


async def test_whatever_step_it_dies_at_the_state_is_never_ahead_of_the_outputs_and_absorbs_what_is_read_again(place: Place, worker: Start) -> None:
    def batch(name: bytes) -> set[bytes]:
        place.produce(((b"%s%d" % (name, i), b"%s%d" % (name, i)) for i in range(50)), partition=0)
        return {b"%s%d" % (name, i) for i in range(50)}

    first = batch(b"a")
    assert await ended(worker(failpoint="processor.after_outputs")) == -signal.SIGKILL
    assert (place.sent(), sum(place.committed())) == (50, 0)
    assert await ended(worker(failpoint="processor.after_changelog", datadir="other")) == -signal.SIGKILL
    assert (place.sent(), sum(place.committed())) == (100, 0)  # sent again: nothing told that they were sent
    second = batch(b"b")
    assert await ended(worker(failpoint="processor.after_state")) == -signal.SIGKILL
    assert (place.sent() in {100, 150}, sum(place.committed())) == (True, 0)  # the changelog knew the first, be it on another disk
    worker()
    await until(place.done, 60)
    assert (place.sent(), set(place.values())) == (150, first | second)


async def test_partitions_that_go_to_another_worker_and_come_back_find_the_newest_state(kind: str, place: Place, tmp_path: Path) -> None:
    rows = [(b"k%d" % k, b"v") for k in range(2000)]
    place.produce(rows)
    async with running(kind, place.settings(tmp_path / "one")) as first:
        await until(place.done)
        async with running(kind, place.settings(tmp_path / "two")) as second:
            place.produce(rows)
            await asyncio.wait_for(second.ready.wait(), 60)
            await until(place.done)
        await asyncio.wait_for(first.ready.wait(), 60)
        place.produce(rows)
        await until(place.done)
    found = [(message.key(), message.value()) for message in place.outputs()]
    assert set(found) == {(key, b"v:%d" % n) for key, _ in rows for n in (1, 2, 3)}


def older_than_before(found: list[int]) -> int:
    """Return how many values stand behind a greater one."""
    return sum(value < most for value, most in zip(found, itertools.accumulate(found, max), strict=True))


async def test_a_worker_that_slept_through_the_loss_of_its_partitions_writes_no_state(kind: str, place: Place, worker: Start, tmp_path: Path) -> None:
    place.produce((b"k%d" % (i % 40), b"v") for i in range(1200))
    sleeper = worker(processor="count", seconds=0.01)
    await until(lambda: place.sent() >= 400)
    sleeper.send_signal(signal.SIGSTOP)
    settings = place.settings(tmp_path / "other")
    async with running(kind, settings):
        await until(place.done, 40)
        place.produce((b"k%d" % (i % 40), b"v") for i in range(400))
        await until(place.done)
        before = place.offsets(settings.changelog)
        sleeper.send_signal(signal.SIGCONT)
        place.produce((b"k%d" % (i % 40), b"last") for i in range(400))
        await until(place.done)
        assert sum(place.offsets(settings.changelog)) > sum(before)
        sleeper.send_signal(signal.SIGTERM)
        await ended(sleeper)
        place.produce((b"k%d" % (i % 40), b"end") for i in range(400))
        await until(place.done)
    counts: dict[bytes, list[int]] = {}
    for message in place.read(settings.changelog):
        counts.setdefault(message.key() or b"", []).append(int(message.value() or b""))
    on_its_way = {"faust": 1, "native": 0}[kind]  # what Faust's producer had taken before the sleep may still arrive (docs/engines.md)
    assert {key: found for key, found in counts.items() if older_than_before(found) > on_its_way} == {}
    assert min(found[-1] for found in counts.values()) >= 60  # more where a batch was read again whose state stood
    assert sum(place.committed()) == 2400


async def test_damaged_state_is_read_back_from_the_changelog(place: Place, tmp_path: Path) -> None:
    rows = [(b"k%d" % k, os.urandom(30).hex().encode()) for k in range(200)]
    damages: list[tuple[str, Callable[[Path], object]]] = [
        ("MANIFEST*", Path.unlink),
        ("CURRENT", spoiled),
        ("*.log", spoiled),
        ("*", lambda _: None),
    ]
    for files, damage in damages:
        place.produce(rows)
        async with running("native", place.settings(tmp_path)):
            await until(place.done)
        assert len(damaged(tmp_path / "native", files, damage)) >= PARTITIONS
    assert set(place.values()) == {value + b":%d" % n for _, value in rows for n in (1, 2, 3, 4)}


def spoiled(file: Path) -> None:
    file.write_bytes(os.urandom(file.stat().st_size))


def damaged(folder: Path, files: str, damage: Callable[[Path], object]) -> list[Path]:
    found = [path for path in folder.rglob(files) if path.is_file()]
    for path in found:
        damage(path)
    return found
