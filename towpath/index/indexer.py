"""Reading the topics into the index, up to where they end now; any number of processes may do so at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa
import structlog
from sqlalchemy import URL, Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from towpath.codec import Codec
from towpath.config import Config
from towpath.delivery.foreign import foreign_letter
from towpath.errors import ConfigError, DataError
from towpath.index.rows import Rows
from towpath.index.store import advance, aligned, same_cluster, store
from towpath.index.tables import named, open_index
from towpath.kafka import KafkaSettings
from towpath.migrations.chain import INDEX
from towpath.records import Record
from towpath.registry.codec import codec_of
from towpath.topic_reader import SECONDS, Batch, Place, TopicReader
from towpath.topics import load_topics

_log = structlog.get_logger(__name__)


MANY = 20_000
"""So many records are worth a line in the log."""


def topics_of(config: Config) -> list[str]:
    """Return the topics that the index is made from; raises ConfigError where one of our own is named as somebody else's."""
    own = {spec.name for spec in load_topics().expand(config.connections)}
    if both := own.intersection(config.index.dead_letter_topics):
        raise ConfigError(f"index.dead_letter_topics: {min(both)} is a topic of Towpath's, which reads it anyhow; leave it out")
    return [*(spec.name for spec in load_topics().read_by("indexer", config.connections)), *config.index.dead_letter_topics]


class Indexer:
    """The index of one configuration, as a context manager; whatever is asked of it may raise ConfigError or RetryableError.

    `codec` reads what the topics hold, whichever version wrote it.
    """

    def __init__(self, config: Config, codec: Codec | None = None, seconds: float = SECONDS) -> None:
        self._config, self.codec, self._seconds = config, codec or codec_of(config), seconds
        self._engine: Engine | None = None
        self._file: tuple[int, int] | None = None
        self._reader: TopicReader | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the database and Kafka."""
        self._leave_database()
        if self._reader is not None:
            self._reader.close()

    @property
    def kafka(self) -> KafkaSettings:
        """Return how the topics' Kafka is reached."""
        return self._config.kafka

    @property
    def reader(self) -> TopicReader:
        """Return the connection to Kafka, made when it is first asked for."""
        if self._reader is None:
            self._reader = TopicReader(self._config.kafka, self._seconds)
        return self._reader

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Give a connection to the index, committed at the end; one writes at a time. A SQLite file that was deleted is made anew."""
        url = self._config.index_url()
        if self._engine is not None and self._file != _identity(url):
            _log.warning("the index was deleted and is built anew")
            self._leave_database()
        try:
            if self._engine is None:
                self._engine = open_index(url)
                self._file = _identity(url)
            with self._engine.begin() as connection:
                connection.execute(sa.select(INDEX.row).with_for_update())
                yield connection
        except SQLAlchemyError as error:
            raise named(error, url) from error

    def letter(self, record: Record) -> Mapping[str, Any]:
        """Return the dead letter that a record is, whoever wrote it."""
        if record.topic not in self._config.index.dead_letter_topics:
            with suppress(DataError):  # of a topic that the configuration names no more
                return self.codec.decode_as("DeadLetter", record.value)
        return foreign_letter(record)

    def behind(self) -> int:
        """Return how many records the topics hold that the index has not read."""
        return _records(self._spans())

    def catch_up(self, until: Callable[[], bool] = lambda: False) -> int:
        """Read every topic from where the index stands to where it ends now, or until `until` is true; return how many records were added."""
        spans, added = self._spans(), 0
        if (behind := _records(spans)) >= MANY:
            _log.info("indexing", records=behind)
        stands = {place: start for place, (start, _) in spans.items()}
        for batch in self.reader.read(spans):
            added += self._take(_fresh(batch, stands), stands)
            if until():
                break
        return added

    def _spans(self) -> dict[Place, tuple[int, int]]:
        cluster, extents = self.reader.cluster_id(), self.reader.extents(topics_of(self._config))
        with self.transaction() as connection:
            same_cluster(connection, cluster)
            starts = aligned(connection, extents)
        return {place: (starts[place], extent.high) for place, extent in extents.items()}

    def _take(self, batch: Batch, stands: dict[Place, int]) -> int:
        """Store a batch where nobody was quicker; move `stands`, and the reader where somebody was."""
        records, rows = batch.records, self._rows(batch.records)
        with self.transaction() as connection:
            elsewhere = advance(connection, stands, batch.next)
            if elsewhere:
                records = [record for record in records if (record.topic, record.partition) not in elsewhere]
                rows = self._rows(records)
            store(connection, rows)
        stands |= batch.next | elsewhere
        for place, offset in elsewhere.items():
            self.reader.seek(place, offset)
        return len(records)

    def _rows(self, records: Sequence[Record]) -> Rows:
        rows = Rows(foreign=frozenset(self._config.index.dead_letter_topics))
        for record in records:
            rows.add(record, self.codec)
        return rows

    def _leave_database(self) -> None:
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None


def _fresh(batch: Batch, stands: Mapping[Place, int]) -> Batch:
    """Return the batch without what was read before a place was found to stand further."""
    records = [record for record in batch.records if record.offset >= stands[Place(record.topic, record.partition)]]
    return Batch(records, {place: offset for place, offset in batch.next.items() if offset > stands[place]})


def _records(spans: Mapping[Place, tuple[int, int]]) -> int:
    return sum(end - start for start, end in spans.values())


def _identity(url: URL) -> tuple[int, int] | None:
    """Return what tells SQLite's file from one that took its place; None where there is none."""
    try:
        found = Path(url.database or "").stat() if url.get_backend_name() == "sqlite" else None
    except OSError:
        return None
    return found and (found.st_dev, found.st_ino)
