"""The 3PL, for the contract suites."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from towpath.testing.contracts.bench import Bench
from towpath.testing.contracts.example import WAIT, Asked, Emits, Example, Reply, Writes

Json = Any
Document = Mapping[str, Json]
REQUEST: Document = {
    "service": "standard",
    "shipTo": {"name": "Zoë Müller", "street": "Hauptstr. 5", "city": "Berlin", "zip": "10115", "country": "DE"},
    "lines": [{"sku": "TP-0001", "quantity": 2}],
}


async def _requested(bench: Bench, number: int) -> str:
    return str((await bench.ask("POST", "fulfilment-requests", {**REQUEST, "reference": f"REQ-{number}"}))["id"])


async def _shipped(bench: Bench, number: int) -> str:
    request = await _requested(bench, number)
    await bench.control("POST", "ship", {"request": request})
    (row,) = await bench.rows("shipments", requestId=request)
    return str(row["id"]).rpartition("-")[0]


async def _request(bench: Bench, number: int) -> Asked:
    return Asked({**REQUEST, "reference": f"TP-{number}", "RequestedAt": bench.clock.now().isoformat()})


async def _cancellation(bench: Bench, number: int) -> Asked:
    return Asked({"Requests": [await _requested(bench, number)]})


async def _requests(bench: Bench, document: Document) -> int:
    return len(await bench.rows("requests", reference=document["reference"]))


async def _cancelled(bench: Bench, document: Document) -> int:
    return len(await bench.rows("requests", id=document["Requests"][0], status="cancelled"))


EXAMPLE = Example(
    system="threepl",
    base="/v1/",
    credentials={"token": "towpath-sandbox-token"},
    headers={"Authorization": "Bearer towpath-sandbox-token"},
    throttled=Reply(429, {"error": {"code": "rate_limited", "message": "too many requests"}}, {"Retry-After": str(int(WAIT))}),
    missing=Reply(404, {"error": {"code": "not_found", "message": "there is none"}}),
    emits={"shipment": Emits(_shipped, named=False)},
    writes={"create_request": Writes(_request, _requests), "cancel_requests": Writes(_cancellation, _cancelled)},
)
"""The 3PL by its token."""
