"""BNG's answers against its contract, by jsonschema, which the sandbox itself does not use."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from openapi_spec_validator import validate

from towpath.sandbox.kit.contract import Contract
from towpath.sandbox.kit.messages import Refusal
from towpath.sandbox.kit.server import build
from towpath.sandbox.kit.system import load

HTTP = Path(__file__).parents[2] / "schemas" / "http"
BNG = yaml.safe_load((HTTP / "bng.yaml").read_text(encoding="utf-8"))
KEY = {"X-API-Key": "towpath-sandbox-key"}
ADDRESS = {"Street": "1 High Street", "City": "London", "State": None, "Zip": "SW1A 1AA", "Country": "GB"}
CUSTOMER = {"Email": "ann@example.com", "ExternalID": "shop-1", "BillingAddress": ADDRESS, "CreditLimit": "10.00", "CustomFields": {"Type": "VIP"}}
LINE = {"LineNo": 1, "SKU": "BAG-BLA-001", "Quantity": 2, "UnitPrice": "39.90", "TaxAmount": "1.00"}
ORDER = {"CustomerID": "C1001", "OrderDate": "2026-03-01", "Currency": "GBP", "Lines": [LINE], "Total": "80.80", "ShippingAddress": ADDRESS}
Json = Any
Client = TestClient[web.Request, web.Application]


def conforms(component: str, body: Json) -> None:
    schema = {"$ref": f"#/components/schemas/{component}", "components": BNG["components"]}
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(body)


@pytest.fixture
async def bng(tmp_path: Path) -> AsyncIterator[Client]:
    """A BNG whose webhooks nobody takes, so that all of them stay to be looked at."""
    system = load("bng")
    settings = system.settings(webhook_url="http://127.0.0.1:9/nobody")
    async with TestClient(TestServer(build(system, tmp_path, settings))) as client:
        yield client


async def ask(client: Client, method: str, path: str, status: int, body: Json = None) -> Json:
    answer = await client.request(method, f"/api/v1{path}", json=body, headers=KEY)
    assert answer.status == status, await answer.text()
    return await answer.json()


@pytest.mark.parametrize("name", ["bng", "nopcommerce-webhooks", "3pl"])
def test_the_contract_is_valid_openapi(name: str) -> None:
    validate(yaml.safe_load((HTTP / f"{name}.yaml").read_text(encoding="utf-8")))


async def test_every_path_of_the_contract_is_served(bng: Client) -> None:
    unserved = []
    for path, verbs in BNG["paths"].items():
        for verb in {"get", "post", "patch"} & set(verbs):
            address = path if path == "/oauth/token" else f"/api/v1{path}"
            body = await (await bng.request(verb, address.replace("{", "").replace("}", ""), headers=KEY)).text()
            unserved += [f"{verb} {path}"] if "no such path" in body else []
    assert unserved == []


async def test_customers_conform(bng: Client) -> None:
    created = await ask(bng, "POST", "/customers", 201, CUSTOMER)
    conforms("Customer", created)
    conforms("Customer", await ask(bng, "PATCH", f"/customers/{created['CustomerID']}", 200, {"FirstName": "Ann"}))
    conforms("Customer", await ask(bng, "GET", f"/customers/{created['CustomerID']}", 200))
    conforms("CustomerPage", await ask(bng, "GET", "/customers?email=ANN@example.com", 200))


async def test_sales_orders_conform(bng: Client) -> None:
    await ask(bng, "POST", "/customers", 201, CUSTOMER)
    created = await ask(bng, "POST", "/sales-orders", 201, ORDER)
    conforms("SalesOrder", created)
    conforms("SalesOrder", await ask(bng, "PATCH", f"/sales-orders/{created['SalesOrderID']}", 200, {"OrderStatus": 90}))
    conforms("SalesOrderPage", await ask(bng, "GET", "/sales-orders", 200))


async def test_the_books_conform(bng: Client) -> None:
    await ask(bng, "POST", "/customers", 201, CUSTOMER)
    order = await ask(bng, "POST", "/sales-orders", 201, ORDER)
    line = {"LineNo": 1, "SKU": "BAG-BLA-001", "Quantity": 1, "UnitPrice": "39.90"}
    memo = {"SalesOrderID": order["SalesOrderID"], "Currency": "GBP", "Total": "39.90", "Lines": [line]}
    conforms("CreditMemo", await ask(bng, "POST", "/credit-memos", 201, memo))
    sides = [{"Account": "1000", "Debit": "5.00", "Credit": "0.00"}, {"Account": "4000", "Debit": "0.00", "Credit": "5.0"}]
    conforms("GlEntry", await ask(bng, "POST", "/gl-entries", 201, {"EntryDate": "2026-03-01", "Lines": sides}))
    conforms("GlEntryPage", await ask(bng, "GET", "/gl-entries", 200))
    sides[0]["Debit"] = "6.00"
    error = await ask(bng, "POST", "/gl-entries", 422, {"EntryDate": "2026-03-01", "Lines": sides})
    assert error["error"]["field"] == "Lines"


async def shipped(bng: Client) -> None:
    """Ship an order in two parts, and change what else is told about by webhooks."""
    await ask(bng, "POST", "/customers", 201, CUSTOMER)
    await ask(bng, "POST", "/sales-orders", 201, ORDER)
    for lines in ({"1": 1}, None):
        assert (await bng.post("/_sandbox/warehouse/ship", json={"order": "SO1001", "lines": lines})).status == 201
    assert (await bng.put("/_sandbox/products/NEW-1", json={"price": "5.00"})).status == 200


LISTS = {"products": "Product", "inventory": "Inventory", "shipments": "Shipment", "invoices": "Invoice", "sales-orders": "SalesOrder"}


@pytest.mark.parametrize(("path", "component"), LISTS.items())
async def test_lists_conform(bng: Client, path: str, component: str) -> None:
    await shipped(bng)
    for query in ("", "?updatedSince=2026-01-01T00:00:00Z"):
        page = await ask(bng, "GET", f"/{path}{query}", 200)
        assert page["items"]
        conforms(f"{component}Page", page)


async def test_shipments_and_invoices_conform(bng: Client) -> None:
    await shipped(bng)
    conforms("Shipment", await ask(bng, "GET", "/shipments/SH1001", 200))
    conforms("Invoice", await ask(bng, "GET", "/invoices/INV1001", 200))


async def test_every_webhook_of_the_contract_is_sent_and_conforms(bng: Client) -> None:
    await shipped(bng)
    hooks = [json.loads(row["body"]) for row in (await (await bng.get("/_sandbox/store/webhooks")).json())["items"]]
    for hook in hooks:
        conforms("Webhook", hook)
    assert {hook["type"] for hook in hooks} == set(BNG["components"]["schemas"]["Webhook"]["properties"]["type"]["enum"])


def test_a_webhook_with_the_entity_of_another_type_does_not_conform() -> None:
    row = {"SKU": "A", "Warehouse": "MAIN", "OnHand": 1, "Allocated": 0, "Available": 1, "Sequence": 7, "UpdatedAt": "2026-03-01T12:00:00Z"}
    hook = {"type": "inventory_updated", "id": "evt_1", "occurredAt": "2026-03-01T12:00:00Z", "data": row}
    conforms("Webhook", hook)
    for change in ({"type": "shipment_created"}, {"data": {"Sequence": 7}}):
        with pytest.raises(jsonschema.ValidationError):
            conforms("Webhook", {**hook, **change})


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("GET", "/customers/none", 404, None),
        ("GET", "/customers?page=0", 400, None),
        ("GET", "/customers?shoeSize=3", 400, None),
        ("POST", "/customers", 400, {"Email": "ann@example.com", "Shoes": 3}),
        ("POST", "/sales-orders", 422, ORDER),
        ("GET", "/nowhere", 404, None),
    ],
)
async def test_errors_conform(bng: Client, method: str, path: str, status: int, body: Json) -> None:
    conforms("Error", await ask(bng, method, path, status, body))


CHANGES: list[tuple[tuple[Any, ...], Any]] = [
    (("CustomerID",), 7),
    (("CustomerID",), ""),
    (("OrderDate",), "01.03.2026"),
    (("OrderDate",), "2026-02-30"),
    (("Currency",), "gbp"),
    (("Lines",), []),
    (("Lines", 0, "Quantity"), 0),
    (("Lines", 0, "Quantity"), 1.5),
    (("Lines", 0, "Quantity"), True),
    (("Lines", 0, "UnitPrice"), 39.9),
    (("Lines", 0, "UnitPrice"), "39,90"),
    (("Lines", 0, "Colour"), "red"),
    (("Total",), None),
    (("OrderStatus",), 50),
    (("PaymentStatus",), "paid"),
    (("ShippingAddress", "Country"), "GBR"),
    (("ShippingAddress", "State"), None),
    (("Dimensions",), {"Region": "North"}),
    (("Dimensions",), {"Region": 1}),
    (("ExternalOrderID",), None),
    (("ExternalOrderID",), "x" * 101),
    (("Nonsense",), 1),
]


@pytest.mark.parametrize(("where", "value"), CHANGES)
def test_the_sandbox_checks_bodies_as_jsonschema_does(where: tuple[Any, ...], value: Json) -> None:
    body: Json = {**ORDER, "Lines": [dict(LINE)], "ShippingAddress": dict(ADDRESS)}
    place = body
    for step in where[:-1]:
        place = place[step]
    place[where[-1]] = value
    schema = {"$ref": "#/components/schemas/SalesOrderCreate", "components": BNG["components"]}
    valid = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).is_valid(body)
    try:
        Contract("bng").check("SalesOrderCreate", body)
        accepted, field = True, ""
    except Refusal as refusal:
        accepted, field = False, refusal.field or ""
    wanted = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in where).lstrip(".")
    assert accepted == valid
    assert accepted or field.startswith(wanted)
