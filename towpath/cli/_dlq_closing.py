"""What an operator does with dead letters, as receipts that say who did it and why; and that what is closed is not tried again by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from towpath.config import Config
    from towpath.index.queries import Letter
    from towpath.records import Output


def discarded(told: Mapping[str, Any], reason: str) -> Output:
    """Return the receipt by which an operator closes a dead letter, so that what failed before is closed."""
    from datetime import UTC, datetime

    from towpath.delivery.deadletters import DISCARDED

    return closing(told, DISCARDED, reason, datetime.now(UTC))


def closing(told: Mapping[str, Any], outcome: str, reason: str, at: datetime) -> Output:
    """Return the receipt that closes a dead letter, with who did it and why: never as of before its failure, whatever the operator's clock says."""
    return _receipt(told, outcome, reason, max(at, told["last_at"]), closes=True)


def mended_by_hand(told: Mapping[str, Any]) -> Output:
    """Return the receipt that says who mended the record of a dead letter; it closes nothing."""
    from datetime import UTC, datetime

    return _receipt(told, "mended", f"dead letter {told['dead_letter_id']}", datetime.now(UTC), closes=False)


def _receipt(told: Mapping[str, Any], outcome: str, reason: str, at: datetime, *, closes: bool) -> Output:
    from towpath.codec import default_codec
    from towpath.delivery.deadletters import Registrar, Subject

    subject = Subject(told["connection"], told["business_key"], told["flow"], mapping_version=told["mapping_version"])
    registrar = Registrar(default_codec(), told["hop"], told["group"])
    return registrar.receipt(outcome, subject, at, reason=f"{_operator()}: {reason}", dead_letter_id=told["dead_letter_id"] if closes else "")


def require_here(config: Config, letters: Sequence[Letter]) -> None:
    """Raise ConfigError for one that another site's database may have tried again by itself: it would be, whatever is said here."""
    from towpath.errors import ConfigError

    for told in (letter.told for letter in letters):
        connection = config.connections.get(told["connection"])
        if connection is not None and told["connection"] not in config.here and told["hop"] in {"adapter", "sink"}:
            where = f"at site {connection.site}" if connection.site else "where roles run that are of no site"
            raise ConfigError(f"dlq discard {told['dead_letter_id'][:8]}: {told['connection']} is {where}; discard it there, else it may be tried")


def _operator() -> str:
    """Return who runs the command, by number where that has no name, as in a container."""
    import getpass
    import os

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def forget(config: Config, ids: Sequence[str], done: str) -> None:
    """Have what is to be `done` with (discarded, or mended) not be tried again by itself as it was.

    Raises:
        ConfigError: The database does not answer.
    """
    import asyncio
    from datetime import timedelta

    from sqlalchemy.exc import SQLAlchemyError

    from towpath.clock import SystemClock
    from towpath.delivery.database import open_engine, reason_of
    from towpath.delivery.parking import Parking
    from towpath.errors import ConfigError, RetryableError

    async def work() -> None:
        parking = Parking(open_engine(config.database_url()), SystemClock(), timedelta(0))
        await parking.forget(ids)
        await parking.close()

    try:
        asyncio.run(work())
    except (SQLAlchemyError, RetryableError) as error:
        why = reason_of(error) if isinstance(error, SQLAlchemyError) else error
        raise ConfigError(f"database.url: {config.database_url()}: {why}; nothing was {done}") from error
