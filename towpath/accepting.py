"""Webhook secrets that are changed while webhooks come in: the new one counts within a second, the old one for as long as the vault says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

import structlog

from towpath.config import SecretRef
from towpath.errors import ConfigError
from towpath.signatures import NotAuthenticError

log = structlog.get_logger(__name__)

READ_EVERY: Final = timedelta(seconds=1)


class OneSecret(Protocol):
    """What verifies the webhooks of one secret."""

    def verify(self, *webhook: Any) -> str:  # noqa: ANN401 - passed on
        """Return the webhook's id; raises NotAuthenticError."""
        ...


class Accepting:
    """Verifies webhooks by each secret that is accepted now; raises ConfigError or, for what can be no secret, ValueError as `make` does.

    Once it works, a secret that cannot be read or used is logged, and those from before go on to count.
    """

    def __init__(self, reference: SecretRef, make: Callable[[str], Any]) -> None:
        self._reference, self._make = reference, make
        self._read_at: datetime | None = None
        self._trouble = ""
        self._secrets: list[str] = []
        self._verifiers: Sequence[OneSecret] = []
        self._take()

    def verify(self, body: bytes, headers: Any, now: datetime, *more: Any) -> str:  # noqa: ANN401 - passed on
        """Return the webhook's id; raises NotAuthenticError with the reason that the newest secret gives."""
        if self._read_at is None or not timedelta() <= now - self._read_at < READ_EVERY:
            self._read_at = now
            self._read()
        first: NotAuthenticError | None = None
        for verifier in self._verifiers:
            try:
                return verifier.verify(body, headers, now, *more)
            except NotAuthenticError as error:
                first = first or error
        raise first or NotAuthenticError("there is no secret")

    def _read(self) -> None:
        try:
            self._take()
            self._trouble = ""
        except (ConfigError, ValueError) as error:
            trouble = str(error) if isinstance(error, ConfigError) else f"the secret at {self._reference} can be none"
            if trouble != self._trouble:
                log.warning("webhooks are verified by the secret from before", reason=trouble)
            self._trouble = trouble

    def _take(self) -> None:
        secrets = [secret.get_secret_value() for secret in self._reference.accepted()]
        if secrets != self._secrets:
            self._verifiers = [self._make(secret) for secret in secrets]
            self._secrets = secrets
