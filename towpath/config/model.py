"""The whole configuration as one frozen model; `load_config` is how it is read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from towpath.config.connections import Connection, Flow, Name, Settings
from towpath.config.registry import SchemaRegistry
from towpath.config.secret import Secret, refuse
from towpath.config.vault import VaultSettings
from towpath.kafka import KafkaSettings


class Database(Settings):
    """Where the ledger lives: SQLite in the data folder, or PostgreSQL beyond one machine."""

    url: str = "sqlite:///towpath.db"
    password: Secret | None = None

    @field_validator("url")
    @classmethod
    def _known(cls, url: str) -> str:
        try:
            parsed = make_url(url)
        except ArgumentError:
            raise refuse("is not a database address; write sqlite:///towpath.db or postgresql://user@host/towpath") from None
        if parsed.get_backend_name() not in ("sqlite", "postgresql"):
            raise refuse("must start with sqlite:/// or postgresql://")
        if parsed.password is not None:
            raise refuse("must not hold the password; put it into `password` beside it as vault:NAME, env:NAME or file:PATH")
        return url


class Index(Database):
    """Where the indexer keeps what it reads from the topics; deleted at any time, it is built anew."""

    url: str = "sqlite:///index.db"
    dead_letter_topics: tuple[str, ...] = Field(
        default=(), description="topics with dead letters of Kafka Connect or Spring, for `towpath dlq` to list and replay beside our own"
    )

    @field_validator("dead_letter_topics")
    @classmethod
    def _others(cls, topics: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [topic for topic in topics if not re.fullmatch(r"[a-zA-Z0-9._-]{1,249}", topic)]:
            raise refuse(f"{wrong[0]!r} is no name of a topic")
        return topics


class Health(Settings):
    """Where each role answers /healthz, /readyz and /metrics; port 0 takes a free one, told in the log and in <data_dir>/run."""

    host: str = "127.0.0.1"
    receiver: int = Field(default=8100, ge=0, le=65535)
    adapter: int = Field(default=8101, ge=0, le=65535)
    processor: int = Field(default=8102, ge=0, le=65535)
    sink: int = Field(default=8103, ge=0, le=65535)
    poller: int = Field(default=8104, ge=0, le=65535)
    indexer: int = Field(default=8105, ge=0, le=65535)
    registry: int = Field(default=8106, ge=0, le=65535)

    def port(self, role: str) -> int:
        """Return the port of `role`, 0 (any free one) for a role that has no setting."""
        return int(getattr(self, role, 0)) if role in type(self).model_fields and role != "host" else 0


class Receiver(Settings):
    """How webhooks come in."""

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    max_body_bytes: int = Field(default=1_048_576, ge=1024, le=16 * 1024 * 1024, description="the topics are made to take it")
    tolerance_seconds: float = Field(default=300, gt=0, description="how far a webhook's own timestamp may be from now")
    requests_per_second: float | None = Field(default=None, gt=0, description="per connection; null: no limit")


class Defaults(Settings):
    """What holds for every connection (seconds)."""

    lane_retry_seconds: float = Field(default=60, ge=0, description="how long a passing failure is retried in its lane before it parks")
    dependency_wait_seconds: float = Field(default=10, ge=0, description="how long a delivery waits in its lane for what it depends on")
    park_retry_seconds: float = Field(default=60, gt=0, description="when what parked is tried again; twice as long after each try, up to an hour")


class Retention(Settings):
    """How long what is known of what is finished is kept; never less than the topics keep what can be played again."""

    ledger_days: int = Field(default=730, ge=180, le=36_500, description="effects that are done or refused; then a repeat of one is looked up anew")
    index_days: int = Field(default=730, ge=180, le=36_500, description="cross-references and what closed dead letters; traces go with their topics")
    receipts_days: int = Field(default=180, ge=180, le=36_500, description="the topic of receipts, from which the index is built anew")


class Config(Settings):
    """Everything that one deployment is set up to do; `data_dir` is absolute once read by `load_config`."""

    kafka: KafkaSettings = Field(default_factory=lambda: KafkaSettings(bootstrap_servers="127.0.0.1:9092"))
    database: Database = Field(default_factory=Database)
    index: Index = Field(default_factory=Index)
    vault: VaultSettings | None = Field(default=None, description="where secrets that are written vault:NAME are; null: there is no vault")
    schema_registry: SchemaRegistry = Field(default_factory=SchemaRegistry)
    data_dir: Path = Path("data")
    site: Name | None = Field(default=None, description="where these roles run; they call the connections of this site alone (docs/sites.md)")
    engine: Literal["faust", "native"] = Field(default="faust", description="what feeds the processor; docs/engines.md says when to choose which")
    mappings_dir: Path | None = Field(default=None, description="a folder of mappings of your own, in place of those that ship")
    health: Health = Field(default_factory=Health)
    receiver: Receiver = Field(default_factory=Receiver)
    defaults: Defaults = Field(default_factory=Defaults)
    retention: Retention = Field(default_factory=Retention)
    connections: Mapping[Name, Connection] = Field(default_factory=dict)
    flows: Mapping[Name, Flow] = Field(default_factory=dict)

    @property
    def here(self) -> Mapping[str, Connection]:
        """The connections that can be reached from where these roles run; the others are other sites' to read and to write."""
        return {name: connection for name, connection in self.connections.items() if connection.site == self.site}

    @property
    def run_dir(self) -> Path:
        """The folder that says what runs on this machine now: one <role>.json each."""
        return self.data_dir / "run"

    def database_url(self) -> URL:
        """Return where the ledger is, SQLite's path taken from `data_dir`; the password is read now, and hidden in its str and repr."""
        return self._url(self.database)

    def index_url(self) -> URL:
        """Return where the index is, as `database_url` does."""
        return self._url(self.index)

    def _url(self, database: Database) -> URL:
        url = make_url(database.url)
        if url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:"):
            return url.set(database=str(self.data_dir / str(url.database)))
        if url.drivername == "postgresql":
            url = url.set(drivername="postgresql+psycopg")
        return url if database.password is None else url.set(password=database.password.resolve().get_secret_value())

    def flows_from(self, connection: str) -> Mapping[str, Flow]:
        """Return the flows whose source is `connection`, by name."""
        return {name: flow for name, flow in self.flows.items() if flow.source == connection}

    def flows_to(self, connection: str) -> Mapping[str, Flow]:
        """Return the flows whose target is `connection`, by name."""
        return {name: flow for name, flow in self.flows.items() if flow.target == connection}
