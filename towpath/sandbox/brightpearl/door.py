"""Who may call Brightpearl, and how often: every answer tells what is left of the account's requests of this period."""

from __future__ import annotations

import math
import secrets
from typing import Any, Final
from urllib.parse import parse_qs

from towpath.sandbox.brightpearl.settings import BrightpearlSettings
from towpath.sandbox.kit.messages import Answer, Call, Handler, Refusal
from towpath.sandbox.kit.system import World

TOO_MANY: Final = "You have sent too many requests. Please wait before sending another request"
MILLISECONDS: Final = 1000
THROTTLED: Final = "throttled"


class Door:
    """The way into one account; private apps share one pool of requests, an instance app has its own."""

    def __init__(self, settings: BrightpearlSettings, world: World) -> None:
        self._settings, self._world = settings, world
        self._used: dict[str, int] = {}
        self._period = 0
        self._headers: dict[str, str] = {}

    def authenticate(self, call: Call) -> str:
        """Return who calls; raises Refusal(401), or 503 where the period's requests are spent: refused calls spend them as well."""
        who = "instance" if "authorization" in call.headers else "private"
        left = self._spend(who)
        if who == "instance":
            self._headers["brightpearl-installed-integration-instance-id"] = str(self._settings.instance_id)
        if left < 0:
            self._world.store.add(THROTTLED)
            raise Refusal(503, THROTTLED, TOO_MANY)
        self._check(call, who)
        return who

    def dressed(self, handle: Handler) -> Handler:
        """Return the handler with the headers of the limit on its answers."""

        def answer(call: Call) -> Answer:
            given = handle(call)
            return Answer(given.status, given.body, {**given.headers, **self._headers})

        return answer

    def refuse(self, refusal: Refusal) -> Answer:
        """Return a refusal as Brightpearl words it: what concerns the way in is a sentence in `response`, an outage no JSON at all."""
        if refusal.code == "unavailable":
            return Answer(503, "<html><body>503 Service Unavailable</body></html>")
        if refusal.code in {THROTTLED, "rate_limited"}:
            return Answer(503, {"response": TOO_MANY}, {**self._headers, "brightpearl-requests-remaining": "0"})
        if refusal.status == 401:  # noqa: PLR2004 - not authorised
            return Answer(401, {"response": refusal.message}, self._headers)
        code = "CMNC-404" if refusal.code == "not_found" else refusal.code
        return Answer(refusal.status, {"errors": [{"code": code, "message": refusal.message}]}, self._headers)

    def token(self, call: Call) -> Answer:
        """Answer `POST /token/{account}`: a refresh token is exchanged for an access token."""
        form = {name: values[0] for name, values in parse_qs(call.body.decode("utf-8", "replace")).items()}
        given = (call.params["account"], form.get("client_id", ""), form.get("refresh_token", ""), form.get("grant_type", ""))
        wanted = (self._settings.account, self._settings.client_id, self._settings.refresh_token, "refresh_token")
        if not all(same(one, other) for one, other in zip(given, wanted, strict=True)):
            return Answer(400, {"error": "invalid_client"})
        return Answer(body=self._issued())

    def stats(self) -> dict[str, Any]:
        """Return how often calls were turned away by the limit."""
        return {"throttled": self._world.store.counters(THROTTLED).get("", 0)}

    def _issued(self) -> dict[str, Any]:
        return {
            "access_token": self._world.tokens.issue("instance"),
            "refresh_token": self._settings.refresh_token,
            "installation_instance_id": self._settings.instance_id,
            "api_domain": "127.0.0.1",
            "token_type": "Bearer",
            "expires_in": int(self._settings.token_seconds),
        }

    def _spend(self, who: str) -> int:
        """Return how many calls are left in this period after this one; below zero it is one too many."""
        limit, length = self._settings.calls_per_minute, self._settings.minute_seconds
        now = self._world.clock.now().timestamp()
        if (period := int(now // length)) != self._period:
            self._period, self._used = period, {}
        self._used[who] = self._used.get(who, 0) + 1
        left = (limit - self._used[who]) if limit is not None else 10**6
        rest = max(1, math.ceil((length - now % length) * MILLISECONDS))
        self._headers = {"brightpearl-requests-remaining": str(max(0, left)), "brightpearl-next-throttle-period": str(rest)}
        return left

    def _check(self, call: Call, who: str) -> None:
        headers, settings = call.headers, self._settings
        if not same(headers.get("brightpearl-app-ref", ""), settings.app_ref):
            raise Refusal(401, "unauthorized", "Invalid app reference")
        if who == "private":
            token = headers.get("brightpearl-account-token", "")
            if not same(token, settings.account_token):
                raise Refusal(401, "unauthorized", f"Invalid instance token: {token}")
            return
        token = headers["authorization"].partition(" ")[2].strip()
        if not same(headers.get("brightpearl-dev-ref", ""), settings.dev_ref):
            raise Refusal(401, "unauthorized", "Invalid developer reference")
        if self._world.tokens.subject(token) is None:
            expired = self._world.store.get("token", token) is not None
            raise Refusal(401, "unauthorized", "Authorization token expired" if expired else f"Invalid instance token: {token}")


def same(given: str, wanted: str) -> bool:
    """Return whether two secrets are equal, in constant time."""
    return secrets.compare_digest(given.encode(), wanted.encode())
