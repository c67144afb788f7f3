"""Fulfilment requests: a repeat with the same Idempotency-Key gives the first answer again."""

from __future__ import annotations

import hashlib
from typing import Final

from towpath.sandbox.kit.clock import stamp
from towpath.sandbox.kit.contract import Contract
from towpath.sandbox.kit.messages import Answer, Call, Refusal
from towpath.sandbox.kit.store import Doc
from towpath.sandbox.kit.system import World
from towpath.sandbox.threepl.settings import ThreeplSettings

KIND: Final = "request"
OPEN: Final = ("accepted", "partially_shipped")
LONGEST_KEY: Final = 255


class Requests:
    """What one 3PL was asked to send; a field that begins with `_` only the server knows."""

    def __init__(self, world: World, settings: ThreeplSettings) -> None:
        self._world, self._settings, self._contract = world, settings, Contract("3pl")

    def create(self, call: Call) -> Answer:
        """Answer `POST fulfilment-requests`: without a key, every one makes a request."""
        body, key = self._contract.check("FulfilmentRequestCreate", call.json()), call.headers.get("idempotency-key")
        if key is not None and len(key) > LONGEST_KEY:
            raise Refusal(400, "invalid_key", f"an Idempotency-Key has at most {LONGEST_KEY} characters", field="Idempotency-Key")
        store, now = self._world.store, self._world.clock.now()
        digest = hashlib.sha256(call.body).hexdigest()
        known = store.get("key", key) if key is not None else None
        if known is not None and now.timestamp() - known["at"] < self._settings.key_seconds:
            if known["digest"] != digest:
                raise Refusal(409, "key_reused", "this Idempotency-Key was used with another body", field="Idempotency-Key")
            return Answer(201, known["answer"])
        number = f"FR-{store.add('id/request')}"
        request = {**body, "id": number, "status": "accepted", "createdAt": stamp(now)}
        sent: dict[str, int] = {}
        store.put(KIND, number, {**request, "_sent": sent, "_at": now.timestamp()})
        if key is not None:
            store.put("key", key, {"digest": digest, "answer": request, "at": now.timestamp()})
        return Answer(201, request)

    def get(self, call: Call) -> Answer:
        """Answer `GET fulfilment-requests/{id}`."""
        return Answer(body=shown(self.need(call.params["id"])))

    def cancel(self, call: Call) -> Answer:
        """Answer `POST fulfilment-requests/{id}/cancel`: refused once anything has left."""
        request = self.need(call.params["id"])
        if request["status"] not in {"accepted", "cancelled"}:
            raise Refusal(409, "shipped", f"request {request['id']} is {request['status']}")
        return Answer(body=shown(self.write({**request, "status": "cancelled"})))

    def need(self, number: str) -> Doc:
        """Return a request; raises Refusal(404)."""
        found = self._world.store.get(KIND, number)
        if found is None:
            raise Refusal(404, "not_found", f"no request {number}")
        return found

    def open(self) -> list[Doc]:
        """Return the requests of which something is to leave, oldest first."""
        return self._world.store.find(KIND, [("status", "in", OPEN)])

    def write(self, request: Doc) -> Doc:
        """Write a request and return it."""
        self._world.store.put(KIND, request["id"], request)
        return request


def shown(request: Doc) -> Doc:
    """Return a request as the API shows it."""
    return {name: value for name, value in request.items() if not name.startswith("_")}
