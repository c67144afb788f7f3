"""The sandbox's Brightpearl answers what a real one answered: same status, envelope, types and throttle headers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from tests.unit.sandbox.conftest import Serve

RECORDED = Path(__file__).resolve().parents[4] / "shared" / "oracle" / "brightpearl" / "recorded-interactions.jsonl"
HEADERS = {"brightpearl-app-ref": "acme_towpath", "brightpearl-account-token": "towpath-sandbox-token+/="}
THROTTLE = ("brightpearl-requests-remaining", "brightpearl-next-throttle-period")
HOOK = {"subscribeTo": "goods-in-note.created", "uriTemplate": "https://example.com/x", "bodyTemplate": "{}", "contentType": "application/json"}
ROW = {"productId": 1007, "quantity": 1, "taxCode": "13", "net": "10.00", "tax": "1.30"}
SEEDS: list[dict[str, Any]] = [
    {
        "kind": "contact",
        "id": 200,
        "with": {"firstName": "Demo", "lastName": "Customer", "communication": {"emails": {"PRI": {"email": "d@test.com"}}}},
    },
    {"kind": "contact", "id": 418, "with": {"firstName": "Hori"}},
    *({"kind": "product", "id": one, "with": {"identity": {"sku": f"X-{one}", "barcode": ""}}} for one in (1007, 1532, 1569, 1581)),
    *({"kind": "order", "id": one, "with": {"type": "SO", "contact": 200, "rows": [ROW]}} for one in (1, 320, 321, 332, 333, 336)),
    {"kind": "order", "id": 312, "with": {"type": "PO", "contact": 418, "rows": [ROW]}},
    {"kind": "order", "id": 988116, "with": {"type": "SO", "contact": 200, "rows": [ROW]}},
    {"kind": "payment", "id": 935253, "with": {"transactionRef": "R", "paymentMethodCode": "P", "paymentType": "RECEIPT", "orderId": 1081505}},
    {"kind": "webhook", "id": 122, "with": HOOK | {"idSetAccepted": True, "qualityOfService": 1, "httpMethod": "POST"}},
]
OPTIONAL = {"closedOn", "originalInvoiceDate", "isDropship", "isbn", "ean", "upc", "mpn", "productGroupId", "countryIsoCode", "countryIsoCode3"}
"""Fields that are in some records of one recording and not in others."""


def interactions() -> list[dict[str, Any]]:
    if not RECORDED.exists():
        return []
    return [json.loads(line) for line in RECORDED.read_text(encoding="utf-8").splitlines()]


def kinds(value: Any, at: str = "") -> dict[str, set[str]]:  # noqa: ANN401 - any JSON
    """Return the JSON types at each place; ids that are names of members are one place."""
    found = {at: {"number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__}}
    parts = value.items() if isinstance(value, dict) else ((None, one) for one in value) if isinstance(value, list) else ()
    for name, one in parts:
        inner = "[]" if name is None else "#" if str(name).isdecimal() else str(name)
        for place, types in kinds(one, f"{at}.{inner}").items():
            found.setdefault(place, set()).update(types)
    return found


@pytest.fixture
async def account(serve: Serve) -> TestClient[Any, Any]:
    """An account that has the records which the recordings name."""
    client = await serve("brightpearl", calls_per_minute=None)
    for seed in SEEDS:
        async with client.post("/_sandbox/seed", json=seed) as answer:
            assert answer.status == 201, await answer.text()
    reservation = {"products": [{"productId": 1007, "salesOrderRowId": str(await row_of(client, 988116)), "quantity": 1}]}
    await client.post("/_sandbox/warehouse/count", json={"sku": "X-1007", "in_stock": 5})
    async with client.post("/public-api/acme/warehouse-service/order/988116/reservation/warehouse/2", json=reservation, headers=HEADERS) as answer:
        assert answer.ok, await answer.text()
    await client.post("/_sandbox/seed", json={"kind": "note", "id": 12447605, "with": {"order": 988116}})
    return client


async def row_of(client: TestClient[Any, Any], order: int) -> int:
    async with client.get(f"/public-api/acme/order-service/order/{order}", headers=HEADERS) as answer:
        return int(next(iter((await answer.json())["response"][0]["orderRows"])))


@pytest.mark.skipif(not RECORDED.exists(), reason="the recordings are not part of this checkout")
@pytest.mark.parametrize("recorded", interactions(), ids=lambda one: f"{one['method']} {one['fixture'].removeprefix('spec/fixtures/')}")
async def test_an_exchange_goes_as_it_was_recorded(account: TestClient[Any, Any], recorded: dict[str, Any]) -> None:
    path, headers = recorded["path"].replace("{ACCOUNT}", "acme"), dict(HEADERS)
    if recorded["status"] == 401:
        headers["brightpearl-account-token"] = "INVALID_STUFF"
    if "/row/399" in path:
        path = path.replace("/row/399", f"/row/{await row_of(account, 333)}")
    body = recorded["request_body"] or None
    async with account.request(recorded["method"], path, json=body, headers=headers) as answer:
        said = await answer.json()
        assert recorded["status"] == answer.status, said
        assert all(answer.headers[name].isdecimal() for name in THROTTLE)
    wanted, given = recorded["response_body"], said
    if recorded["status"] == 401:
        assert isinstance(given["response"], str)
        assert {"response"} == set(given)
        return
    if recorded["status"] >= 400:
        assert [error["code"] for error in wanted["errors"]] == [error["code"] for error in given["errors"]]
        assert "order_post_error" not in recorded["fixture"] or wanted == given
    expected, found = kinds(wanted), kinds(given)
    missing = {place for place in expected if place not in found and place.rpartition(".")[2] not in OPTIONAL and not ended(place)}
    assert set() == missing
    differing = {place: (expected[place], found[place]) for place in expected.keys() & found.keys() if not expected[place] & found[place]}
    assert {} == differing


def ended(place: str) -> bool:
    """Tell whether a place is inside a list or row that only the recorded account had something in."""
    return "getUris" in place or ".results.[].[]" in place or place.endswith(".tax.errors.[]")
