from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from towpath.errors import ConfigError, RetryableError
from towpath.registry.lookup import AWAY_SECONDS, DOUBT_SECONDS, MOST_ASKED, UNKNOWN_SECONDS, SchemaLookup, in_time
from towpath.testing.waiting import until


class Known:
    """A registry of one schema, which answers once it may."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.error: Exception | None = None
        self.may_answer = threading.Event()
        self.may_answer.set()

    def text(self, schema_id: int) -> str | None:
        self.asked.append(schema_id)
        self.may_answer.wait(10)
        if self.error is not None:
            raise self.error
        return '"string"' if schema_id == 7 else None


class Time:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def known() -> Iterator[Known]:
    registry = Known()
    yield registry
    registry.may_answer.set()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def lookup(known: Known, time: Time) -> SchemaLookup:
    found = SchemaLookup(lambda: known, time)
    time.now += DOUBT_SECONDS
    return found


def test_a_thread_waits_for_the_answer_which_is_asked_for_once(lookup: SchemaLookup, known: Known) -> None:
    assert ['"string"', '"string"'] == [lookup.text(7), lookup.text(7)]
    assert [7] == known.asked


async def test_an_event_loop_is_told_at_once_to_come_again(lookup: SchemaLookup, known: Known) -> None:
    known.may_answer.clear()
    with pytest.raises(RetryableError, match="schema 7 is being asked for") as caught:
        lookup.text(7)
    assert (True, 0.1) == (caught.value.system_wide, caught.value.retry_after)
    known.may_answer.set()

    async def there() -> bool:
        try:
            return lookup.text(7) == '"string"'
        except RetryableError:
            return False

    await until(there, seconds=10)
    assert [7] == known.asked


def test_an_unknown_id_is_asked_for_once_a_minute(lookup: SchemaLookup, known: Known, time: Time) -> None:
    assert [None, None] == [lookup.text(8), lookup.text(8)]
    assert [8] == known.asked
    time.now += UNKNOWN_SECONDS + 1
    assert (None, [8, 8]) == (lookup.text(8), known.asked)


def test_no_more_unknown_ids_are_remembered_than_may_be(lookup: SchemaLookup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("towpath.registry.lookup.MOST_UNKNOWN", 3)
    assert {None} == {lookup.text(schema_id) for schema_id in range(100, 110)}
    assert [107, 108, 109] == list(lookup._unknown)


def test_a_registry_that_is_away_is_asked_once_a_second(lookup: SchemaLookup, known: Known, time: Time) -> None:
    known.error = RetryableError("it is away")
    for schema_id in (7, 7, 8):
        with pytest.raises(RetryableError, match="it is away") as caught:
            lookup.text(schema_id)
        assert caught.value.system_wide
    assert [7] == known.asked
    known.error = None
    time.now += AWAY_SECONDS
    assert '"string"' == lookup.text(7)


@pytest.mark.parametrize("error", [ConfigError("refused"), ValueError("a bug")])
def test_whatever_fails_blames_no_record(lookup: SchemaLookup, known: Known, error: Exception) -> None:
    known.error = error
    with pytest.raises(RetryableError, match=str(error)):
        lookup.text(7)


def test_unknown_is_no_answer_just_after_a_start_or_a_failure(known: Known, time: Time) -> None:
    lookup = SchemaLookup(lambda: known, time)
    with pytest.raises(RetryableError, match="schema 8 is not registered so far"):
        lookup.text(8)
    time.now += DOUBT_SECONDS
    assert lookup.text(8) is None
    known.error = RetryableError("away")
    with pytest.raises(RetryableError):
        lookup.text(9)
    known.error = None
    time.now += AWAY_SECONDS
    with pytest.raises(RetryableError, match="schema 9 is not registered so far"):
        lookup.text(9)
    time.now += DOUBT_SECONDS
    assert lookup.text(9) is None


def test_a_command_waits_until_a_schema_is_known_or_known_to_be_none(known: Known, time: Time) -> None:
    lookup = SchemaLookup(lambda: known, time)

    def asked() -> str | None:
        time.now += DOUBT_SECONDS / 2 - 0.1
        return lookup.text(9)

    assert in_time(asked) is None
    assert [9, 9, 9] == known.asked
    assert '"string"' == in_time(lambda: lookup.text(7))


async def test_of_a_flood_of_ids_one_is_asked_for_at_a_time_and_few_wait(lookup: SchemaLookup, known: Known) -> None:
    known.may_answer.clear()
    reasons = []
    for schema_id in range(1_000, 1_000 + 3 * MOST_ASKED):
        with pytest.raises(RetryableError) as caught:
            lookup.text(schema_id)
        reasons.append(str(caught.value))
    assert f"{MOST_ASKED} others are being asked for" in reasons[-1]
    assert len(known.asked) <= 1


def test_a_connection_that_cannot_be_made_is_tried_again(time: Time) -> None:
    tried = []

    def connect() -> Known:
        tried.append(1)
        if len(tried) == 1:
            raise ConfigError("no certificate")
        return Known()

    lookup = SchemaLookup(connect, time)
    with pytest.raises(RetryableError, match="no certificate"):
        lookup.text(7)
    time.now += AWAY_SECONDS
    assert '"string"' == lookup.text(7)
