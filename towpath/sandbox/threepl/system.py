"""The 3PL's paths."""

from __future__ import annotations

import secrets
from typing import Any, Final

from towpath.sandbox.kit.control import checked
from towpath.sandbox.kit.messages import Answer, Call, Control, Endpoint, Refusal
from towpath.sandbox.kit.system import Site, System, World
from towpath.sandbox.threepl.crew import Crew
from towpath.sandbox.threepl.requests import KIND, Requests
from towpath.sandbox.threepl.settings import ThreeplSettings
from towpath.sandbox.threepl.shipping import KIND as SHIPMENT
from towpath.sandbox.threepl.shipping import Shipment, Shipping

BASE: Final = "/v1/fulfilment-requests"


def open_site(world: World, settings: ThreeplSettings) -> Site:
    """Return the 3PL over this store."""
    requests = Requests(world, settings)
    shipping = Shipping(world, requests)
    crew = Crew(world, settings, requests, shipping)

    def authenticate(call: Call) -> str:
        scheme, _, token = call.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not secrets.compare_digest(token.strip().encode(), settings.token.encode()):
            raise Refusal(401, "unauthorized", "no valid token")
        return "token"

    def create(call: Call) -> Answer:
        answer = requests.create(call)
        crew.call()
        return answer

    async def ship(call: Call) -> Answer:
        given = checked(Shipment, call.json())
        with world.store.transaction():
            return Answer(201, shipping.ship(given))

    def stats() -> dict[str, Any]:
        crew.call()  # also after a restart
        return {"busy": crew.busy, "requests": world.store.count(KIND), "shipments": world.store.count(SHIPMENT)}

    endpoints = [
        Endpoint("POST", BASE, create, write=True),
        Endpoint("GET", f"{BASE}/{{id}}", requests.get),
        Endpoint("POST", f"{BASE}/{{id}}/cancel", requests.cancel, write=True),
    ]
    return Site(endpoints, authenticate, refuse, {"requests": KIND, "shipments": SHIPMENT}, [Control("POST", "/_sandbox/ship", ship)], stats)


def refuse(refusal: Refusal) -> Answer:
    """Return the refusal in the 3PL's error body."""
    error = {"code": refusal.code, "message": refusal.message, "field": refusal.field}
    return Answer(refusal.status, {"error": error}, refusal.headers)


def _open(world: World, settings: Any) -> Site:  # noqa: ANN401 - the toolkit hands back what SYSTEM.settings made
    return open_site(world, ThreeplSettings.model_validate(settings))


SYSTEM: Final = System("threepl", ThreeplSettings, _open, {KIND: ("status",)})
