"""Signed webhooks as a shop sends them, 1.5 KB each, ready to be written to a socket."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time

BODY_BYTES = 1_500
FIRST_ORDER = 100_000


def body_of(number: int) -> bytes:
    """Return the webhook's body of one order, 1,500 bytes."""
    order = FIRST_ORDER + number
    lines = [{"sku": f"TP-{line:04}", "quantity": 1 + line % 3, "unit_price_excl_tax": 9.99, "price_excl_tax": 19.98} for line in range(12)]
    content = {
        "type": "order.placed",
        "id": f"evt_{order:032x}",
        "occurredAt": "2026-11-20T09:30:00.000000Z",
        "data": {"entity": "order", "entityId": order, "customer_email": "zoe@shop.example", "order_total": 34.56, "lines": lines, "note": ""},
    }
    content["data"]["note"] = "x" * (BODY_BYTES - len(json.dumps(content)))  # type: ignore[index]
    return json.dumps(content).encode()


def requests(path: str, secret: str, run: str, count: int) -> list[bytes]:
    """Return `count` POST requests, each signed as Standard Webhooks asks; their ids begin with `run`."""
    key, sent_at = base64.b64decode(secret.removeprefix("whsec_")), str(int(time.time()))
    return [_request(path, key, sent_at, f"{run}-{number}", body_of(number)) for number in range(count)]


def _request(path: str, key: bytes, sent_at: str, webhook_id: str, body: bytes) -> bytes:
    signature = base64.b64encode(hmac.new(key, f"{webhook_id}.{sent_at}.".encode() + body, hashlib.sha256).digest()).decode()
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        f"webhook-id: {webhook_id}",
        f"webhook-timestamp: {sent_at}",
        f"webhook-signature: v1,{signature}",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body
