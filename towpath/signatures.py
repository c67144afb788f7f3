"""Verifying webhooks: Standard Webhooks signatures over bytes, or a secret in the address where a system signs nothing.

The `standardwebhooks` package signs and verifies text only: a body that is not UTF-8, or a malformed signature header, ends there in a
ValueError like any other. Here every body that carries a right signature is authentic, whatever its bytes, and all else is refused.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from multidict import istr

PREFIX = "whsec_"
ID, TIMESTAMP, SIGNATURE = (istr(f"webhook-{name}") for name in ("id", "timestamp", "signature"))
"""The headers of a webhook, as a request's headers find them fastest."""
LONGEST_ID = 200
SHORTEST_SECRET = 24
NOTHING: Mapping[str, str] = MappingProxyType({})


class NotAuthenticError(Exception):
    """The webhook is not from who it says, or not from now."""


class Verifier:
    """Verifies the webhooks of one secret; raises ValueError for what is no Standard Webhooks secret."""

    KIND = "a Standard Webhooks secret (whsec_ and base64)"

    def __init__(self, secret: str, tolerance_seconds: float = 300) -> None:
        encoded = secret.removeprefix(PREFIX).rstrip("=")
        self._key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
        if not self._key:
            message = "the secret is empty"
            raise ValueError(message)
        self._tolerance = tolerance_seconds

    def verify(self, body: bytes, headers: Mapping[str, str], now: datetime, _query: Mapping[str, str] = NOTHING) -> str:
        """Return the webhook's id; raises NotAuthenticError with the reason, which tells a forger nothing new."""
        webhook_id, sent_at, signatures = headers.get(ID, ""), headers.get(TIMESTAMP, ""), headers.get(SIGNATURE, "")
        if not webhook_id or len(webhook_id) > LONGEST_ID or not sent_at.isascii() or not sent_at.isdecimal() or len(sent_at) > 12:  # noqa: PLR2004
            raise NotAuthenticError("webhook-id or webhook-timestamp is missing or malformed")
        if abs(now.timestamp() - int(sent_at)) > self._tolerance:
            raise NotAuthenticError("webhook-timestamp is too far from now")
        signed = f"{webhook_id}.{sent_at}.".encode("utf-8", "surrogateescape") + body
        expected = hmac.digest(self._key, signed, "sha256")
        for given in _signatures(signatures):
            if hmac.compare_digest(expected, given):
                return webhook_id
        raise NotAuthenticError("no signature fits")


class AddressVerifier:
    """Verifies webhooks whose sender signs nothing: their address has the secret, `/hooks/<connection>?secret=…`.

    Raises ValueError for a secret that could be guessed, or that an address cannot hold as it is.
    """

    KIND = f"a secret that an address can hold: at least {SHORTEST_SECRET} letters, digits, - or _"

    def __init__(self, secret: str, _tolerance_seconds: float = 300) -> None:
        if len(secret) < SHORTEST_SECRET or not secret.isascii() or not secret.replace("-", "").replace("_", "").isalnum():
            raise ValueError(self.KIND)
        self._secret = secret.encode()

    def verify(self, body: bytes, _headers: Mapping[str, str], _now: datetime, query: Mapping[str, str] = NOTHING) -> str:
        """Return an id of the webhook, the same for the same body; raises NotAuthenticError with the reason."""
        if not hmac.compare_digest(query.get("secret", "").encode("utf-8", "replace"), self._secret):
            raise NotAuthenticError("the address does not have the secret")
        return hashlib.sha256(body).hexdigest()[:32]


def body_verifier(signature: str, webhook_id: str) -> type[BodyVerifier]:
    """Return what verifies webhooks whose header `signature` has the base64 of the HMAC-SHA256 of their body, and `webhook_id` their id."""
    return type("OwnBodyVerifier", (BodyVerifier,), {"SIGNATURE": signature, "ID": webhook_id})


class BodyVerifier:
    """Verifies webhooks by their body alone: no time is signed, so one that is replayed is the same fact once more."""

    KIND = f"a secret of at least {SHORTEST_SECRET} characters"
    SIGNATURE = ID = ""

    def __init__(self, secret: str, _tolerance_seconds: float = 300) -> None:
        if len(secret) < SHORTEST_SECRET:
            raise ValueError(self.KIND)
        self._key = secret.encode()

    def verify(self, body: bytes, headers: Mapping[str, str], _now: datetime, _query: Mapping[str, str] = NOTHING) -> str:
        """Return the webhook's id, a digest of its body where it has none; raises NotAuthenticError."""
        given = headers.get(self.SIGNATURE, "").encode("utf-8", "replace")
        if not hmac.compare_digest(base64.b64encode(hmac.digest(self._key, body, "sha256")), given):
            raise NotAuthenticError("the signature does not fit")
        return headers.get(self.ID, "")[:LONGEST_ID] or hashlib.sha256(body).hexdigest()[:32]


def _signatures(header: str) -> list[bytes]:
    found = []
    for part in header.split(" ")[:10]:
        version, _, text = part.partition(",")
        if version == "v1":
            try:
                found.append(base64.b64decode(text, validate=True))
            except (binascii.Error, ValueError):
                continue
    return found
