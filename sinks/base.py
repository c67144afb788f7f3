"""What a system adds to be written to, and the one way in which every delivery becomes an effect, once."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple, Protocol

import orjson
import structlog

from towpath.clock import Clock
from towpath.delivery.ledger import Claim, Effect, Ledger, State
from towpath.errors import DataError, OutcomeUnknownError, RetryableError
from towpath.failpoints import Failpoints
from towpath.http import ApiClient

log = structlog.get_logger(__name__)

Document = Mapping[str, Any]
LONGEST_ID = 200


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing a target can do: `find` looks the effect up by its natural key, `write` does it; both give the target's id.

    `find_again` looks for what stood there once and is gone; it may look further than `find`. `stale` says what a refused write means: from
    the field it blames to the entity whose reference the target knows no more.
    """

    find: Callable[[ApiClient, Document], Awaitable[str | None]]
    write: Callable[[ApiClient, Document], Awaitable[str]]
    find_again: Callable[[ApiClient, Document], Awaitable[str | None]] | None = None
    stale: Mapping[str, str] = field(default_factory=dict)


class Reference(NamedTuple):
    """What {"$ref": entity, "key": key} in a document stands for: the target's id of something else."""

    entity: str
    key: str

    @classmethod
    def of(cls, part: Document) -> Reference:
        """Return what this part of a document refers to."""
        return cls(str(part["$ref"]), str(part.get("key")))


class Target(Protocol):
    """One system as a target."""

    operations: Mapping[str, Operation]
    creates: Mapping[str, str]
    """From the entity of a reference to the operation that makes it, so that a missing one can be created first."""


class Effected(NamedTuple):
    """What became of an effect: applied (written now), found (it stood at the target) or unchanged (it was done before)."""

    outcome: str
    external_id: str
    closes: frozenset[str] = frozenset()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one call may take, and how long after it a lost request may still commit at the target (seconds)."""

    timeout: float
    settle: float

    @property
    def lease(self) -> timedelta:
        """Return how long a claim holds unrenewed: a look-up and a write."""
        return timedelta(seconds=2 * self.timeout)


class Effector:
    """Makes each effect of one connection happen once: ledger row, look-up, write, ledger row."""

    def __init__(self, connection: str, target: Target, api: ApiClient, ledger: Ledger, patience: Patience, clock: Clock) -> None:
        self._connection, self._target, self._api, self._ledger = connection, target, api, ledger
        self._patience, self._clock = patience, clock
        self._settle = timedelta(seconds=patience.settle)
        self._locks: dict[Effect, asyncio.Lock] = {}
        self._failpoints = Failpoints.from_environment()

    async def apply(self, operation: str, key: str, document: Document, related: Mapping[str, str]) -> Effected:
        """Return what became of the effect; raises DataError, RetryableError, OutcomeUnknownError or FencedError."""
        effected = await self._once(Effect(self._connection, operation, key), document, related)
        if effected.reason:
            log.warning("same effect asked for again with other content", operation=operation, effect_key=key)
        return effected

    async def _once(self, effect: Effect, document: Document, related: Mapping[str, str]) -> Effected:
        async with self._alone(effect):
            return await self._apply(effect, document, related)

    async def _apply(self, effect: Effect, document: Document, related: Mapping[str, str]) -> Effected:
        if effect.operation not in self._target.operations:
            raise DataError(f"{self._connection} knows no operation {effect.operation}", field="operation", value=effect.operation)
        digest = hashlib.sha256(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)).hexdigest()
        done = await self._ledger.peek(effect)
        if done is not None and done.state == State.DONE:
            return _unchanged(done, digest)
        ids = await self._resolve(document, related)
        try:
            return await self._claim_and_write(effect, digest, _filled(document, ids))
        except DataError as refusal:
            if not await self._reopen(self._target.operations[effect.operation].stale.get(refusal.field), ids):
                raise
        return await self._claim_and_write(effect, digest, _filled(document, await self._resolve(document, related)))

    async def _claim_and_write(self, effect: Effect, digest: str, document: Document) -> Effected:
        begun = self._clock.monotonic()
        claim = await self._ledger.begin(effect, digest=digest, lease=self._patience.lease, settle=self._settle)
        if claim.state == State.DONE:
            return _unchanged(claim, digest)
        if not claim.mine:
            raise RetryableError(f"{effect.operation} {effect.key}: an earlier call may still commit", retry_after=claim.wait)
        outcome, external_id = await self._find_or_write(effect, document, self._fence(effect, begun), again=bool(claim.external_id))
        self._failpoints.hit("sink.after_response")
        await self._ledger.complete(effect, external_id, digest=digest if outcome == "applied" else None)
        return Effected(outcome, external_id, claim.dead_letters)

    async def _find_or_write(self, effect: Effect, document: Document, fence: Callable[[], Awaitable[None]], *, again: bool) -> tuple[str, str]:
        operation = self._target.operations[effect.operation]
        find = operation.find_again if again and operation.find_again is not None else operation.find
        try:
            found = await find(self._api, document)
            if found is not None:
                return "found", _storable(effect, found)
            return "applied", _storable(effect, await operation.write(self._api.fenced(fence), document))
        except DataError:
            await self._ledger.refused(effect)
            raise
        except RetryableError:
            await self._ledger.settles_in(effect, 0)
            raise
        except OutcomeUnknownError:
            await self._ledger.settles_in(effect, self._patience.settle)
            raise

    def _fence(self, effect: Effect, begun: float) -> Callable[[], Awaitable[None]]:
        async def fence() -> None:
            if self._clock.monotonic() - begun > self._patience.timeout:  # less is left of the lease than a call may take
                await self._ledger.renew(effect, lease=self._patience.lease, settle=self._settle)

        return fence

    async def _resolve(self, document: Document, related: Mapping[str, str]) -> dict[Reference, str]:
        """Return the target's id of each thing that the document refers to, made now where it is missing."""
        return {reference: await self._ensure(reference, related) for reference in dict.fromkeys(_references(document))}

    async def _ensure(self, reference: Reference, related: Mapping[str, str]) -> str:
        name, operation = " ".join(reference), self._target.creates.get(reference.entity)
        if operation is None or name not in related:
            raise DataError(f"the mapping refers to {name}, and says neither what it is nor how to create it", field=f"$ref {reference.entity}")
        others = {other: document for other, document in related.items() if other != name}  # none may refer back: it would wait for itself
        effect = Effect(self._connection, operation, reference.key)
        return (await self._once(effect, parse_document(related[name], name), others)).external_id

    async def _reopen(self, entity: str | None, ids: Mapping[Reference, str]) -> bool:
        """Have what is referred to of this entity done again, because the target knows those ids no more; False where there is none."""
        stale = {reference: external_id for reference, external_id in ids.items() if reference.entity == entity}
        for reference, external_id in stale.items():
            log.warning("the target knows it no more: found or created again", reference=" ".join(reference), external_id=external_id)
            await self._ledger.gone(Effect(self._connection, self._target.creates[reference.entity], reference.key), external_id)
        return bool(stale)

    @contextlib.asynccontextmanager
    async def _alone(self, effect: Effect) -> AsyncIterator[None]:
        """Let one task at a time work on an effect, so that two orders of a new customer make one customer."""
        lock = self._locks.setdefault(effect, asyncio.Lock())
        try:
            async with lock:
                yield
        finally:
            if not lock.locked() and not lock._waiters:  # noqa: SLF001 - the only way to ask; freed so that memory stays bounded
                self._locks.pop(effect, None)


def parse_document(text: str, name: str) -> dict[str, Any]:
    """Return a mapped document; raises DataError naming it when it is no JSON object."""
    try:
        document = orjson.loads(text)
    except ValueError as error:
        raise DataError(f"{name} is not JSON: {error}", field=name) from error
    if not isinstance(document, dict):
        raise DataError(f"{name} is no JSON object", field=name)
    return document


def _references(value: Any) -> Iterator[Reference]:  # noqa: ANN401 - any part of a document
    if isinstance(value, Mapping):
        if "$ref" in value:
            yield Reference.of(value)
            return
        value = list(value.values())
    for part in value if isinstance(value, list) else ():
        yield from _references(part)


def _filled(value: Any, ids: Mapping[Reference, str]) -> Any:  # noqa: ANN401 - any part of a document
    """Return the document with the target's id in the place of each reference."""
    if isinstance(value, Mapping):
        if "$ref" in value:
            return ids[Reference.of(value)]
        return {name: _filled(part, ids) for name, part in value.items()}
    return [_filled(part, ids) for part in value] if isinstance(value, list) else value


def _storable(effect: Effect, external_id: str) -> str:
    if not external_id or len(external_id) > LONGEST_ID or not external_id.isprintable():
        raise OutcomeUnknownError(f"{effect.connection}: {effect.operation} {effect.key}: the target's id for it is none: {external_id[:40]!a}")
    return external_id


def _unchanged(claim: Claim, digest: str) -> Effected:
    reason = "" if claim.digest == digest else "the content changed after it was written; the change was not applied"
    return Effected("unchanged", claim.external_id, claim.dead_letters, reason)
