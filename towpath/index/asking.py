"""What an operator's command asks: the index as the topics stand now, whether or not an indexer runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from towpath.config import Config
from towpath.delivery.deadletters import in_order
from towpath.errors import ConfigError, RetryableError
from towpath.index.indexer import Indexer
from towpath.index.queries import Letter, find_letters
from towpath.registry.lookup import in_time
from towpath.topic_reader import Place


@contextmanager
def caught_up(config: Config) -> Iterator[Indexer]:
    """Give the index, caught up with the topics; ConfigError where Kafka or the database does not answer."""
    try:
        with Indexer(config) as indexer:
            in_time(indexer.catch_up)
            yield indexer
    except RetryableError as error:
        raise ConfigError(str(error)) from error


def told_letters(config: Config, *, everything: bool = False) -> list[Mapping[str, Any]]:
    """Return what is told of the open dead letters and parked records, closed ones too with `everything`, oldest failure first."""
    with caught_up(config) as indexer, indexer.transaction() as connection:
        return [letter.told for letter in find_letters(connection, everything=everything)]


def originals(indexer: Indexer, letters: Sequence[Letter]) -> Iterator[Mapping[str, Any]]:
    """Yield each dead letter whole, as it stands in its topic; raises ConfigError at the end where retention has taken some.

    Those of one key come in the order in which their records came at first. All of one partition number are held at a time: a key's dead
    letters and its parked ones are in two topics, and in the same number of both.
    """
    for number in sorted({letter.place.partition for letter in letters}):
        yield from in_order(_read(indexer, [letter for letter in letters if letter.place.partition == number]))


def _read(indexer: Indexer, letters: Sequence[Letter]) -> Iterator[Mapping[str, Any]]:
    missing = {(letter.place, letter.offset): letter.told for letter in letters}
    offsets: dict[Place, list[int]] = {}
    for letter in letters:
        offsets.setdefault(letter.place, []).append(letter.offset)
    for batch in indexer.reader.read({place: (min(found), max(found) + 1) for place, found in offsets.items()}):
        for record in batch.records:
            if told := missing.pop((Place(record.topic, record.partition), record.offset), {}):
                yield {**indexer.letter(record), "replays": told["replays"]}  # those that are under way count as well
    for told in missing.values():
        raise ConfigError(f"dead letter {told['dead_letter_id']}: {told['stands_at']} is gone, past the topic's retention")
