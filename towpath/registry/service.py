"""What can be asked of a registry and done to it, apart from HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from towpath.registry.compatibility import against
from towpath.registry.log import SchemaLog
from towpath.registry.schema import AvroSchema
from towpath.registry.store import Registered, Row, Store, level_row, parsed


class Registry:
    """Changes are written before they are answered; every method blocks, and raises ConfigError and RetryableError as the log does."""

    def __init__(self, log: SchemaLog) -> None:
        self._log = log

    @property
    def store(self) -> Store:
        """Return what is known now."""
        return self._log.store

    def schema(self, schema_id: int) -> str | None:
        """Return the text of a schema; where it is not known, the topic is read first, for another process may have written it."""
        if schema_id not in self.store.texts:
            self._log.catch_up()
        return self.store.texts.get(schema_id)

    def register(self, subject: str, schema: AvroSchema) -> Registered | list[str]:
        """Return the version that the schema is of its subject, a new one where it is news; or why it may not follow the earlier ones."""
        outcome: Registered | list[str] | None = self.store.find(subject, schema)
        if outcome is not None:
            return outcome

        def decide(store: Store) -> Sequence[Row]:
            nonlocal outcome
            outcome = store.find(subject, schema) or conflicts(store, subject, schema) or store.next(subject, schema)
            return [outcome.row()] if isinstance(outcome, Registered) and outcome.version not in store.versions(subject) else []

        self._log.write(decide)
        assert outcome is not None  # noqa: S101 - write() asks at least once
        return outcome

    def delete(self, subject: str, version: int | None = None) -> list[int]:
        """Mark one version of a subject, or all of them, as deleted, and return which; the schemas are still read by their ids."""
        gone: list[int] = []

        def decide(store: Store) -> Sequence[Row]:
            nonlocal gone
            found = [one for one in store.versions(subject).values() if version in (None, one.version)]
            gone = [one.version for one in found]
            return [replace(one, deleted=True).row() for one in found]

        self._log.write(decide)
        return gone

    def set_level(self, subject: str | None, level: str | None) -> None:
        """Set the compatibility level of a subject, or of all that have none; None takes it back."""
        self._log.write(lambda _: [level_row(subject, level)])


def conflicts(store: Store, subject: str, schema: AvroSchema, versions: Sequence[int] | None = None) -> list[str]:
    """Return why a schema may not follow these versions of its subject (all that are not deleted) under the level that holds for it."""
    earlier = {one.version: parsed(one.text) for one in store.versions(subject).values() if versions is None or one.version in versions}
    return against(store.level(subject), schema, earlier)
