"""Signing calls by OAuth 1.0a with HMAC-SHA256 (RFC 5849): every call anew, over its method, address and query; the body is not signed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, urlsplit

import aiohttp

from towpath.errors import ConfigError, RetryableError


class Keys(NamedTuple):
    """The four that an integration is given."""

    token: str
    consumer_key: str
    consumer_secret: str
    token_secret: str


class OAuth1:
    """Signs each call; the keys are read anew for each."""

    def __init__(self, read: Callable[[], Keys]) -> None:
        self._read = read

    async def headers(self, _session: aiohttp.ClientSession) -> Mapping[str, str]:
        """Return none: what proves who we are is the signature."""
        return {}

    def sign(self, method: str, url: str, params: Mapping[str, str]) -> Mapping[str, str]:
        """Return the Authorization header of this call; raises RetryableError, of the whole system, while the keys cannot be read."""
        try:
            keys = self._read()
        except ConfigError as error:
            raise RetryableError(f"the credentials cannot be read: {error}", system_wide=True) from None
        oauth = {
            "oauth_consumer_key": keys.consumer_key,
            "oauth_token": keys.token,
            "oauth_nonce": secrets.token_hex(16),
            "oauth_timestamp": str(int(time.time())),
            "oauth_signature_method": "HMAC-SHA256",
            "oauth_version": "1.0",
        }
        base = base_string(method, url, [*params.items(), *oauth.items()])
        key = f"{_quoted(keys.consumer_secret)}&{_quoted(keys.token_secret)}".encode()
        oauth["oauth_signature"] = base64.b64encode(hmac.new(key, base.encode(), hashlib.sha256).digest()).decode()
        return {"Authorization": "OAuth " + ", ".join(f'{name}="{_quoted(value)}"' for name, value in oauth.items())}

    def forget(self, refused: Mapping[str, str]) -> bool:  # noqa: ARG002 - nothing of a call is kept
        """Return False: the next call is signed with the same keys."""
        return False


def base_string(method: str, url: str, parameters: Iterable[tuple[str, str]]) -> str:
    """Return what is signed: the method, the address without its query, and all parameters of query and header, sorted (RFC 5849, 3.4.1)."""
    parts = urlsplit(url)
    port = "" if parts.port in (None, {"http": 80, "https": 443}.get(parts.scheme)) else f":{parts.port}"
    address = f"{parts.scheme.lower()}://{(parts.hostname or '').lower()}{port}{parts.path}"
    pairs = sorted((_quoted(name), _quoted(value)) for name, value in (*parse_qsl(parts.query, keep_blank_values=True), *parameters))
    return "&".join((method.upper(), _quoted(address), _quoted("&".join(f"{name}={value}" for name, value in pairs))))


def _quoted(text: str) -> str:
    return quote(text, safe="-._~")
