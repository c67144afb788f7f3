"""Ways to prove who we are that several systems share; each is an Authoriser of towpath.http."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import aiohttp
from pydantic import SecretStr

from towpath.clock import Clock, SystemClock
from towpath.delivery.tokens import SharedToken, Token
from towpath.errors import ConfigError, RetryableError
from towpath.hiding import remember
from towpath.http import read_whole

HTTP_OK = 200
FRESH_SECONDS: Final = 2.0  # a token that is refused so soon was never good
RETRY_SECONDS: Final = 5.0  # when a refresh ahead of expiry is tried again
Fetch = Callable[[aiohttp.ClientSession], Awaitable[Token]]


class HeaderKey:
    """Adds one header whose value is read anew for each call."""

    def __init__(self, name: str, read: Callable[[], SecretStr]) -> None:
        self._name, self._read = name, read

    async def headers(self, _session: aiohttp.ClientSession) -> Mapping[str, str]:
        """Return the header; raises RetryableError, of the whole system, while the key cannot be read."""
        try:
            return {self._name: self._read().get_secret_value()}
        except ConfigError as error:
            raise _unreadable(error) from None

    def forget(self, refused: Mapping[str, str]) -> bool:
        """Return whether the key is another by now than the one that was refused."""
        try:
            return refused.get(self._name) != self._read().get_secret_value()
        except ConfigError:
            return False


class BearerToken:
    """Adds a bearer token that `fetch` gets: fetched once for all that wait, ahead of its expiry, and again when it was refused.

    Once it is shared, that holds for all processes of a deployment together.
    """

    def __init__(self, fetch: Fetch, clock: Clock | None = None) -> None:
        self._fetch, self._clock = fetch, clock or SystemClock()
        self._shared: SharedToken | None = None
        self._token: Token | None = None
        self._refused, self._was_good = "", False
        self._fetching = asyncio.Lock()

    def share(self, shared: SharedToken) -> None:
        """Have the token in common with the other processes."""
        self._shared = shared

    async def headers(self, session: aiohttp.ClientSession) -> Mapping[str, str]:
        """Return the Authorization header; while one caller refreshes a token that is still good, the others go on with it."""
        token = self._usable()
        if token is None or (self._is_due(token) and not self._fetching.locked()):
            async with self._fetching:
                token = self._usable()
                if token is None or self._is_due(token):
                    token = self._token = await self._renewed(session, token)
                    remember(token.value)
        return {"Authorization": f"Bearer {token.value}"}

    def forget(self, refused: Mapping[str, str]) -> bool:
        """Drop the token that was refused; return whether it was an old one, so that another may well be accepted."""
        token = self._token
        if token is not None and refused.get("Authorization") == f"Bearer {token.value}":
            self._was_good = self._clock.monotonic() - token.since >= FRESH_SECONDS
            self._refused, self._token = token.value, None
        return self._was_good or refused.get("Authorization") != f"Bearer {self._refused}"

    def _usable(self) -> Token | None:
        return self._token if self._token is not None and self._clock.monotonic() < self._token.until else None

    def _is_due(self, token: Token) -> bool:
        return self._clock.monotonic() >= token.renew

    async def _renewed(self, session: aiohttp.ClientSession, still_good: Token | None) -> Token:
        async def fetch() -> Token:
            try:
                return await self._fetch(session)
            except ConfigError as error:
                raise _unreadable(error) from None

        try:
            return await (fetch() if self._shared is None else self._shared.renewed(fetch, self._refused, still_good))
        except (RetryableError, aiohttp.ClientError, TimeoutError):
            if still_good is None or self._clock.monotonic() >= still_good.until:
                raise
            return still_good._replace(renew=self._clock.monotonic() + RETRY_SECONDS)


async def fetch_token(session: aiohttp.ClientSession, what: str, url: str, field: str, **body: Mapping[str, str]) -> Token:
    """Return the token that `url` answers a POST of `data` or `json` with; raises RetryableError, of the whole system, for anything else.

    It lives for what the answer's `expires_in` says (seconds, RFC 6749, 5.1), counted from before it was asked for. No redirect is followed,
    for the body holds the credentials.
    """
    asked = SystemClock().monotonic()
    async with session.post(url, allow_redirects=False, **body) as response:  # type: ignore[arg-type]  # aiohttp types each option apart
        status, raw = response.status, await read_whole(response.content)
    if status != HTTP_OK:
        raise RetryableError(f"{what}: {status}: the credentials were refused", system_wide=True)
    try:
        answer = json.loads(raw)
        token, seconds = answer[field], answer.get("expires_in")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        token = seconds = None
    if not isinstance(token, str) or not token or not token.isascii() or not token.isprintable():
        raise RetryableError(f"{what}: the answer holds no {field}", system_wide=True)
    return Token.living(token, _lifetime(seconds), asked)


def _lifetime(seconds: object) -> float:
    """Return a lifetime in seconds, endless where none is told that could be one."""
    try:
        found = float(seconds) if isinstance(seconds, str | int | float) and not isinstance(seconds, bool) else math.inf
    except (ValueError, OverflowError):
        return math.inf
    return found if found > 0 else math.inf


def _unreadable(error: ConfigError) -> RetryableError:
    return RetryableError(f"the credentials cannot be read: {error}", system_wide=True)
