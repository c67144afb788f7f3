"""Connections and flows: which systems there are, and what moves between them."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import cache
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, SecretStr

import towpath.systems
from towpath.config.secret import Credential, Secret, SecretRef, refuse
from towpath.errors import ConfigError
from towpath.events import EPOCH

NAME = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"
Name = Annotated[str, Field(pattern=NAME, max_length=40)]


class Settings(BaseModel):
    """What every part of the configuration is: frozen, and refusing keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


@cache
def system_names() -> tuple[str, ...]:
    """Return the names of the systems that Towpath can talk to: the modules of `towpath.systems`."""
    names = (info.name for info in pkgutil.iter_modules(towpath.systems.__path__))
    return tuple(sorted(name for name in names if name != "base" and not name.startswith("_")))


def near(word: str, known: tuple[str, ...] | list[str]) -> str:
    """Return `did you mean "x"?` for the known word nearest to `word`, else the list of the known ones."""
    close = get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return f'did you mean "{close[0]}"?'
    return f"known: {', '.join(known)}" if known else "none is known"


def _known_system(name: str) -> str:
    if name not in system_names():
        raise refuse(f'no system is called "{name}"; {near(name, system_names())}')
    return name


def http_url(url: str) -> str:
    """Return a base address without its last slash; refuses one that is none, or holds a user, a query or a fragment."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise refuse("must be an address that starts with http:// or https://")
    if parts.username is not None or parts.password is not None:
        raise refuse("must not hold a user or password; put them into credentials")
    if parts.query or parts.fragment:
        raise refuse("must not hold a query or fragment; give the system's base address")
    return url.rstrip("/")


def _beginning(value: object) -> datetime | Literal["now"]:
    if value == "now":
        return "now"
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        if moment.tzinfo is not None and moment.year >= EPOCH.year:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise refuse("must be now, or a time with its zone such as 2026-01-31T00:00:00Z")


class Limits(Settings):
    """What a connection's system allows, and how long Towpath waits for it (seconds)."""

    requests_per_minute: int | None = Field(default=None, ge=1, description="calls a minute; null: no limit of our own")
    burst: int | None = Field(default=None, ge=1, description="calls at once before the rate applies")
    in_flight: int = Field(default=16, ge=1, le=1000, description="calls under way at once")
    request_timeout_seconds: float = Field(default=10, gt=0, le=600)
    probe_seconds: float = Field(default=10, gt=0, le=3600, description="pause between two probes while the system as a whole does not answer")
    settle_seconds: float = Field(default=5, ge=0, le=600, description="how long a request may still commit after its client gave up")


class Connection(Settings):
    """One configured instance of a system; `credentials` holds plain values and references to secrets."""

    system: Annotated[str, AfterValidator(_known_system)]
    url: Annotated[str, AfterValidator(http_url)]
    credentials: Mapping[str, Credential] = Field(default_factory=dict)
    webhook_secret: Secret | None = None
    limits: Limits = Field(default_factory=Limits)
    poll_seconds: float | None = Field(default=60, gt=0, le=86_400, description="pause between two reads of its lists; null: it is not polled")
    poll_overlap_seconds: float = Field(default=900, ge=0, le=86_400, description="how far a read goes back behind the newest change seen")
    site: Name | None = Field(default=None, description="where alone it can be reached: only roles of that site call it; null: those of no site")
    poll_from: Annotated[datetime | Literal["now"], PlainValidator(_beginning)] = Field(
        default="now", description="where the first read of a new connection begins; it has no effect on one that was read before"
    )
    options: Mapping[str, Any] = Field(default_factory=dict)

    def credential(self, name: str) -> SecretStr:
        """Return the credential called `name`, read now; ConfigError where there is none."""
        value = self.credentials.get(name)
        if value is None:
            raise ConfigError(f"credentials.{name} is missing for a connection of {self.system}; add it")
        return value.resolve() if isinstance(value, SecretRef) else SecretStr(value)


class Flow(Settings):
    """What moves: an event of the source connection becomes a document of the target connection, by a mapping."""

    source: str
    target: str
    event: str
    mapping: str = Field(
        pattern=r"^[a-z0-9_-]+(/[a-z0-9_-]+)+$",
        description="a path under processors/mappings, or under the mappings of a plug-in, without its ending",
    )
    reference_prefix: str = Field(default="", max_length=20, description="written before the source's own number, so that two shops do not collide")
    options: Mapping[str, Any] = Field(default_factory=dict)
