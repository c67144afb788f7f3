"""What is said to Magento, and what the sandbox answers in its place, against Adobe's own schema of the admin API (../shared/oracle/magento).

Paths, verbs, the names and types of properties; not `required`, which is generated from getters and over-states (vendor-apis.md, section 6).
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy.engine import URL

from producers.base import Fetch
from producers.magento import SOURCE
from producers.references import LedgerReferences
from sinks.base import Operation
from sinks.magento import TARGET
from towpath.clock import SystemClock
from towpath.config import Config, Connection
from towpath.delivery.database import open_engine
from towpath.delivery.ledger import Ledger
from towpath.http import ApiClient
from towpath.metrics import Metrics
from towpath.sandbox.kit.server import build
from towpath.sandbox.kit.system import load
from towpath.systems.base import connect

SCHEMA = Path(__file__).parents[3] / "shared" / "oracle" / "magento" / "admin-schema-2.4.8.yaml"
Json = Any
TYPES: dict[str, Any] = {"integer": int, "number": (int, float), "string": str, "boolean": bool, "array": list, "object": dict}
MARGINS = {"total": "an order's shipping totals are not played", "parameters": "a list or an object, which Swagger 2.0 cannot say"}

pytestmark = pytest.mark.skipif(not SCHEMA.exists(), reason="Magento's schema is not beside this checkout")


@cache
def oracle() -> dict[str, Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found: dict[str, Any] = yaml.load(SCHEMA.read_text(encoding="utf-8"), loader)  # noqa: S506 - the safe one, in C
    return found


def route(method: str, path: str) -> dict[str, Any]:
    """Return what the schema says of a call; fails where it has no such path or verb."""
    for template, verbs in oracle()["paths"].items():
        pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template.rstrip("/")))
        if re.fullmatch(pattern, path) and method.lower() in verbs:
            found: dict[str, Any] = verbs[method.lower()]
            return found
    raise AssertionError(f"Magento has no {method} {path}")


def wrong(schema: Json, value: Json, at: str) -> Iterator[str]:
    """Yield each place whose name or type the schema does not have."""
    schema = oracle()["definitions"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    kind = schema.get("type", "object" if "properties" in schema else "")
    if value is None or at.rpartition(".")[2] in MARGINS:
        return
    if kind and (not isinstance(value, TYPES[kind]) or (isinstance(value, bool) and kind != "boolean")):
        yield f"{at}: {value!r} is no {kind}"
        return
    if kind == "array":
        for index, one in enumerate(value):
            yield from wrong(schema.get("items", {}), one, f"{at}[{index}]")
    elif kind == "object":
        for name, one in value.items():
            if name in schema.get("properties", {}):
                yield from wrong(schema["properties"][name], one, f"{at}.{name}")
            else:
                yield f"{at}.{name}: there is no such property"


def problems(row: Json) -> list[str]:
    """Return what is wrong with one call of the journal."""
    path = row["path"].removeprefix("/rest")
    said = route(row["method"], path)
    bodies = [one["schema"] for one in said["parameters"] if one["in"] == "body"]
    found = list(wrong(bodies[0], row["body"], "body")) if bodies and row["body"] is not None else []
    known = {re.sub(r"\[\d+\]", "[]", one["name"]) for one in said["parameters"] if one["in"] == "query"}
    found += [f"query: {name}" for name in row["query"] if re.sub(r"\[\d+\]", "[]", name) not in known]
    answers = {str(status): one for status, one in said["responses"].items()}
    answer = answers.get(str(row["status"]), answers["default"] if row["status"] >= 400 else {}).get("schema")
    found += list(wrong(answer, row["answer"], "answer")) if answer else []
    return [f"{row['method']} {path}: {one}" for one in found]


@pytest.fixture
async def played(tmp_path: Path) -> AsyncIterator[tuple[Json, ApiClient]]:
    """Give a shop with forty orders, and our client."""
    system = load("magento")
    async with TestClient(TestServer(build(system, tmp_path, system.settings()))) as shop:
        await shop.post("/_sandbox/shopper", json={"orders": 40, "seed": 2, "sets": True})
        credentials = {"access_token": "towpath-sandbox-token"}
        connection = Connection.model_validate({"system": "magento", "url": str(shop.make_url("/")), "credentials": credentials})
        api = connect("shop", connection, SystemClock(), Metrics())
        yield shop, api
        await api.close()


async def journal(shop: Json) -> list[Json]:
    found: list[Json] = (await (await shop.get("/_sandbox/journal?limit=10000")).json())["items"]
    return found


async def rows(shop: Json, entity: str) -> list[Json]:
    return list((await (await shop.get(f"/_sandbox/store/{entity}")).json())["items"])


async def do(api: ApiClient, operation: str, document: dict[str, Any]) -> None:
    asked = TARGET.operations[operation]
    if isinstance(asked, Operation):
        assert await asked.find(api, document) is None
        await asked.write(api, document)
        assert await asked.find(api, document) is not None
    else:
        await asked.put(api, document, None)


async def test_every_call_of_the_sink_is_one_that_magento_has(played: tuple[Json, ApiClient]) -> None:
    shop, api = played
    orders = await rows(shop, "orders")
    bundle = next(order for order in orders if any(item["product_type"] == "bundle" for item in order["items"]))
    parents = {item.get("parent_item_id") for item in bundle["items"]}
    lines = [{"SKU": item["sku"], "Quantity": item["qty_ordered"]} for item in bundle["items"] if item["item_id"] not in parents]
    shipment = {"Reference": "erp/shipment/1", "TrackingNumber": "1Z", "Carrier": "UPS", "SourceCode": "default", "Lines": lines}
    await do(api, "create_shipment", {**shipment, "OrderID": str(bundle["entity_id"])})
    unpaid = next(order for order in orders if order["state"] == "new" and order is not bundle)
    await do(api, "set_order_status", {"OrderID": str(unpaid["entity_id"]), "Comment": "erp: Processing"})
    await do(api, "cancel_order", {"OrderID": str(unpaid["entity_id"])})
    owed = next(order for order in orders if order["state"] == "new" and order not in (bundle, unpaid))
    total = str(Decimal(str(owed["grand_total"])).quantize(Decimal("0.01")))
    invoice = {"Reference": "erp/invoice/1", "Total": total, "Currency": owed["order_currency_code"]}
    await do(api, "create_invoice", {**invoice, "OrderID": str(owed["entity_id"])})
    await do(api, "set_stock", {"SKU": "MUG-BLA-041", "Salable": 5, "RaisedAt": 1, "SourceCode": "default", "StockID": 1})
    product = {"SKU": "A/B 1", "Name": "Cap", "Price": "12.50", "AttributeSet": "Apparel"}
    colours = {"Attributes": {"Colour": "Teal", "Washable": "yes"}, "AttributeCodes": {"Colour": "color", "Washable": "washable"}}
    for more in (colours, colours | {"Price": "11.00"}):
        await do(api, "put_product", product | more)
    home = {"Lines": ["1 Oak Ave"], "City": "Purchase", "State": "NY", "Zip": "10577", "Country": "US"}
    ann = {
        "Email": "ann@shop.example",
        "FirstName": "Ann",
        "LastName": "Lee",
        "Company": "Oak",
        "GroupID": 2,
        "BillingAddress": home,
        "ShippingAddress": home,
    }
    await do(api, "create_customer", {**ann, "Match": {"Confidence": 0.8}})
    (made,) = [row for row in await rows(shop, "customers") if row["email"] == "ann@shop.example"]
    moved = {**ann, "ShippingAddress": {**home, "City": "Rye", "Zip": "10580"}}
    await do(api, "put_customer", {"Customer": str(made["id"]), "Wanted": moved, "Expected": ann})
    calls = await journal(shop)
    assert {"ship", "invoice", "comments", "cancel", "source-items", "products", "options"} <= {
        row["path"].rpartition("/")[2] for row in calls if row["method"] == "POST"
    }
    assert [] == [problem for row in calls for problem in problems(row)]


async def test_every_call_of_the_source_is_one_that_magento_has(played: tuple[Json, ApiClient], tmp_path: Path) -> None:
    shop, api = played
    config = Config.model_validate({"connections": {}, "flows": {}, "kafka": {"bootstrap_servers": "127.0.0.1:9092"}})
    ledger = Ledger(open_engine(URL.create("sqlite", database=str(tmp_path / "ledger.db"))), SystemClock(), "one")
    references = LedgerReferences(config, "shop", ledger)
    paid = next(order for order in await rows(shop, "orders") if order["state"] == "processing")
    assert (await shop.post(f"/_sandbox/orders/{paid['entity_id']}/refund", json={"comment": "too small"})).ok
    for poll in SOURCE.polls:
        async for item in poll.items(api, SystemClock().now().replace(year=2020)):
            for payload in ("", item.text):
                assert await SOURCE.fetch(api, Fetch(poll.entity, item.id, payload), references) is not None
    calls = await journal(shop)
    assert {"GET"} == {row["method"] for row in calls}
    assert [] == sorted({re.sub(r"\d+", "N", problem) for row in calls for problem in problems(row)})


@pytest.mark.parametrize(("path", "status"), [("orders/77", 404), ("products/NONE", 404), ("orders", 400), ("customers/5", 404)])
async def test_a_refusal_is_an_error_response(played: tuple[Json, ApiClient], path: str, status: int) -> None:
    shop, _ = played
    answer = await shop.get(f"/rest/V1/{quote(path)}", headers={"Authorization": "Bearer towpath-sandbox-token"})
    assert status == answer.status
    assert [] == list(wrong({"$ref": "#/definitions/error-response"}, json.loads(await answer.text()), "answer"))


def test_what_magento_does_not_have_is_found() -> None:
    ship = {"method": "POST", "path": "/rest/V1/order/3/ship", "query": {}, "status": 200, "answer": 3}
    assert [] == problems({**ship, "body": {"items": [{"order_item_id": 3, "qty": 1.5}], "notify": True}})
    bodies: list[Json] = [
        {"item": []},
        {"items": [{"order_item_id": "three"}]},
        {"notify": "yes"},
        {"entity": {}},
        {"arguments": {"source_code": "x"}},
    ]
    for body in bodies:
        assert problems({**ship, "body": body})
    assert problems({**ship, "body": {}, "answer": {"id": 3}})
    for method, path in (("POST", "/rest/V1/shipments"), ("GET", "/rest/V1/order/3/ship"), ("POST", "/rest/V1/creditmemos")):
        with pytest.raises(AssertionError, match="Magento has no"):
            problems({**ship, "method": method, "path": path, "body": {}})
