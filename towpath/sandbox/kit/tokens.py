"""Access tokens that survive a restart of the server and expire."""

from __future__ import annotations

import secrets

from towpath.sandbox.kit.clock import Clock
from towpath.sandbox.kit.store import Store

KIND = "token"


class Tokens:
    """Tokens of one server, each valid for `seconds`."""

    def __init__(self, store: Store, clock: Clock, seconds: float) -> None:
        self._store, self._clock, self._seconds = store, clock, seconds

    def issue(self, subject: str) -> str:
        """Return a new token for whoever proved to be `subject`."""
        token = secrets.token_urlsafe(32)
        self._store.put(KIND, token, {"subject": subject, "until": self._clock.now().timestamp() + self._seconds})
        return token

    def subject(self, token: str) -> str | None:
        """Return whose token it is, or None for an unknown or expired one."""
        found = self._store.get(KIND, token)
        return None if found is None or found["until"] <= self._clock.now().timestamp() else str(found["subject"])

    def expire(self) -> int:
        """Make every token invalid and return how many there were."""
        return self._store.delete(KIND)
