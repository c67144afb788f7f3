"""What an engine is told, and the one error it ends with when it cannot go on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from towpath.errors import ConfigError, TowpathError


class EngineError(TowpathError):
    """The engine cannot go on and committed nothing unfinished: end the process, and let the supervisor start it again."""


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """One processor's place in Kafka; every time is in seconds.

    `group` is the consumer group, and the changelog is `<group>-state-changelog`. All `topics` have `partitions` partitions, and so has the
    changelog. `datadir` belongs to one process. `producer` holds librdkafka settings of the outputs (linger, compression), `security` the
    librdkafka names of TLS and SASL (`security.protocol`, `sasl.mechanism`, `sasl.username`, `sasl.password`, `ssl.ca.location`,
    `ssl.certificate.location`, `ssl.key.location`, `ssl.key.password`) that every client of the engine gets.
    """

    bootstrap_servers: str
    group: str
    topics: tuple[str, ...]
    partitions: int
    datadir: Path
    producer: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    security: Mapping[str, str] = field(default_factory=dict, repr=False)
    store: Literal["rocksdict", "memory"] = "rocksdict"
    replication_factor: int = 3
    commit_interval: float = 1.0
    session_timeout: float = 30.0
    batch: int = 500
    stall_after: float = 60.0
    stop_within: float = 9.0

    def __post_init__(self) -> None:
        """Raise ConfigError for what could never run."""
        if not self.topics:
            raise ConfigError(f"engine {self.group}: topics is empty; name at least one input topic")
        if self.partitions < 1 or self.batch < 1:
            raise ConfigError(f"engine {self.group}: partitions and batch must be 1 or more")
        if self.stall_after <= 2 * self.commit_interval:
            raise ConfigError(f"engine {self.group}: stall_after must be more than twice commit_interval, or every pause looks like a stall")

    @property
    def changelog(self) -> str:
        """The compacted topic that holds the state; Faust names it `<app id>-<table>-changelog` (faust/tables/base.py)."""
        return f"{self.group}-{STATE}-changelog"


STATE = "state"
