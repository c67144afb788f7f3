"""Who may call the backend API: a token from `Authenticate/GetToken`, with or without "Bearer"."""

from __future__ import annotations

import secrets

from towpath.sandbox.kit.messages import Answer, Call, Refusal
from towpath.sandbox.kit.tokens import Tokens
from towpath.sandbox.nopcommerce.settings import NopSettings

ADMINISTRATOR = 1


class Auth:
    """The door of one shop."""

    def __init__(self, settings: NopSettings, tokens: Tokens) -> None:
        self._settings, self._tokens = settings, tokens

    def authenticate(self, call: Call) -> str:
        """Return the user of a call; raises Refusal(401)."""
        token = call.headers.get("authorization", "").strip().removeprefix("Bearer ").strip()
        subject = self._tokens.subject(token)
        if subject is None:
            raise Refusal(401, "unauthorized", "Unauthorized")
        return subject

    def token(self, call: Call) -> Answer:
        """Answer `POST /api-backend/Authenticate/GetToken`; a wrong user or password is 400 with text."""
        body = call.json()
        given = body if isinstance(body, dict) else {}
        user, password = str(given.get("username") or given.get("email") or ""), str(given.get("password") or "")
        right = [(user, self._settings.username), (password, self._settings.password)]
        if not all(secrets.compare_digest(a.encode(), b.encode()) for a, b in right):
            return Answer(400, "Username or password is incorrect")
        return Answer(body={"username": user, "customer_id": ADMINISTRATOR, "token": self._tokens.issue(user)})
