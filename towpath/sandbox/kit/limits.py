"""The rate limit of a system: a bucket of tokens for each credential."""

from __future__ import annotations

import math
from dataclasses import dataclass

from towpath.sandbox.kit.clock import Clock


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class RateLimit:
    """`per_minute` calls a minute of `minute_seconds`, and up to `burst` at once."""

    def __init__(self, clock: Clock, *, per_minute: float, burst: int, minute_seconds: float) -> None:
        self._clock, self._burst, self._rate = clock, burst, per_minute / minute_seconds
        self._buckets: dict[str, _Bucket] = {}

    def take(self, credential: str) -> int | None:
        """Return None where the call may go on, else the whole seconds to wait (at least 1)."""
        now = self._clock.monotonic()
        bucket = self._buckets.setdefault(credential, _Bucket(self._burst, now))
        bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.at) * self._rate)
        bucket.at = now
        if bucket.tokens >= 1:
            bucket.tokens -= 1
            return None
        return max(1, math.ceil((1 - bucket.tokens) / self._rate))
