from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from towpath.delivery.offsets import OffsetTracker


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[str, int]]:
    """Return reads of rising offsets, with gaps as compaction and aborted transactions leave them, mixed with finishes and commits."""
    steps: list[tuple[str, int]] = []
    unfinished: list[int] = []
    offset = draw(st.integers(0, 1000))
    for _ in range(draw(st.integers(0, 60))):
        step = draw(st.sampled_from(["start", "finish", "commit"]))
        if step == "start":
            offset += draw(st.integers(1, 3))
            unfinished.append(offset)
            steps.append((step, offset))
        elif step == "finish" and unfinished:
            steps.append((step, unfinished.pop(draw(st.integers(0, len(unfinished) - 1)))))
        elif step == "commit":
            steps.append((step, -1))
    return steps


@settings(deadline=None)
@given(histories())
def test_what_is_committed_never_passes_an_unfinished_record_and_misses_no_finished_one(history: list[tuple[str, int]]) -> None:
    tracker = OffsetTracker()
    read: list[int] = []
    finished: set[int] = set()
    committed: int | None = None
    for step, offset in history:
        if step == "start":
            tracker.start(offset)
            read.append(offset)
        elif step == "finish":
            tracker.finish(offset)
            finished.add(offset)
        elif (due := tracker.committable()) is not None:
            assert committed is None or due > committed
            tracker.committed(due)
            committed = due
        open_offsets = [one for one in read if one not in finished]
        expected = min(open_offsets) if open_offsets else (read[-1] + 1 if read else None)
        assert (None if expected == committed else expected) == tracker.committable()


def test_nothing_read_is_nothing_to_commit() -> None:
    assert OffsetTracker().committable() is None


def test_a_record_from_before_the_partition_went_and_came_back_is_no_harm() -> None:
    tracker = OffsetTracker()
    tracker.start(5)
    tracker.finish(4)
    tracker.finish(5)
    tracker.finish(5)
    assert tracker.committable() == 6
