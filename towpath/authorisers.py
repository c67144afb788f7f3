"""Ways to prove who we are that several systems share; each is an Authoriser of towpath.http."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping

import aiohttp
from pydantic import SecretStr

from towpath.errors import RetryableError
from towpath.http import read_whole

HTTP_OK = 200


class HeaderKey:
    """Adds one header whose value is read anew for each call."""

    def __init__(self, name: str, read: Callable[[], SecretStr]) -> None:
        self._name, self._read = name, read

    async def headers(self, _session: aiohttp.ClientSession) -> Mapping[str, str]:
        """Return the header."""
        return {self._name: self._read().get_secret_value()}

    def forget(self, refused: Mapping[str, str]) -> None:
        """Do nothing: nothing is kept."""


class BearerToken:
    """Adds a bearer token that `fetch` gets, fetched once for all that wait, and again when it was refused."""

    def __init__(self, fetch: Callable[[aiohttp.ClientSession], Awaitable[str]]) -> None:
        self._fetch = fetch
        self._token: str | None = None
        self._fetching = asyncio.Lock()

    async def headers(self, session: aiohttp.ClientSession) -> Mapping[str, str]:
        """Return the Authorization header."""
        async with self._fetching:
            if self._token is None:
                self._token = await self._fetch(session)
        return {"Authorization": f"Bearer {self._token}"}

    def forget(self, refused: Mapping[str, str]) -> None:
        """Drop the token that was refused."""
        if refused.get("Authorization") == f"Bearer {self._token}":
            self._token = None


async def fetch_token(session: aiohttp.ClientSession, what: str, url: str, field: str, **body: Mapping[str, str]) -> str:
    """Return the token that `url` answers a POST of `data` or `json` with; raises RetryableError, of the whole system, for anything else.

    No redirect is followed, for the body holds the credentials.
    """
    async with session.post(url, allow_redirects=False, **body) as response:  # type: ignore[arg-type]  # aiohttp types each option apart
        status, raw = response.status, await read_whole(response.content)
    if status != HTTP_OK:
        raise RetryableError(f"{what}: {status}: the credentials were refused", system_wide=True)
    try:
        token = json.loads(raw)[field]
    except (ValueError, KeyError, TypeError, RecursionError):
        token = None
    if not isinstance(token, str) or not token.isascii() or not token.isprintable():
        raise RetryableError(f"{what}: the answer holds no {field}", system_wide=True)
    return token
