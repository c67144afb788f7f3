"""Who may call: an integration with its token as a bearer, where the shop allows that, or with a signature by OAuth 1.0a."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from typing import Final
from urllib.parse import quote, unquote

from towpath.sandbox.kit.clock import Clock
from towpath.sandbox.kit.messages import Call
from towpath.sandbox.magento.settings import MagentoSettings
from towpath.sandbox.magento.wording import Worded

BASE: Final = "/rest/V1/"
SKEW_SECONDS: Final = 600
_PART = re.compile(r'(\w+)="([^"]*)"')


class Auth:
    """The door of one shop."""

    def __init__(self, settings: MagentoSettings, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self._nonces: set[str] = set()

    def authenticate(self, call: Call) -> str:
        """Return the integration of a call; raises Refusal(401), also for lack of permission."""
        scheme, _, rest = call.headers.get("authorization", "").partition(" ")
        good = self._bearer(rest) if scheme.lower() == "bearer" else scheme.lower() == "oauth" and self._signed(call, rest)
        resource = call.path.removeprefix(BASE)
        if not good and scheme.lower() == "oauth":
            raise Worded(401, "The signature is invalid. Verify and try again.")
        if not good or any(resource.startswith(path) for path in self._settings.denied):  # an unknown token is a visitor, who may do nothing
            raise Worded(401, "The consumer isn't authorized to access %resources.", {"resources": resource})
        return "integration"

    def _bearer(self, token: str) -> bool:
        return self._settings.bearer_allowed and secrets.compare_digest(token.strip().encode(), self._settings.access_token.encode())

    def _signed(self, call: Call, header: str) -> bool:
        given = {name: unquote(value) for name, value in _PART.findall(header)}
        signature, nonce, at = given.pop("oauth_signature", ""), given.get("oauth_nonce", ""), given.get("oauth_timestamp", "")
        ours = (self._settings.consumer_key, self._settings.access_token, "HMAC-SHA256")
        theirs = tuple(given.get(name, "") for name in ("oauth_consumer_key", "oauth_token", "oauth_signature_method"))
        late = not at.isdigit() or abs(int(at) - self._clock.now().timestamp()) > SKEW_SECONDS
        if theirs != ours or late or not nonce or nonce in self._nonces:
            return False
        self._nonces.add(nonce)
        address = f"http://{call.headers.get('host', '')}{call.path}"
        pairs = sorted(f"{_escape(name)}={_escape(value)}" for name, value in {**call.query, **given}.items())
        base = f"{call.method}&{_escape(address)}&{_escape('&'.join(pairs))}"
        key = f"{_escape(self._settings.consumer_secret)}&{_escape(self._settings.access_token_secret)}"
        right = base64.b64encode(hmac.new(key.encode(), base.encode(), hashlib.sha256).digest())
        return secrets.compare_digest(right, signature.encode())


def _escape(text: str) -> str:
    return quote(text, safe="-._~")
