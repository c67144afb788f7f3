"""A bucket of tokens for what comes in: nothing waits, too much is refused."""

from __future__ import annotations

from towpath.clock import Clock


class Bucket:
    """Lets `rate` things through a second, and `burst` at once; any number where `rate` is None."""

    def __init__(self, clock: Clock, *, rate: float | None, burst: int) -> None:
        self._clock, self._rate, self._burst = clock, rate, float(burst)
        self._tokens, self._filled_at = float(burst), clock.monotonic()

    def take(self) -> float:
        """Take a token when there is one and return 0, else return the seconds until there is."""
        if self._rate is None:
            return 0.0
        now = self._clock.monotonic()
        self._tokens, self._filled_at = min(self._burst, self._tokens + (now - self._filled_at) * self._rate), now
        if self._tokens < 1:
            return (1 - self._tokens) / self._rate
        self._tokens -= 1
        return 0.0
