"""Which dead letters are open does not depend on the order in which the topics are read, nor on how often."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine
from sqlalchemy.engine import make_url

from towpath.codec import default_codec
from towpath.delivery.deadletters import PARKED, Failure, Registrar, Subject
from towpath.index.queries import Letter, find_letters, open_letters
from towpath.index.tables import open_index
from towpath.records import Record, Replay
from towpath.testing.index import index_records, placed

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
REGISTRAR = Registrar(default_codec(), "sink", "sink.bng", frozenset({"bng", "shop"}))


def failed(minute: int, *, state: str = "dead") -> Record:
    """Return the dead letter `one` as it failed at this minute."""
    replay = Replay("one", minute, NOON, minute, "sink.bng")
    record = Record("deliver.bng", 0, 5, 0.0, b"k", b"v", replay.headers())
    failure = Failure("because", state=state)
    return placed(REGISTRAR.dead_letter(record, failure, Subject("bng"), NOON + timedelta(minutes=minute))[1], minute)


def closed(minute: int, *, outcome: str = "applied", reason: str = "") -> Record:
    receipt = REGISTRAR.receipt(outcome, Subject("bng"), NOON + timedelta(minutes=minute), dead_letter_id="one", reason=reason)
    return placed(receipt, minute)


def new(offset: int, *, connection: str = "bng", state: str = "dead", field: str = "", key: str = "") -> Record:
    """Return the dead letter of the delivery at this offset, which failed so many minutes after noon."""
    record = Record(f"deliver.{connection}", 0, offset, 0.0, b"k", b"v")
    failure = Failure("bng: 422 unknown product", state=state, field=field)
    output = REGISTRAR.dead_letter(record, failure, Subject(connection, key), NOON + timedelta(minutes=offset))[1]
    return placed(output, 100 + offset)


def listed(engine: Engine, **options: object) -> list[Letter]:
    with engine.begin() as connection:
        return find_letters(connection, **options)  # type: ignore[arg-type]  # passed on


def offsets(found: list[Letter]) -> list[int]:
    return [letter.told["offset"] for letter in found]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 20), min_size=1, unique=True), st.lists(st.integers(0, 20), unique=True), st.randoms(use_true_random=False))
def test_a_dead_letter_is_open_when_its_newest_failure_is_newer_than_its_newest_receipt(
    failures: list[int], closings: list[int], chance: Random
) -> None:
    records = [*map(failed, failures), *map(closed, closings)] * 2
    chance.shuffle(records)
    engine = open_index(make_url("sqlite://"))
    cut = chance.randrange(len(records))
    index_records(engine, records[:cut])
    index_records(engine, records[cut:])
    (letter,) = listed(engine, everything=True)
    assert (max(failures) > max(closings, default=-1), max(failures)) == (letter.told["open"], letter.told["replays"])
    engine.dispose()


def test_dead_letters_stand_in_the_order_of_their_newest_failure(engine: Engine) -> None:
    index_records(engine, [failed(3), new(1), new(7)])
    assert [1, 5, 7] == offsets(listed(engine))


def test_a_receipt_that_comes_before_its_dead_letter_closes_it_and_is_named(engine: Engine) -> None:
    index_records(engine, [closed(9)])
    assert [] == listed(engine, everything=True)
    index_records(engine, [failed(3)])
    assert [] == listed(engine)
    (letter,) = listed(engine, everything=True)
    receipt = default_codec().decode_as("Receipt", closed(9).value)
    assert (False, "applied", receipt["receipt_id"]) == tuple(letter.told[name] for name in ("open", "outcome", "closed_by"))


def test_who_closed_one_that_has_no_business_key_and_why_is_told_until_it_is_open_again(engine: Engine) -> None:
    index_records(engine, [failed(3), closed(9, outcome="discarded", reason="zoe: a test\0" + "!" * 700)])
    (letter,) = listed(engine, everything=True)
    assert ("", "discarded", "zoe: a test\ufffd" + "!" * 588) == tuple(letter.told[name] for name in ("business_key", "outcome", "closed_reason"))
    index_records(engine, [failed(10)])
    (letter,) = listed(engine)
    assert ("", "") == (letter.told["outcome"], letter.told["closed_reason"])


def test_a_letter_that_parked_and_then_died_is_counted_once_as_what_it_is_now(engine: Engine) -> None:
    index_records(engine, [failed(2), failed(1, state=PARKED), new(4, connection="shop"), new(6, state=PARKED)])
    with engine.begin() as connection:
        found = open_letters(connection, ["bng"])
    assert {"bng": {"dead": 1, "parked": 1}, "unknown": {"dead": 1, "parked": 0}} == {
        name: {state: one.records for state, one in states.items()} for name, states in found.items()
    }
    since = {letter.told["state"]: letter.told["first_at"] for letter in listed(engine) if letter.told["connection"] == "bng"}
    assert since == {state: one.since for state, one in found["bng"].items()}


def test_the_original_stands_where_the_newest_failure_was_written(engine: Engine) -> None:
    index_records(engine, [failed(3), failed(8), failed(5)])
    (letter,) = listed(engine)
    assert (("dlq.bng", 0), 8, "dlq.bng[0]@8") == (letter.place, letter.offset, letter.told["stands_at"])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"where": {"connection": "shop"}}, [2]),
        ({"where": {"connection": "bng", "state": "parked"}}, [3]),
        ({"where": {"field": "sku"}}, [1, 4]),
        ({"where": {"field": "Lines[].sku"}}, [4]),
        ({"where": {"field": "Lines[2].sku"}}, [4]),
        ({"where": {"field": "s%"}}, []),
        ({"where": {"field": ""}}, [2, 3]),
        ({"where": {"reason": "UNKNOWN"}}, [1, 2, 3, 4]),
        ({"where": {"reason": "un%n"}}, []),
        ({"where": {"business_key": "1001"}}, [1]),
        ({"where": {"business_key": "shop/order/1001"}}, [1]),
        ({"where": {"business_key": "001"}}, []),
        ({"limit": 2}, [1, 2]),
        ({"begins": "no-such-id"}, []),
        ({"begins": "%"}, []),
    ],
)
def test_letters_are_found_by_what_they_say(engine: Engine, options: dict[str, object], expected: list[int]) -> None:
    index_records(engine, [new(1, field="sku", key="shop/order/1001"), new(2, connection="shop"), new(3, state=PARKED), new(4, field="Lines[2].sku")])
    assert expected == offsets(listed(engine, **options))
