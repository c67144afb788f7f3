"""The one way in which every delivery becomes an effect, once."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

import structlog

from sinks.base import Document, Operation, Reference, Standing, Target, Update, filled, parse_document, references
from sinks.doubt import Doubted, Doubts, Hold
from sinks.effects import Effected, Wanted
from sinks.twins import one_left
from towpath.clock import Clock
from towpath.delivery.budget import Priority
from towpath.delivery.claims import Claim, Order, State
from towpath.delivery.ledger import Effect, Ledger
from towpath.errors import DataError, DependencyError, OutcomeUnknownError, RetryableError
from towpath.failpoints import Failpoints
from towpath.http import ApiClient
from towpath.metrics import Metrics

log = structlog.get_logger(__name__)

LONGEST_ID = 200
CLAIMED_AHEAD = 2
"""One effect for so many calls is claimed before its call may go out: a call ends, and the next begins, without a commit between them."""


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
    """Makes each effect of one connection happen once: ledger row, look-up, write, ledger row.

    At most `in_flight` effects call; half as many again have their first row written and wait for their call. What follows the target's
    answer keeps no other from calling.
    """

    def __init__(
        self,
        connection: str,
        target: Target,
        api: ApiClient,
        ledger: Ledger,
        patience: Patience,
        clock: Clock,
        *,
        in_flight: int = 16,
        metrics: Metrics | None = None,
    ) -> None:
        self._metrics = metrics or Metrics()
        self._connection, self._target, self._api, self._ledger = connection, target, api, ledger
        self._patience, self._clock = patience, clock
        self._settle = timedelta(seconds=patience.settle)
        self._calls = asyncio.Semaphore(in_flight)
        self._claims = asyncio.Semaphore(in_flight + -(-in_flight // CLAIMED_AHEAD))
        self._under_way: dict[Effect, asyncio.Event] = {}
        self._unsettled: dict[Effect, float] = {}
        """Until when (monotonic) what was sent of an effect may still commit: a clock that is set forward must not end that sooner."""
        self._doubts = Doubts(ledger, clock, self._metrics, patience.timeout + patience.settle)
        self._failpoints = Failpoints.from_environment()

    def at(self, priority: Priority) -> Effector:
        """Return the same effector for effects whose calls have this priority; to be asked for once."""
        view = copy.copy(self)
        view._api = self._api.at(priority)  # noqa: SLF001 - a copy of ourselves
        return view

    def is_state(self, operation: str) -> bool:
        """Tell whether of this operation only the newest counts."""
        return isinstance(self._target.operations.get(operation), Update)

    def is_awaited(self, operation: str) -> bool:
        """Tell whether other effects may depend on this operation's."""
        return operation in self._target.creates.values()

    def brings(self, operation: str, key: str, document: Document) -> str | None:
        """Return what may wait for this effect ("operation key"), or for what it brings ("entity key"); None where nothing does."""
        if self.is_awaited(operation):
            return f"{operation} {key}"
        known = self._target.operations.get(operation)
        return known.brings(document) if isinstance(known, Update) and known.brings is not None else None

    async def apply(
        self,
        operation: str,
        key: str,
        document: Document,
        related: Mapping[str, str],
        version: Order = (0, 0),
        *,
        again: bool = False,
        doubted: Doubted | None = None,
    ) -> Effected:
        """Return what became of the effect; raises DataError, RetryableError, OutcomeUnknownError or FencedError.

        `version` is the delivery's; it guards what is state-like, which is put `again` where that is wanted; a one-shot effect never is, but
        looked for whether it stands twice. `doubted` is told where it may have been written beside another process.
        """
        effected = await self._once(Effect(self._connection, operation, key), document, related, version, again=again, doubted=doubted)
        if effected.reason:
            told = {"operation": operation, "effect_key": key, "external_id": effected.external_id, "reason": effected.reason}
            log.warning("to be reviewed" if effected.outcome == "applied" else "asked for what stands already", **told)
        return effected

    async def close(self) -> None:
        """Wait for what is being looked at again; nothing is applied any more."""
        await self._doubts.close()

    async def _once(
        self,
        effect: Effect,
        document: Document,
        related: Mapping[str, str],
        version: Order,
        within: frozenset[Effect] = frozenset(),
        *,
        again: bool = False,
        doubted: Doubted | None = None,
    ) -> Effected:
        operation = self._target.operations.get(effect.operation)
        if operation is None:
            raise DataError(f"{self._connection} knows no operation {effect.operation}", field="operation", value=effect.operation)
        refers = tuple(dict.fromkeys(references(document)))
        wanted = Wanted(effect, operation, document, refers, version if isinstance(operation, Update) else None, within | {effect}, again, doubted)
        while (another := self._under_way.get(effect)) is not None:  # two orders of a new customer make one customer
            await another.wait()
        ended = self._under_way[effect] = asyncio.Event()
        try:
            return await self._apply(wanted, related)
        finally:
            del self._under_way[effect]
            ended.set()

    async def _apply(self, wanted: Wanted, related: Mapping[str, str]) -> Effected:
        known = await self._ledger.peek(wanted.effect) if wanted.refers else None  # where it refers to nothing, the claim tells
        done = known if known is not None and wanted.done_by(known) else None
        if done is not None and not wanted.looks:  # what it refers to is not made for an effect that is done
            return wanted.unchanged(done)
        try:
            ids = await self._resolve(wanted, related)
        except (DataError, DependencyError):
            if done is None:
                raise
            return wanted.unchanged(done)
        try:
            return await self._claim_and_write(wanted, filled(wanted.document, ids))
        except DataError as refusal:
            if not await self._reopen(wanted.stale(refusal.field), ids):
                raise
        return await self._claim_and_write(wanted, filled(wanted.document, await self._resolve(wanted, related)))

    async def _claim_and_write(self, wanted: Wanted, document: Document) -> Effected:
        if self._failpoints.off("sink.ledger"):
            return await self._write_blindly(wanted, document)
        hold = Hold((self._patience.lease + self._settle).total_seconds())
        try:
            return await self._claim_and_write_alone(wanted, document, hold)
        except BaseException as error:
            self._doubts.see_to(wanted, hold, error, self._api, document)
            raise

    async def _claim_and_write_alone(self, wanted: Wanted, document: Document, hold: Hold) -> Effected:
        effect, digest = wanted.effect, wanted.digest
        lease, settle = self._patience.lease, self._settle
        if (wait := self._unsettled.get(effect, 0.0) - self._clock.monotonic()) > 0:
            known = await self._ledger.peek(effect)
            if known is not None and wanted.done_by(known) and not wanted.looks:
                return wanted.unchanged(known)
            raise _may_still_commit(effect, wait)
        self._unsettled.pop(effect, None)
        async with self._claims:  # others are claimed while this one calls, and call while this one is booked
            hold.since = self._clock.monotonic()
            claim = await self._ledger.begin(effect, digest=digest, lease=lease, settle=settle, version=wanted.version, again=wanted.again)
            if wanted.done_by(claim):
                return await self._doubts.unchanged(wanted, claim, self._api, document)
            if not claim.mine:
                raise _may_still_commit(effect, claim.wait)
            hold.taken = self._doubts.is_taken(effect, claim)
            async with self._calls:
                written, standing = await self._write_alone(wanted, claim, document, hold)
        self._failpoints.hit("sink.after_response")
        await self._ledger.complete(effect, standing.id, at=standing.at, digest=digest if written else None, version=wanted.version)
        self._doubts.is_done(effect)
        closes = claim.closed_by(wanted.version)
        if written:
            return Effected("applied", standing.id, standing.at, closes, standing.review)
        reason = "it stood there before Towpath wrote it" if claim.fresh and self.is_awaited(effect.operation) else ""
        return Effected("found", standing.id, standing.at, closes, standing.review or reason)

    async def _write_alone(self, wanted: Wanted, claim: Claim, document: Document, hold: Hold) -> tuple[bool, Standing]:
        """Find or write what is wanted; where another process may have written it at the same time, look again what stands."""
        written, standing = await self._find_or_write(wanted, claim, document, self._fence(wanted.effect, hold))
        if written and wanted.twins is not None and (hold.taken or hold.is_over(self._clock.monotonic())):
            standing = await one_left(wanted.effect, wanted.twins, self._api, document, standing, self._metrics)
        return written, standing

    async def _write_blindly(self, wanted: Wanted, document: Document) -> Effected:
        """Write as a sink without a ledger does: what `towpath chaos --controls` must find out."""
        operation, api = wanted.operation, self._api
        standing = (await operation.put(api, document, None))[1] if isinstance(operation, Update) else await operation.write(api, document)
        await self._ledger.begin(wanted.effect, digest=wanted.digest, lease=self._patience.lease, settle=self._settle, version=wanted.version)
        await self._ledger.complete(wanted.effect, standing.id, at=standing.at)  # others refer to it
        return Effected("applied", standing.id, standing.at)

    async def _find_or_write(self, wanted: Wanted, claim: Claim, document: Document, fence: Callable[[], Awaitable[None]]) -> tuple[bool, Standing]:
        try:
            written, standing = await self._call(wanted.operation, claim, document, self._api.fenced(fence))
            return written, _storable(wanted.effect, standing)
        except DataError:
            await self._ledger.refused(wanted.effect)
            raise
        except RetryableError:
            await self._ledger.settles_in(wanted.effect, 0)
            raise
        except OutcomeUnknownError:
            self._note_unsettled(wanted.effect, self._patience.settle)
            await self._ledger.settles_in(wanted.effect, self._patience.settle)
            raise
        except asyncio.CancelledError:  # the partition went to another, and may come back: the row's own time, by the clock that cannot be set
            self._note_unsettled(wanted.effect, self._patience.timeout + self._patience.settle)
            raise

    def _note_unsettled(self, effect: Effect, seconds: float) -> None:
        now = self._clock.monotonic()
        for settled in [one for one, until in self._unsettled.items() if until <= now]:
            del self._unsettled[settled]
        self._unsettled[effect] = now + seconds

    async def _call(self, operation: Operation | Update, claim: Claim, document: Document, api: ApiClient) -> tuple[bool, Standing]:
        if isinstance(operation, Update):
            return await operation.put(api, document, None if claim.version is None else claim.version[0])
        if operation.may_repeat is not None and not claim.fresh:
            operation.may_repeat(document, self._clock.now())
        find = operation.find_again if claim.external_id and operation.find_again is not None else operation.find
        found = await find(api, document)
        if found is not None and not found.whole and operation.resume is not None:
            return True, await operation.resume(api, document, found)
        return (False, found) if found is not None else (True, await operation.write(api, document))

    def _fence(self, effect: Effect, hold: Hold) -> Callable[[], Awaitable[None]]:
        async def fence() -> None:
            now = self._clock.monotonic()
            if now - hold.since > self._patience.timeout:  # less is left of the lease than a call may take
                await self._ledger.renew(effect, lease=self._patience.lease, settle=self._settle)
                hold.since = now
            hold.sent = True

        return fence

    async def _resolve(self, wanted: Wanted, related: Mapping[str, str]) -> dict[Reference, str]:
        """Return the target's id of each thing that the document refers to, made now where it is missing and known how."""
        return {one: await self._ensure(one, related, wanted) for one in wanted.refers}

    async def _ensure(self, reference: Reference, related: Mapping[str, str], wanted: Wanted) -> str:
        name, operation = " ".join(reference), self._target.creates.get(reference.entity)
        effect = Effect(self._connection, operation or "", reference.key)
        if operation is None or effect in wanted.within or not reference.key:
            raise DataError(f"the mapping refers to {name}, which {self._connection} cannot have", field=f"$ref {reference.entity}")
        if name in related:
            document, doubted = parse_document(related[name], name), wanted.doubted
            return (await self._once(effect, document, related, (0, 0), wanted.within, again=wanted.looks, doubted=doubted)).external_id
        known = await self._ledger.peek(effect)
        if known is None or known.state != State.DONE:
            raise DependencyError(f"waits for {name}, which is not at {self._connection} yet", awaits=f"{operation} {reference.key}")
        return known.external_id

    async def _reopen(self, entity: str | None, ids: Mapping[Reference, str]) -> bool:
        """Have what is referred to of this entity done again, because the target knows those ids no more; False where there is none."""
        stale = {reference: external_id for reference, external_id in ids.items() if reference.entity == entity}
        for reference, external_id in stale.items():
            log.warning("the target knows it no more: found or created again", reference=" ".join(reference), external_id=external_id)
            await self._ledger.gone(Effect(self._connection, self._target.creates[reference.entity], reference.key), external_id)
        return bool(stale)


def _may_still_commit(effect: Effect, wait: float) -> RetryableError:
    return RetryableError(f"{effect.operation} {effect.key}: an earlier call may still commit", retry_after=wait)


def _storable(effect: Effect, standing: Standing) -> Standing:
    if not standing.id or len(standing.id) > LONGEST_ID or not standing.id.isprintable():
        raise OutcomeUnknownError(f"{effect.connection}: {effect.operation} {effect.key}: the target's id for it is none: {standing.id[:40]!a}")
    return standing
