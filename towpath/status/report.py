"""All that `towpath status` tells, gathered in bounded time whatever does not answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from towpath.config import Config
from towpath.errors import ConfigError, RetryableError
from towpath.index.indexer import Indexer
from towpath.index.queries import UNKNOWN, open_letters, unreadable_records
from towpath.lag import Backlog, backlogs, pipeline
from towpath.status.roles import READY, RoleState, role_states

KAFKA_SECONDS = 4.0
INDEX_SECONDS = 5.0


@dataclass(slots=True)
class Report:
    """How a deployment is.

    `kafka` and `index` say what is wrong with each, empty where nothing is. `letters` counts open dead letters by connection and state.
    `unindexed` is what an indexer had yet to read, `unread` what this look had no time to read; `unreadable` records cannot be decoded.
    """

    roles: Sequence[RoleState]
    kafka: str = ""
    index: str = ""
    backlogs: Sequence[Backlog] = ()
    letters: dict[str, dict[str, int]] = field(default_factory=dict)
    unindexed: int | None = None
    unread: int = 0
    unreadable: int | None = None

    @property
    def circuits(self) -> dict[str, bool]:
        """Return which connections some role has a circuit for, True where one holds it open."""
        found: dict[str, bool] = {}
        for role in self.roles:
            for name, is_open in role.circuits.items():
                found[name] = found.get(name, False) or is_open
        return found

    @property
    def well(self) -> bool:
        """Tell whether every role is ready, no circuit is open, and Kafka and the index answer."""
        return all(role.state == READY for role in self.roles) and not (any(self.circuits.values()) or self.kafka or self.index)


def gathered(config: Config, roles: Sequence[str]) -> Report:
    """Return how the deployment is, with these roles."""
    report = Report(asyncio.run(role_states(config, roles)))
    with Indexer(config, seconds=KAFKA_SECONDS) as indexer:
        try:
            _ask_kafka(report, config, indexer)
        except (RetryableError, ConfigError) as error:
            report.kafka = str(error)
        try:
            if not report.kafka:
                _catch_up(report, indexer)
            _ask_index(report, config, indexer)
        except (RetryableError, ConfigError) as error:
            report.index = str(error)
    return report


def _ask_kafka(report: Report, config: Config, indexer: Indexer) -> None:
    report.backlogs = backlogs(indexer.reader, pipeline(config))


def _catch_up(report: Report, indexer: Indexer) -> None:
    until = time.monotonic() + INDEX_SECONDS
    report.unindexed = indexer.behind()
    indexer.catch_up(lambda: time.monotonic() > until)
    report.unread = indexer.behind() if time.monotonic() > until else 0


def _ask_index(report: Report, config: Config, indexer: Indexer) -> None:
    with indexer.transaction() as connection:
        found, report.unreadable = open_letters(connection, config.connections), unreadable_records(connection)
    counts = {name: {state: one.records for state, one in states.items()} for name, states in found.items()}
    report.letters = {name: count for name, count in counts.items() if name != UNKNOWN or any(count.values())}
