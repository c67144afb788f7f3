"""Access tokens that the processes of a deployment have in common, kept beside the effect ledger and sealed with a key of the vault.

One process at a time refreshes the token of a connection: it holds a lease, and the others go on with a token that is still good, or wait for
the new one. A process that dies with the lease holds the others up for no longer than a request may take. While the database or the vault does
not answer, each process refreshes for itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

import sqlalchemy as sa
import structlog
from sqlalchemy import URL, Connection

from towpath.clock import Clock
from towpath.config import Connection as Settings
from towpath.delivery.committer import GroupCommitter
from towpath.delivery.database import metadata, now_of, open_engine
from towpath.errors import ConfigError, RetryableError
from towpath.migrations.chain import DELIVERY
from towpath.vault import Vault
from towpath.vault.sealing import NotOpenedError, seal, unseal

log = structlog.get_logger(__name__)

RENEWED_AT: Final = 0.8  # of its lifetime
SHORTEST: Final = 1.0
LEASE_MARGIN: Final = 5.0
ANSWERS_WITHIN: Final = 15.0
ASKED_AGAIN_AFTER: Final = 5.0
ASK_PAUSE, LONGEST_PAUSE = 0.05, 0.5

tokens = sa.Table(
    "tokens",
    metadata,
    sa.Column("connection", sa.String(40), primary_key=True),
    sa.Column("sealed", sa.Text, nullable=False),  # "": there is none
    sa.Column("refresh_at", sa.Float),  # seconds since 1970, as all times here; null: never
    sa.Column("expires_at", sa.Float),  # the same
    sa.Column("holder", sa.String(32), nullable=False),  # who refreshes it
    sa.Column("lease_until", sa.Float, nullable=False),
)


class Token(NamedTuple):
    """An access token, with monotonic seconds of this process: since when it is, when to renew it, and until when it is good."""

    value: str
    since: float
    renew: float
    until: float

    @classmethod
    def living(cls, value: str, seconds: float, since: float) -> Token:
        """Return a token of that lifetime; a server may give the same one again, ever closer to its end, and is not asked more than once a second."""
        return cls(value, since, since + max(seconds * RENEWED_AT, min(seconds, SHORTEST)), since + seconds)

    def __repr__(self) -> str:
        return f"Token(renew={self.renew}, until={self.until})"


class _Found(NamedTuple):
    """What there is: a token that was not refused (with the seconds for which it needs no refresh, and is good), and whether we hold the lease."""

    value: str | None
    fresh: float
    good: float
    is_ours: bool


class SharedTokens:
    """The tokens of all connections, as one process takes part in them; it must be closed."""

    def __init__(self, url: URL, clock: Clock, vault: Vault) -> None:
        self.clock, self._vault = clock, vault
        self._database = GroupCommitter(open_engine(url))
        self._has_table = False
        self._trouble = ""

    def of(self, name: str, connection: Settings) -> SharedToken:
        """Return the token of a connection: of this system, address and account, for a token is never sent to another."""
        account = [connection.system, connection.url, *(f"{key}={value}" for key, value in sorted(connection.credentials.items()))]
        digest = hashlib.sha256(json.dumps(account).encode()).hexdigest()
        return SharedToken(self, name, digest, connection.limits.request_timeout_seconds + LEASE_MARGIN)

    def keys(self) -> list[bytes]:
        """Return the keys that seal tokens; the first seals."""
        return self._vault.keys_for("shared tokens")

    async def run(self, work: Callable[[Connection, float], _Found | None]) -> _Found | None:
        """Return what `work` returned of the table and the time; raises RetryableError while the database does not answer."""

        def with_table(database: Connection) -> _Found | None:
            if not self._has_table:
                DELIVERY.bring_up(database)
            return work(database, now_of(database, self.clock))

        try:
            async with asyncio.timeout(ANSWERS_WITHIN):
                found = await self._database.run(with_table)
        except TimeoutError:
            raise RetryableError(f"database: no answer within {ANSWERS_WITHIN:.0f} s") from None
        self._has_table = True
        return found

    def note(self, trouble: str) -> None:
        """Log that tokens are not shared, and that they are again."""
        if trouble and not self._trouble:
            log.warning("access tokens are not shared with other processes now", reason=trouble)
        elif self._trouble and not trouble:
            log.info("access tokens are shared with other processes again")
        self._trouble = trouble

    async def close(self) -> None:
        """Leave the database."""
        await self._database.close()


class SharedToken:
    """The token of one connection, which other processes use and refresh as well."""

    def __init__(self, shared: SharedTokens, connection: str, account: str, lease_seconds: float) -> None:
        self._shared, self._clock = shared, shared.clock
        self._connection, self._about = connection, ("shared token", connection, account)
        self._lease_seconds, self._holder = lease_seconds, uuid.uuid4().hex

    async def renewed(self, fetch: Callable[[], Awaitable[Token]], refused: str, still_good: Token | None) -> Token:
        """Return the token that all use now, which is not `refused`; where it is for us to refresh it, that of `fetch`.

        While another process refreshes, `still_good` is returned, to be asked for again shortly. What `fetch` raises is passed on.
        """
        pause = ASK_PAUSE
        while True:
            try:
                keys = self._shared.keys()
                found = await self._shared.run(lambda database, now, keys=keys: self._claim(database, now, keys, refused))  # type: ignore[misc]
            except (ConfigError, RetryableError) as error:
                self._shared.note(str(error))
                return await fetch() if still_good is None else still_good._replace(renew=self._clock.monotonic() + ASKED_AGAIN_AFTER)
            self._shared.note("")
            assert found is not None  # noqa: S101 - _claim finds something
            now = self._clock.monotonic()
            if found.is_ours:
                return await self._refreshed(fetch, keys[0])
            if found.value is not None:
                return Token(found.value, -math.inf, now + max(found.fresh, pause), now + found.good)
            await self._clock.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 2)

    async def _refreshed(self, fetch: Callable[[], Awaitable[Token]], key: bytes) -> Token:
        try:
            token = await fetch()
        except BaseException:
            await self._leave(lambda database, _now: self._set(database, holder="", lease_until=0.0))
            raise
        sealed = seal(key, token.value.encode(), self._about)
        monotonic = self._clock.monotonic()

        def keep(database: Connection, now: float) -> None:
            times = {
                name: None if math.isinf(at) else now + at - monotonic for name, at in (("refresh_at", token.renew), ("expires_at", token.until))
            }
            self._set(database, sealed=sealed, holder="", lease_until=0.0, **times)

        await self._leave(keep)
        return token

    async def _leave(self, work: Callable[[Connection, float], None]) -> None:
        try:
            await asyncio.shield(self._shared.run(work))
        except RetryableError as error:  # the token is good all the same; the lease ends by itself
            self._shared.note(str(error))

    def _claim(self, database: Connection, now: float, keys: Sequence[bytes], refused: str) -> _Found:
        row = database.execute(sa.select(tokens).where(tokens.c.connection == self._connection).with_for_update()).one_or_none()
        if row is None:
            lease = {"holder": self._holder, "lease_until": now + self._lease_seconds}
            database.execute(sa.insert(tokens).values(connection=self._connection, sealed="", **lease))
            return _Found(None, 0.0, 0.0, is_ours=True)
        value = self._opened(row.sealed, keys)
        good = math.inf if row.expires_at is None else row.expires_at - now
        fresh = math.inf if row.refresh_at is None else row.refresh_at - now
        if value is None or value == refused or good <= 0:
            value, good, fresh = None, 0.0, 0.0
        is_free = row.lease_until <= now or row.lease_until > now + 2 * self._lease_seconds or row.holder == self._holder
        if fresh > 0 or not is_free:
            return _Found(value, fresh, good, is_ours=False)
        is_it = tokens.c.connection == self._connection
        database.execute(sa.update(tokens).where(is_it).values(holder=self._holder, lease_until=now + self._lease_seconds))
        return _Found(value, fresh, good, is_ours=True)

    def _opened(self, sealed: str, keys: Sequence[bytes]) -> str | None:
        """Return the token in a row; None where there is none, or it was sealed with a key that is gone, or for another account."""
        for key in keys if sealed else ():
            try:
                return unseal(key, sealed, self._about).decode()
            except NotOpenedError:
                continue
        return None

    def _set(self, database: Connection, **values: object) -> None:
        is_held = sa.and_(tokens.c.connection == self._connection, tokens.c.holder == self._holder)
        database.execute(sa.update(tokens).where(is_held).values(**values))
