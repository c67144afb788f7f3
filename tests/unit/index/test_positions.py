"""Where the index stands in each partition, whoever reads beside us."""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from towpath.errors import RetryableError
from towpath.index.store import advance, aligned, same_cluster
from towpath.index.tables import positions, steps
from towpath.records import Record
from towpath.testing.index import index_records
from towpath.topic_reader import Extent, Place

INBOX, OTHER = Place("inbox.shop", 0), Place("inbox.shop", 1)


def look(engine: Engine, *, high: int, low: int = 0, topic_id: str = "one", place: Place = INBOX) -> int:
    """Return where to go on at the place, which holds these offsets now."""
    with engine.begin() as connection:
        return aligned(connection, {place: Extent(topic_id, low, high)})[place]


def move(engine: Engine, before: int, after: int, place: Place = INBOX) -> dict[Place, int]:
    with engine.begin() as connection:
        return advance(connection, {place: before}, {place: after})


def fill(engine: Engine, count: int) -> None:
    index_records(engine, [Record(*INBOX, offset, 0.0, b"order/1", b"{}") for offset in range(count)])


def offsets(engine: Engine) -> list[int]:
    with engine.begin() as connection:
        return sorted(connection.execute(sa.select(steps.c.offset)).scalars())


def test_a_new_partition_starts_where_it_begins(engine: Engine) -> None:
    assert (5, 0) == (look(engine, low=5, high=9), look(engine, high=9, place=OTHER))


def test_whoever_comes_second_learns_where_the_first_stands(engine: Engine) -> None:
    look(engine, high=9)
    assert ({}, {INBOX: 4}, {}) == (move(engine, 0, 4), move(engine, 0, 6), move(engine, 4, 6))
    assert 6 == look(engine, high=9)


def test_many_that_move_the_same_partition_at_once_move_it_once(engine: Engine) -> None:
    look(engine, high=9)
    moved: list[dict[Place, int]] = []
    threads = [threading.Thread(target=lambda: moved.append(move(engine, 0, 7))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [{}] + [{INBOX: 7}] * 5 == sorted(moved, key=len)


def test_who_reads_on_after_the_index_was_emptied_is_told(engine: Engine) -> None:
    look(engine, high=9)
    with engine.begin() as connection:
        connection.execute(sa.delete(positions))
    with pytest.raises(RetryableError, match=r"emptied while inbox\.shop was read"):
        move(engine, 0, 4)


@pytest.mark.parametrize(("topic_id", "high"), [("another", 20), ("one", 3)])
def test_a_topic_that_was_made_anew_or_cut_off_starts_again_without_its_old_rows(engine: Engine, topic_id: str, high: int) -> None:
    look(engine, high=9)
    fill(engine, 6)
    move(engine, 0, 6)
    assert (0, []) == (look(engine, topic_id=topic_id, high=high), offsets(engine))


def test_rows_go_with_what_retention_takes(engine: Engine) -> None:
    look(engine, high=9)
    fill(engine, 6)
    move(engine, 0, 6)
    assert (6, [4, 5]) == (look(engine, low=4, high=9), offsets(engine))
    assert (8, []) == (look(engine, low=8, high=9), offsets(engine))


def test_another_cluster_empties_the_index_and_the_same_does_not(engine: Engine) -> None:
    with engine.begin() as connection:
        assert same_cluster(connection, "one")
    look(engine, high=9)
    fill(engine, 6)
    with engine.begin() as connection:
        assert same_cluster(connection, "one")
    assert 6 == len(offsets(engine))
    with engine.begin() as connection:
        assert not same_cluster(connection, "another")
        assert same_cluster(connection, "another")
    assert ([], 0) == (offsets(engine), look(engine, high=9))
