"""What went wrong, named by what happens next: a runner has one `except` clause for each class here and no others."""

from __future__ import annotations


class TowpathError(Exception):
    """The root of every error that Towpath raises on purpose."""


class ConfigError(TowpathError):
    """Stop and say what to fix; the message names the file, the field and the remedy."""


class RetryableError(TowpathError):
    """The same record is tried again, after `retry_after` seconds where the other side said so.

    `throttled` marks flow control by the target: never a dead letter, never a reason to open the circuit. `system_wide` marks a fault of
    the whole system (refused credentials, outage): the connection pauses and no record is blamed.
    """

    def __init__(self, message: str, *, retry_after: float | None = None, throttled: bool = False, system_wide: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.throttled = throttled
        self.system_wide = system_wide


class DependencyError(RetryableError):
    """What the record depends on is not there yet: others of its key may go first, among them what it waits for.

    `awaits` names the effect ("operation key") that will make it possible.
    """

    def __init__(self, message: str, *, awaits: str) -> None:
        super().__init__(message)
        self.awaits = awaits


class DataError(TowpathError):
    """The record itself is wrong: it becomes a dead letter that names `field`, and the others go on.

    `value` is what stood there, shortened and never a secret; None where nothing did. Half a surrogate pair, which JSON may carry and
    Avro may not, is replaced: the dead letter that tells of it must be writable. `awaits` names what would make it right, should it ever
    arrive ("entity key", such as "product TP-0001"), and is empty where only a person can.
    """

    def __init__(self, message: str, *, field: str, value: str | None = None, awaits: str = "") -> None:
        super().__init__(_encodable(message))
        self.field = _encodable(field)
        self.value = value if value is None else _encodable(value[:200])
        self.awaits = awaits


class OutcomeUnknownError(TowpathError):
    """The target may or may not have committed: after the operation's settle time, look up before any further write."""


class FencedError(TowpathError):
    """Another process owns this partition or effect now: stop writing."""


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
