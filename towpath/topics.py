"""The topics: what `schemas/topics.yaml` declares, as one specification per Kafka topic, and their creation."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from towpath.errors import ConfigError

CONNECTION = "<connection>"
AGGREGATE = "<aggregate>"
PROCESSOR = "processor"
"""One worker reads equal partitions of all that this role reads, so that equal keys meet."""
MAX_BYTES = "max.message.bytes"
MILLISECONDS = {"h": 3_600_000, "d": 86_400_000}
ROOM = 65_536  # for a record's key and headers
KAFKAS_OWN = 1_048_588  # what a topic takes in one batch unless it is told otherwise; a smaller limit would refuse batches of small records


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """One Kafka topic as it is declared.

    `alert_ms` is the age at which an unresolved record calls an operator, None where none waits. `max_bytes` is how large a record may be
    (or a batch of them, compressed), None for what the brokers take anyhow.
    """

    name: str
    partitions: int
    cleanup: str
    retention_ms: int
    alert_ms: int | None = None
    key: str = ""
    schemas: tuple[str, ...] = ()
    producers: tuple[str, ...] = ()
    consumers: tuple[str, ...] = ()
    size: int = 1
    max_bytes: int | None = None

    def config(self) -> dict[str, str]:
        """Return what the broker is told about it."""
        size = {} if self.max_bytes is None else {MAX_BYTES: str(self.max_bytes)}
        return {"cleanup.policy": self.cleanup, "retention.ms": str(self.retention_ms)} | size


def most_bytes(size: int, largest_body: int) -> int:
    """Return how large a record may be that is `size` times that of the largest webhook: blanking writes `""` for `1`, and headers take room."""
    return max(size * (largest_body + largest_body // 8 + ROOM), KAFKAS_OWN)


class _Declaration(BaseModel):
    model_config = ConfigDict(extra="forbid")

    key: str
    schemas: list[str]
    producers: list[str]
    consumers: list[str]
    cleanup: Literal["delete", "compact", "compact,delete"]
    retention: str = Field(pattern=r"^(\d+[hd]|forever)$")
    size: int = Field(ge=1)
    partitions: int | None = Field(default=None, ge=1)
    unresolved: bool = False


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    partitions: int = Field(ge=1)
    aggregates: dict[str, list[str]]
    topics: dict[str, _Declaration]


@dataclass(frozen=True)
class Topics:
    """Every declared topic; a name with `<connection>` in it stands for one per connection."""

    declared: Sequence[TopicSpec]
    aggregates: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def expand(self, connections: Iterable[str], largest_body: int | None = None) -> list[TopicSpec]:
        """Return the topics of an installation with these connections, in the order of their declaration.

        `largest_body` is `receiver.max_body_bytes`; without it no topic has a `max_bytes`.
        """
        names = list(connections)
        if wrong := [name for name in names if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name)]:
            message = f"connection {wrong[0]!r}: its name becomes part of topic names, so use a-z, 0-9 and - only"
            raise ConfigError(message)
        sized = self.declared if largest_body is None else [replace(spec, max_bytes=most_bytes(spec.size, largest_body)) for spec in self.declared]
        return [one for spec in sized for one in _per_connection(spec, names)]

    def read_by(self, role: str, connections: Iterable[str]) -> list[TopicSpec]:
        """Return the topics that a role reads in such an installation."""
        return [spec for spec in self.expand(connections) if role in spec.consumers]


@cache
def load_topics(text: str | None = None) -> Topics:
    """Return the declared topics, by default those of `schemas/topics.yaml`; raise ConfigError naming what is wrong in it."""
    if text is None:
        text = resources.files("schemas").joinpath("topics.yaml").read_text(encoding="utf-8")
    try:
        file = _File.model_validate(yaml.safe_load(text))
    except (yaml.YAMLError, ValidationError) as error:
        message = f"schemas/topics.yaml: {error}"
        raise ConfigError(message) from error
    declared = [spec for name, entry in file.topics.items() for spec in _per_aggregate(name, entry, file)]
    _require_equal_partitions([spec for spec in declared if spec.name.startswith("received.") or PROCESSOR in spec.consumers])
    return Topics(tuple(declared), file.aggregates)


def _per_aggregate(name: str, entry: _Declaration, file: _File) -> list[TopicSpec]:
    if AGGREGATE not in name:
        return [_spec(name, entry, file.partitions, entry.schemas)]
    return [_spec(name.replace(AGGREGATE, aggregate), entry, file.partitions, events) for aggregate, events in file.aggregates.items()]


def _spec(name: str, entry: _Declaration, partitions: int, schemas: Iterable[str]) -> TopicSpec:
    retention_ms = -1 if entry.retention == "forever" else int(entry.retention[:-1]) * MILLISECONDS[entry.retention[-1]]
    return TopicSpec(
        name=name,
        partitions=entry.partitions or partitions,
        cleanup=entry.cleanup,
        retention_ms=retention_ms,
        alert_ms=retention_ms // 2 if entry.unresolved and retention_ms > 0 else None,
        key=entry.key,
        schemas=tuple(schemas),
        producers=tuple(entry.producers),
        consumers=tuple(entry.consumers),
        size=entry.size,
    )


def _per_connection(spec: TopicSpec, connections: Iterable[str]) -> list[TopicSpec]:
    if CONNECTION not in spec.name:
        return [spec]
    return [replace(spec, name=spec.name.replace(CONNECTION, connection)) for connection in connections]


def _require_equal_partitions(meeting: Sequence[TopicSpec]) -> None:
    if len({spec.partitions for spec in meeting}) > 1:
        counts = ", ".join(f"{spec.name} {spec.partitions}" for spec in meeting)
        message = f"schemas/topics.yaml: all received.* and all else that the processor reads need the same number of partitions, not {counts}"
        raise ConfigError(message)
