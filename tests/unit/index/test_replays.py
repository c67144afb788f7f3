"""What was sent again counts as it is sent, and is known to be under way until it is answered, or for an hour."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine
from sqlalchemy.engine import make_url

from towpath.codec import default_codec
from towpath.delivery.deadletters import Failure, Registrar, Subject, remapped_of, replay_of
from towpath.index.queries import find_letters, is_under_way
from towpath.index.rows import Rows
from towpath.index.store import aligned
from towpath.index.tables import open_index, replays
from towpath.records import Output, Record
from towpath.testing.index import index_records, placed
from towpath.topic_reader import Extent, Place

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
REGISTRAR = Registrar(default_codec(), "sink", "sink.erp", frozenset({"erp"}))
DELIVERY = Record("deliver.erp", 0, 5, 0.0, b"k", b"v")


def failed(record: Record = DELIVERY, *, minute: int = 0) -> Output:
    """Return the dead letter of a delivery, or of a replay of one, that failed so many minutes after noon."""
    return REGISTRAR.dead_letter(record, Failure("refused"), Subject("erp"), NOON + timedelta(minutes=minute))[1]


def sent(letter: Output, *, minute: int, replays: int = 0, by_itself: bool = False) -> Record:
    """Return what an operator sends of a dead letter that was sent so often before, or what is tried by itself, as the index reads it."""
    told = {**default_codec().decode_as("DeadLetter", letter.value), "replays": replays}
    return placed(replay_of(told, by_itself=by_itself), 90 + minute, at=(NOON + timedelta(minutes=minute)).timestamp())


def told(engine: Engine) -> dict[str, Any]:
    with engine.begin() as connection:
        (letter,) = find_letters(connection, everything=True)
    return dict(letter.told)


def way(engine: Engine) -> tuple[int, datetime | None]:
    """Return how often the dead letter was replayed, and when the replay was sent that is not answered."""
    found = told(engine)
    return found["replays"], found["replay_sent_at"]


@pytest.mark.parametrize("order", [1, -1])
def test_a_replay_is_counted_and_under_way_as_soon_as_it_is_sent(engine: Engine, order: int) -> None:
    letter = failed()
    records = [placed(letter, 1), sent(letter, minute=1), sent(letter, minute=3, replays=1)]
    index_records(engine, records[::order])
    assert (2, NOON + timedelta(minutes=3)) == way(engine)


def test_a_replay_that_fails_again_is_answered_and_so_is_one_that_succeeds(engine: Engine) -> None:
    letter = failed()
    first = sent(letter, minute=1)
    again = failed(first, minute=2)
    index_records(engine, [placed(letter, 1), first, placed(again, 2)])
    assert (1, None) == way(engine)
    index_records(engine, [sent(again, minute=5, replays=1)])
    assert (2, NOON + timedelta(minutes=5)) == way(engine)
    index_records(
        engine, [placed(REGISTRAR.receipt("applied", Subject("erp"), NOON + timedelta(hours=1), dead_letter_id=told(engine)["dead_letter_id"]))]
    )
    assert (2, None) == way(engine)


def test_what_is_tried_by_itself_is_under_way_and_not_counted(engine: Engine) -> None:
    letter = failed()
    index_records(engine, [placed(letter, 1), sent(letter, minute=1, by_itself=True)])
    assert (0, NOON + timedelta(minutes=1)) == way(engine)


def test_what_is_mapped_anew_is_under_way_while_the_processor_has_it_and_after_that(engine: Engine) -> None:
    letter = default_codec().decode_as("DeadLetter", failed().value)
    anew = replay_of(letter)._replace(topic="received.orders")
    index_records(engine, [placed(failed(), 1), placed(anew, 7, at=NOON.timestamp()), placed(replay_of(letter), 7, at=NOON.timestamp() + 60)])
    assert remapped_of(letter, default_codec()) == replay_of(letter), "this one is no delivery"
    assert (1, NOON + timedelta(minutes=1)) == way(engine)


@pytest.mark.parametrize(("minutes", "way"), [(0, "under"), (59, "under"), (61, "over"), (-59, "under"), (-61, "over")])
def test_a_replay_that_nobody_answers_is_under_way_for_an_hour_also_by_a_clock_that_is_ahead(engine: Engine, minutes: int, way: str) -> None:
    letter = failed()
    index_records(engine, [placed(letter, 1), sent(letter, minute=0)])
    assert (way == "under") == is_under_way(told(engine), NOON + timedelta(minutes=minutes))
    assert not is_under_way({"replay_sent_at": None}, NOON)


@settings(deadline=None, max_examples=20)
@given(st.randoms(use_true_random=False))
def test_what_is_told_does_not_depend_on_the_order_in_which_the_topics_are_read(chance: Random) -> None:
    letter = failed()
    first = sent(letter, minute=1)
    again = failed(first, minute=2)
    records = [placed(letter, 1), first, placed(again, 2), sent(again, minute=4, replays=1), sent(again, minute=6, replays=2)] * 2
    chance.shuffle(records)
    engine = open_index(make_url("sqlite://"))
    for record in records:
        index_records(engine, [record])
    assert (3, NOON + timedelta(minutes=6)) == way(engine)
    engine.dispose()


def test_a_replay_is_forgotten_with_its_record(engine: Engine) -> None:
    letter = failed()
    index_records(engine, [placed(letter, 1), sent(letter, minute=0)])
    place = Place("deliver.erp", 0)
    with engine.begin() as connection:
        aligned(connection, {place: Extent("topic", 0, 91)})
        aligned(connection, {place: Extent("topic", 91, 91)})
        assert 0 == connection.execute(sa.select(sa.func.count()).select_from(replays)).scalar_one()
    assert (0, None) == way(engine)


def test_a_dead_letter_of_others_that_came_of_a_replay_is_none_itself() -> None:
    rows = Rows(foreign=frozenset({"theirs.dlq"}))
    rows.add(sent(failed(), minute=0)._replace(topic="theirs.dlq"), default_codec())
    assert (1, []) == (len(rows.letters), rows.replays)
