"""How to talk to Shopify's Admin API: a custom app's token, what its refusals say, and what its webhooks are about."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from pydantic import BaseModel, ConfigDict

from towpath.authorisers import HeaderKey
from towpath.config import Connection
from towpath.config.secret import Credential
from towpath.dialect import USUAL, Dialect, Refusal, refusal_of
from towpath.errors import DataError
from towpath.http import Authoriser
from towpath.signatures import body_verifier

BASE: Final = "/admin/api/2025-07"
BLANKED: Sequence[str] = ("credit_card_number", "credit_card_bin", "payment_details")
verifier = body_verifier("X-Shopify-Hmac-Sha256", "X-Shopify-Webhook-Id")


class Credentials(BaseModel):
    """The Admin API access token of a custom app."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    access_token: Credential


def refusal(status: int, text: str) -> Refusal:
    """Return what `{"errors": "…"}` or `{"errors": {"field": ["…"]}}` says."""
    try:
        return Refusal(json.dumps(json.loads(text)["errors"])[:600])
    except (ValueError, KeyError, TypeError, RecursionError):
        return refusal_of(status, text)


DIALECT = Dialect(USUAL, refusal)


def authoriser(connection: Connection) -> Authoriser:
    """Return what adds the token to a call."""
    return HeaderKey("X-Shopify-Access-Token", lambda: connection.credential("access_token"))


def id_of(record: object) -> int:
    """Return the id of an order or a line; raises DataError."""
    found = record.get("id") if isinstance(record, dict) else None
    if not isinstance(found, int) or isinstance(found, bool) or not 0 < found < 2**63:
        raise DataError("the record has no id", field="id", value=repr(found)[:60])
    return found


def key_of(body: bytes) -> str | None:
    """Return `order/id` of a webhook, None where it cannot be read."""
    try:
        return f"order/{id_of(json.loads(body))}"
    except (ValueError, RecursionError, DataError):
        return None
