"""What a system says of itself so that the contract suites can be run on it: how its sandbox is made to tell of things, and to hold them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from towpath.testing.contracts.bench import Bench

Json = Any
WAIT: float = 7.0
"""For how many seconds the answers of `throttled` ask to wait."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that a test gives in the system's place."""

    status: int
    body: Json = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Emits:
    """How the system is made to tell of an entity: `make` makes the n-th and returns its id there, `change` changes it (None: it never does).

    `hooked` says whether a webhook tells of it; whether a list does, its polls say. `named` says whether it can be read by its id alone.
    """

    make: Callable[[Bench, int], Awaitable[str]]
    change: Callable[[Bench, str], Awaitable[object]] | None = None
    hooked: bool = True
    named: bool = True


@dataclass(frozen=True, slots=True)
class Asked:
    """One thing to write: the mapped document, what it refers to, and the amounts of money in it, which must arrive as they are."""

    document: Mapping[str, Json]
    related: Mapping[str, str] = field(default_factory=dict)
    money: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Writes:
    """How an operation is tried: `ask` makes the n-th thing to write, having made at the system what it is about; `count` says how often it stands.

    Of a state-like operation `count` is 1 where the state is the document's, and `newer` changes the document's state.
    """

    ask: Callable[[Bench, int], Awaitable[Asked]]
    count: Callable[[Bench, Mapping[str, Json]], Awaitable[int]]
    newer: Callable[[Mapping[str, Json]], Mapping[str, Json]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One system; the `EXAMPLE` of `towpath/testing/systems/<system>.py` is found by itself."""

    system: str
    base: str
    """What every path of its API begins with; what lies elsewhere, such as where it gives tokens, meets no faults."""
    address: str = "/"
    """What follows the server in a connection's url."""
    credentials: Mapping[str, str]
    headers: Mapping[str, str] = field(default_factory=dict)
    """What proves to its API who somebody else is: `Bench.ask` calls as one of the system's own people."""
    settings: Mapping[str, Json] = field(default_factory=dict)
    """Of its sandbox."""
    logins: tuple[str, ...] = ()
    """Paths below `base` that give tokens."""
    changing_gets: tuple[str, ...] = ()
    """What the paths below `base` begin with where a GET changes something."""
    webhook_secret: str = "whsec_c2VjcmV0LW9mLXRoZS1jb250cmFjdC1zdWl0ZXM="  # noqa: S105 - made up
    webhook_query: str = ""
    """What stands in the address of its webhooks, where they are not signed."""
    throttled: Reply = Reply(429, {"error": "too many requests"}, MappingProxyType({"Retry-After": str(int(WAIT))}))
    """How it says that it is asked too often, and to wait `WAIT` seconds."""
    anew: frozenset[str] = frozenset()
    """Operations that make another where none is known, because nothing at the target tells one from the next."""
    missing: Reply = Reply(404, {"error": "not found"})
    """How it says that an entity is not there."""
    maps: frozenset[str] = frozenset()
    """Names of JSON objects whose keys are data, such as a map of attributes: an unknown key there is no unknown field."""
    pages: str = ""
    """The module whose `PAGE_SIZE` is how much a poll asks for at once."""
    emits: Mapping[str, Emits] = field(default_factory=dict)
    """By the entity's name, as `Source.fetch` takes it."""
    writes: Mapping[str, Writes] = field(default_factory=dict)
    """By the operation's name, as `Target.operations` has it."""
