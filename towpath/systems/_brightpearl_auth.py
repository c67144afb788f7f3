"""How the apps of Brightpearl prove who they are (vendor-apis.md, section 2.1)."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Mapping, Sequence
from typing import Final

import aiohttp
import structlog

from towpath.authorisers import HTTP_OK, BearerToken
from towpath.clock import SystemClock
from towpath.config import Connection, SecretRef
from towpath.delivery.tokens import Token
from towpath.errors import ConfigError, RetryableError
from towpath.hiding import remember
from towpath.http import read_whole

log = structlog.get_logger(__name__)

WEEK: Final = 604_800.0


class PrivateApp:
    """Adds the headers of a private app; `headers` names the credential of each, which is read anew for each call."""

    def __init__(self, connection: Connection, headers: Mapping[str, str]) -> None:
        self._connection, self._headers = connection, headers

    async def headers(self, _session: aiohttp.ClientSession) -> Mapping[str, str]:
        """Return the headers; raises RetryableError, of the whole system, while one cannot be read."""
        try:
            return self._read()
        except ConfigError as error:
            raise RetryableError(f"the credentials cannot be read: {error}", system_wide=True) from None

    def forget(self, refused: Mapping[str, str]) -> bool:
        """Return whether a credential is another by now than the one that was refused."""
        try:
            return any(refused.get(name) != value for name, value in self._read().items())
        except ConfigError:
            return False

    def _read(self) -> Mapping[str, str]:
        return {name: _plain(self._connection, one) for name, one in self._headers.items()}


class InstanceApp(BearerToken):
    """Adds the references of an OAuth instance app to the bearer token that its `form` of credentials gets."""

    def __init__(self, connection: Connection, url: str, references: Mapping[str, str], form: Sequence[str]) -> None:
        super().__init__(self._refresh)
        self._connection, self._url, self._references, self._form = connection, url, references, form
        self._latest = ""

    async def headers(self, session: aiohttp.ClientSession) -> Mapping[str, str]:
        """Return the headers; a token that is due is refreshed."""
        references = {name: _plain(self._connection, one) for name, one in self._references.items()}
        return {**references, **await super().headers(session)}

    async def _refresh(self, session: aiohttp.ClientSession) -> Token:
        """Return a new token; the refresh token that comes with it is the one to use from now on."""
        given = {name: _plain(self._connection, name) for name in self._form if name in self._connection.credentials}
        form = {"grant_type": "refresh_token", **given, **({"refresh_token": self._latest} if self._latest else {})}
        asked = SystemClock().monotonic()
        async with session.post(self._url, data=form, allow_redirects=False) as response:
            status, raw = response.status, await read_whole(response.content)
        if status != HTTP_OK:
            self._latest = ""  # the configured one may have been exchanged meanwhile
            raise RetryableError(f"brightpearl: POST token: {status}: the refresh token or the app was refused", system_wide=True)
        try:
            answer = json.loads(raw)
            token, latest, seconds = answer["access_token"], answer.get("refresh_token"), answer.get("expires_in")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            token = latest = seconds = None
        if not isinstance(token, str) or not token or not token.isascii() or not token.isprintable():
            raise RetryableError("brightpearl: POST token: the answer holds no access_token", system_wide=True)
        if isinstance(latest, str) and latest and latest != form["refresh_token"]:
            self._latest = "" if await self._kept(latest) else latest
        return Token.living(token, _lifetime(seconds), asked)

    async def _kept(self, latest: str) -> bool:
        """Tell whether the refresh token that came stands in the vault from now on, for every process and the next start."""
        remember(latest)
        reference = self._connection.credentials["refresh_token"]
        try:
            return isinstance(reference, SecretRef) and await asyncio.to_thread(reference.keep, latest)
        except ConfigError as error:
            log.warning("the refresh token that came is kept in memory only, and lost with this process", reference=str(reference), reason=str(error))
            return False


def _plain(connection: Connection, name: str) -> str:
    return connection.credential(name).get_secret_value()


def _lifetime(seconds: object) -> float:
    """Return a lifetime in seconds; a refresh may answer with less than the week that a first token lives, and what tells nothing counts as one."""
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    return float(seconds) if is_number and math.isfinite(seconds) and seconds > 0 else WEEK  # type: ignore[operator,arg-type]
