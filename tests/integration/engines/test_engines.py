"""What holds of every engine while nothing goes wrong around it."""

from __future__ import annotations

import asyncio
import os
from contextlib import closing
from pathlib import Path

import pytest

from processors.engines.settings import EngineError
from processors.engines.testing import ENGINES, PARTITIONS, Count, Place, Slow, running, until
from processors.port import Output, ReadState, Record, Step
from towpath.errors import ConfigError, RetryableError
from towpath.metrics import DROPPED, LAG, Counted, Metrics


async def test_records_are_processed_in_order_and_see_what_their_key_left_before(kind: str, place: Place, tmp_path: Path) -> None:
    place.produce((b"k%d" % (i % 7), b"%d" % i) for i in range(1000))
    async with running(kind, place.settings(tmp_path)) as engine:
        assert engine.healthy() == "not started"
        await until(place.done)
        assert (engine.ready.is_set(), engine.healthy()) == (True, None)
    assert (engine.ready.is_set(), engine.healthy()) == (False, "stopped")
    found: dict[bytes, list[bytes]] = {}
    for message in place.outputs():
        found.setdefault(message.key() or b"", []).append(message.value() or b"")
    assert found == {b"k%d" % k: [b"%d:%d" % (i, n + 1) for n, i in enumerate(range(k, 1000, 7))] for k in range(7)}


async def test_null_keys_null_values_and_repeated_headers_arrive_as_they_are(kind: str, place: Place, tmp_path: Path) -> None:
    headers = [("a", b"1"), ("a", b"2"), ("b", b"")]
    place.produce([(None, b"no key"), (b"k", None), (b"", b"")], headers)
    async with running(kind, place.settings(tmp_path)):
        await until(place.done)
    found = {(message.key(), message.value()): message.headers() for message in place.outputs()}
    assert found == {(None, b"no key:1"): headers, (b"k", b"null:1"): headers, (b"", b":1"): headers}


async def test_state_outlives_a_restart_and_the_loss_of_its_directory(kind: str, place: Place, tmp_path: Path) -> None:
    for directory, store in (("one", "rocksdict"), ("one", "rocksdict"), ("other", "rocksdict"), ("none", "memory")):
        place.produce((b"k%d" % k, b"v") for k in range(20))
        async with running(kind, place.settings(tmp_path / directory, store=store)):
            await until(place.done)
    assert place.values() == sorted([b"v:1", b"v:2", b"v:3", b"v:4"] * 20)


async def test_state_of_a_changelog_that_was_made_anew_begins_anew(kind: str, place: Place, tmp_path: Path) -> None:
    settings = place.settings(tmp_path)
    for made_anew in (False, False, True):
        if made_anew:
            place.delete(settings.changelog)
        place.produce((b"k%d" % k, b"v") for k in range(20))
        async with running(kind, settings):
            await until(place.done)
    assert place.values() == sorted([b"v:1", b"v:2", b"v:1"] * 20)


class Held(Count):
    """The same, once it is let go: until then it raises what is tried again."""

    released = False

    def process(self, record: Record, read: ReadState) -> Step:
        if not self.released:
            raise RetryableError("not yet", retry_after=0.05)
        step = super().process(record, read)
        return Step(step.outputs, step.writes, [Counted(DROPPED, {"event": "any", "reason": "echo"})])


async def test_a_passing_failure_is_waited_out_and_the_lag_tells_what_is_not_committed_of_ours(kind: str, place: Place, tmp_path: Path) -> None:
    metrics, processor = Metrics(), Held()

    def lag() -> list[float | None]:
        return [metrics.registry.get_sample_value(LAG.name, {"topic": place.name, "partition": str(p)}) for p in range(PARTITIONS)]

    place.produce((b"k%d" % k, b"v") for k in range(40))
    ends = place.offsets(place.name)
    async with running(kind, place.settings(tmp_path), processor, metrics):
        await until(lambda: lag() == ends)
        assert place.committed() == [0] * PARTITIONS
        processor.released = True
        await until(lambda: lag() == [0] * PARTITIONS)
        async with running(kind, place.settings(tmp_path / "other")):
            await until(lambda: lag().count(None) == PARTITIONS // 2)
        await until(lambda: lag() == [0] * PARTITIONS)
    assert (sum(ends), place.values()) == (40, [b"v:1"] * 40)
    assert metrics.registry.get_sample_value("towpath_dropped_total", {"event": "any", "reason": "echo"}) == 40


async def test_a_stop_amid_the_work_finishes_and_commits_what_is_in_hand(kind: str, place: Place, tmp_path: Path) -> None:
    place.produce((b"k%d" % k, b"v") for k in range(5000))
    async with running(kind, place.settings(tmp_path), Slow(0.001)):
        await until(lambda: place.sent() > 0)
    assert 0 < sum(place.committed()) == len(place.outputs()) < 5000


async def test_a_processor_that_raises_ends_the_run_and_its_record_is_never_committed(kind: str, place: Place, tmp_path: Path) -> None:
    place.produce([(b"k", b"%d" % i) for i in range(10)] + [(b"k", b"poison"), (b"k", b"after")])
    for _ in range(2):
        with pytest.raises(EngineError, match="offset 10: ZeroDivisionError"):
            await ENGINES[kind](place.settings(tmp_path), Count()).run(asyncio.Event())
        assert max(place.committed()) == 10
    assert [message.value() for message in place.outputs()] == [b"%d:%d" % (i, i + 1) for i in range(10)]


class Swell:
    """Sends a value that no topic takes, however it is compressed."""

    def process(self, record: Record, read: ReadState) -> Step:
        assert read(b"k") is None
        return Step([Output(f"{record.topic}-out", record.key, os.urandom(2_000_000))], {b"k": b"sent"})


async def test_an_output_that_no_topic_takes_ends_the_run_and_leaves_state_and_offset_as_they_were(kind: str, place: Place, tmp_path: Path) -> None:
    place.produce([(b"k", b"v")])
    for _ in range(2):
        with pytest.raises(EngineError, match=f"sending to {place.out}: .*too large"):
            await ENGINES[kind](place.settings(tmp_path), Swell()).run(asyncio.Event())
    assert (place.committed(), place.outputs()) == ([0] * PARTITIONS, [])


async def test_a_missing_output_topic_is_waited_for(kind: str, kafka: str, tmp_path: Path) -> None:
    with closing(Place(kafka)) as place:
        place.create(place.name)
        place.produce((b"k%d" % k, b"v") for k in range(20))
        impatient = {"message.timeout.ms": 1000, "topic.metadata.propagation.max.ms": 500}
        async with running(kind, place.settings(tmp_path, producer=impatient)) as engine:
            await until(lambda: "sending to" in (engine.healthy() or ""))
            assert place.committed() == [0] * PARTITIONS
            place.create(place.out)
            await until(place.done)
            await until(lambda: engine.healthy() is None)
        assert place.values() == [b"v:1"] * 20


async def test_a_missing_input_topic_is_a_config_error(kind: str, kafka: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        await ENGINES[kind](Place(kafka).settings(tmp_path), Count()).run(asyncio.Event())


async def test_a_changelog_that_is_not_compacted_is_a_config_error(kind: str, place: Place, tmp_path: Path) -> None:
    place.create(place.settings(tmp_path).changelog)
    with pytest.raises(ConfigError, match=r"cleanup\.policy=delete"):
        await ENGINES[kind](place.settings(tmp_path), Count()).run(asyncio.Event())
