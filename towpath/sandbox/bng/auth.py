"""Who may call BNG: an API key, or a token from OAuth 2.0 client credentials."""

from __future__ import annotations

import base64
import binascii
import secrets
from urllib.parse import parse_qs

from towpath.sandbox.bng.settings import BngSettings
from towpath.sandbox.kit.messages import Answer, Call, Refusal
from towpath.sandbox.kit.tokens import Tokens


class Auth:
    """The door of one BNG server."""

    def __init__(self, settings: BngSettings, tokens: Tokens) -> None:
        self._settings, self._tokens = settings, tokens

    def authenticate(self, call: Call) -> str:
        """Return the credential of a call; raises Refusal(401)."""
        key = call.headers.get("x-api-key")
        if key is not None and same(key, self._settings.api_key):
            return "api_key"
        scheme, _, token = call.headers.get("authorization", "").partition(" ")
        subject = self._tokens.subject(token.strip()) if scheme.lower() == "bearer" else None
        if subject is None:
            raise Refusal(401, "unauthorized", "no valid token or API key")
        return subject

    def token(self, call: Call) -> Answer:
        """Answer `POST /oauth/token`."""
        form = {name: values[0] for name, values in parse_qs(call.body.decode("utf-8", "replace")).items()}
        if form.get("grant_type") != "client_credentials":
            raise Refusal(400, "unsupported_grant_type", "grant_type must be client_credentials", field="grant_type")
        client, secret = _basic(call) or (form.get("client_id", ""), form.get("client_secret", ""))
        if not (same(client, self._settings.client_id) and same(secret, self._settings.client_secret)):
            raise Refusal(401, "invalid_client", "unknown client or wrong secret")
        lifetime = int(self._settings.token_seconds)
        return Answer(body={"access_token": self._tokens.issue(client), "token_type": "Bearer", "expires_in": lifetime})


def same(given: str, wanted: str) -> bool:
    """Return whether two secrets are equal, in constant time."""
    return secrets.compare_digest(given.encode(), wanted.encode())


def _basic(call: Call) -> tuple[str, str] | None:
    scheme, _, rest = call.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        client, _, secret = base64.b64decode(rest).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return client, secret
