"""How the apps of Brightpearl prove who they are (vendor-apis.md, section 2.1)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Final

import aiohttp

from towpath.authorisers import HTTP_OK, BearerToken
from towpath.clock import SystemClock
from towpath.config import Connection
from towpath.delivery.tokens import Token
from towpath.errors import ConfigError, RetryableError
from towpath.http import Authoriser, read_whole

WEEK: Final = 604_800.0


class PrivateApp:
    """Adds the headers of a private app, read anew for each call."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def headers(self, _session: aiohttp.ClientSession) -> Mapping[str, str]:
        """Return the headers; raises RetryableError, of the whole system, while the token cannot be read."""
        try:
            token = self._connection.credential("account_token").get_secret_value()
            return {"brightpearl-app-ref": _plain(self._connection, "app_ref"), "brightpearl-account-token": token}
        except ConfigError as error:
            raise RetryableError(f"the credentials cannot be read: {error}", system_wide=True) from None

    def forget(self, refused: Mapping[str, str]) -> bool:
        """Return whether the token is another by now than the one that was refused."""
        try:
            return refused.get("brightpearl-account-token") != self._connection.credential("account_token").get_secret_value()
        except ConfigError:
            return False


class InstanceApp(BearerToken):
    """Adds the references of an OAuth instance app to its bearer token."""

    def __init__(self, connection: Connection, url: str) -> None:
        super().__init__(self._refresh)
        self._connection, self._url = connection, url
        self._latest = ""

    async def headers(self, session: aiohttp.ClientSession) -> Mapping[str, str]:
        """Return the headers; a token that is due is refreshed."""
        references = {f"brightpearl-{name.replace('_', '-')}": _plain(self._connection, name) for name in ("app_ref", "dev_ref")}
        return {**references, **await super().headers(session)}

    async def _refresh(self, session: aiohttp.ClientSession) -> Token:
        """Return a new token; the refresh token that comes with it is the one to use from now on."""
        given = {name: self._connection.credential(name).get_secret_value() for name in self._connection.credentials}
        secret = {"client_secret": given["client_secret"]} if "client_secret" in given else {}
        form = {"grant_type": "refresh_token", "refresh_token": self._latest or given["refresh_token"], "client_id": given["client_id"], **secret}
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
        self._latest = latest if isinstance(latest, str) else self._latest
        return Token.living(token, _lifetime(seconds), asked)


def private_app(connection: Connection) -> Authoriser:
    """Return what adds the headers of a private app."""
    return PrivateApp(connection)


def instance_app(connection: Connection, url: str) -> Authoriser:
    """Return what adds the headers of an instance app, whose tokens come from `url`."""
    return InstanceApp(connection, url)


def _plain(connection: Connection, name: str) -> str:
    return connection.credential(name).get_secret_value()


def _lifetime(seconds: object) -> float:
    """Return a lifetime in seconds; a refresh may answer with less than the week that a first token lives, and what tells nothing counts as one."""
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    return float(seconds) if is_number and math.isfinite(seconds) and seconds > 0 else WEEK  # type: ignore[operator,arg-type]
