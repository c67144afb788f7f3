"""What a system is to the toolkit: a package below `towpath.sandbox` whose module `system` defines `SYSTEM`."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import towpath.sandbox
from towpath.sandbox.kit.clock import Clock
from towpath.sandbox.kit.messages import Answer, Call, Control, Endpoint, Refusal
from towpath.sandbox.kit.outbox import Outbox
from towpath.sandbox.kit.settings import Settings
from towpath.sandbox.kit.store import Store
from towpath.sandbox.kit.tasks import Tasks
from towpath.sandbox.kit.tokens import Tokens


@dataclass(frozen=True, slots=True)
class World:
    """What the toolkit lends to a system."""

    store: Store
    clock: Clock
    outbox: Outbox
    tokens: Tokens
    tasks: Tasks


@dataclass(frozen=True, slots=True)
class Site:
    """An opened system: its paths, who may call them, and how it words a refusal.

    `dumps` names what `/_sandbox/store` shows; what `stats` returns is part of `/_sandbox/stats`.
    """

    endpoints: Sequence[Endpoint]
    authenticate: Callable[[Call], str]
    refuse: Callable[[Refusal], Answer]
    dumps: Mapping[str, str]
    controls: Sequence[Control] = ()
    stats: Callable[[], Mapping[str, Any]] = dict


class Open(Protocol):
    """Makes the site of a system in a world."""

    def __call__(self, world: World, settings: Any) -> Site:  # noqa: ANN401 - each system has settings of its own
        """Return the site; what the store lacks is filled in."""


@dataclass(frozen=True, slots=True)
class System:
    """A system that the sandbox can play; `indexes` are the fields of each kind that it searches by.

    `sign` returns the headers that sign a webhook, from the secret, its id and its body, where they are not Standard Webhooks' own.
    """

    name: str
    settings: type[Settings]
    open: Open
    indexes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    sign: Callable[[str, str, str], Mapping[str, str]] | None = None


def names() -> list[str]:
    """Return the systems that are there."""
    return sorted(info.name for info in pkgutil.iter_modules(towpath.sandbox.__path__) if info.ispkg and info.name != "kit")


def load(name: str) -> System:
    """Return a system by name; raises ValueError that lists the known ones."""
    if name not in names():
        msg = f"no sandbox system {name!r}: there are {', '.join(names())}"
        raise ValueError(msg)
    system = importlib.import_module(f"towpath.sandbox.{name}.system").SYSTEM
    if not isinstance(system, System):
        raise TypeError(name)
    return system
