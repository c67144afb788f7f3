"""What a process that stood still may have done to what another did meanwhile: looked at soon, and once its own call can no longer commit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from sinks.base import Document, Standing, Twins
from sinks.twins import one_left
from towpath.clock import Clock
from towpath.delivery.claims import Claim
from towpath.delivery.ledger import Effect, Ledger
from towpath.errors import DataError, FencedError, RetryableError
from towpath.http import ApiClient
from towpath.metrics import Metrics

if TYPE_CHECKING:
    from sinks.effects import Effected, Wanted

log = structlog.get_logger(__name__)

SOON_SECONDS = 0.3
"""After which most that was sent has committed: what an order that stands twice asks for may be sent out twice before long."""
CLOSE_SECONDS = 2.0

Doubted = Callable[[float], Coroutine[Any, Any, None]]
"""Told that a delivery may have been written beside another process, and in how many seconds that can happen no more: then it is looked at."""


@dataclass(slots=True)
class Hold:
    """A claim on an effect: since when (monotonic) it holds, for so many seconds nobody else begins it.

    `taken` says that another left the effect unfinished, `sent` that a write of ours may be on its way, maybe after those seconds.
    """

    seconds: float
    since: float = 0.0
    taken: bool = False
    sent: bool = False

    def is_over(self, now: float) -> bool:
        """Tell whether another process may have begun the effect."""
        return now - self.since > self.seconds


class Doubts:
    """Looks again soon, and has it noted that somebody is to look in so many `seconds`: a call that was given up can commit no more then."""

    def __init__(self, ledger: Ledger, clock: Clock, metrics: Metrics, seconds: float) -> None:
        self._ledger, self._clock, self._metrics, self._seconds = ledger, clock, metrics, seconds
        self._taken: set[Effect] = set()
        self._looking: set[asyncio.Task[None]] = set()

    def is_taken(self, effect: Effect, claim: Claim) -> bool:
        """Tell whether another process left the effect unfinished: now, or before a try of ours that failed."""
        if claim.taken:
            self._taken.add(effect)
        return effect in self._taken

    def is_done(self, effect: Effect) -> None:
        """Forget an effect that is finished."""
        self._taken.discard(effect)

    async def unchanged(self, wanted: Wanted, claim: Claim, api: ApiClient, document: Document) -> Effected:
        """Return what is told of an effect that is done; where it is to be looked at, one is left of what stands twice."""
        found = wanted.unchanged(claim)
        if wanted.twins is None or not wanted.looks:
            return found
        left = await one_left(wanted.effect, wanted.twins, api, document, Standing(claim.external_id, at=claim.external_at), self._metrics)
        if left.id != claim.external_id:
            await self._ledger.complete(wanted.effect, left.id, at=left.at)
        return found._replace(external_id=left.id, external_at=left.at, reason=left.review or found.reason)

    def see_to(self, wanted: Wanted, hold: Hold, error: BaseException, api: ApiClient, document: Document) -> None:
        """See to what another process may have written at the same time.

        Whoever stood still hears as it wakes that its partitions are another's, or its answer is lost, or the ledger says that it comes too late.
        """
        if not hold.sent:
            return
        is_over = hold.is_over(self._clock.monotonic())
        wrote_nothing = isinstance(error, DataError) or (isinstance(error, RetryableError) and not is_over)  # and the next try looks again
        if wanted.twins is not None and (hold.taken or is_over) and not wrote_nothing:
            self._begin(self._leave_one(wanted.effect, wanted.twins, api, document))
        elif wanted.version is None or not (is_over or isinstance(error, FencedError)):
            return
        if wanted.doubted is not None:
            self._begin(wanted.doubted(self._seconds))

    async def close(self) -> None:
        """Wait until all is looked at and noted that was in doubt, for two seconds at most."""
        if self._looking:
            await asyncio.wait(self._looking, timeout=CLOSE_SECONDS)

    async def _leave_one(self, effect: Effect, twins: Twins, api: ApiClient, document: Document) -> None:
        """Have one left of what stands twice; the ledger then has the one that is left."""
        await self._clock.sleep(SOON_SECONDS)
        left = await one_left(effect, twins, api, document, Standing(""), self._metrics)
        if not left.id or not left.whole:  # there is but one, or whoever has the effect now is about to finish it
            return
        try:
            await self._ledger.complete(effect, left.id, at=left.at)
        except RetryableError as error:
            log.warning("the ledger may have the twin that was cancelled", effect_key=effect.key, external_id=left.id, reason=str(error))

    def _begin(self, looking: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(looking)
        self._looking.add(task)
        task.add_done_callback(self._looking.discard)
