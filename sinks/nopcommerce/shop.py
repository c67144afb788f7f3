"""The shop's calls as the sink needs them (official Web API Backend v1.06: vendor-apis.md, section 3.3).

A row is the vendor's DTO as it was read: a PUT takes all of it, and what it leaves out is lost, so rows go back whole, their numbers (JSON
doubles) as they came. GETs that change something are sent as writes: fenced, never repeated blindly, looked up after a lost answer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from sinks.base import Document
from towpath.errors import DataError, RetryableError
from towpath.http import Answer, ApiClient
from towpath.systems.nopcommerce import BASE

Row = dict[str, Any]
PENDING: Final = 10
PROCESSING: Final = 20
COMPLETE: Final = 30
CANCELLED: Final = 40
"""The shop's order statuses (vendor-apis.md, section 3.2)."""
NOT_FOUND: Final = 404
LARGEST: Final = 2**31 - 1


class Shop:
    """One shop; `api` is what sends the calls."""

    def __init__(self, api: ApiClient) -> None:
        self._api = api
        self.name, self.gate = api.name, api.gate

    async def order(self, document: Document) -> Row:
        """Return the order that the document names; raises DataError where there is none, or it is deleted."""
        number = order_id(document)
        order = await self._find(f"Order/GetById/{number}", None, "order_status_id")
        if order is None or order.get("deleted") is True:
            raise DataError(f"order {number} does not exist at {self.name}", field="OrderID", value=str(number))
        return order

    async def put_order(self, order: Row) -> None:
        """Write a whole order; whatever changed since it was read is lost."""
        await self._api.write("PUT", f"{BASE}/Order/Update", order)

    async def cancel(self, order: int) -> None:
        """Cancel an order, which puts its stock back and tells the customer; the shop refuses one that is cancelled."""
        await self._api.write("GET", f"{BASE}/OrderProcessing/CancelOrder/{order}?notifyCustomer=true")

    async def refund(self, order: int, amount: object, *, online: bool) -> None:
        """Give money of an order back, all of it where no amount is given; the shop refuses what its gateway declines."""
        how = "" if online else "Offline"
        path = f"Refund{how}/{order}" if amount is None else f"PartiallyRefund{how}/{order}?amountToRefund={amount}"
        await self._api.write("GET", f"{BASE}/OrderProcessing/{path}")

    async def return_request(self, number: int) -> Row:
        """Return a return request; raises DataError where there is none."""
        found = await self._find(f"ReturnRequest/GetById/{number}", None, "return_request_status_id")
        if found is None:
            raise DataError(f"return request {number} does not exist at {self.name}", field="ReturnRequestID", value=str(number))
        return found

    async def put_return_request(self, asked: Row) -> None:
        """Write a whole return request; whatever changed since it was read is lost."""
        await self._api.write("PUT", f"{BASE}/ReturnRequest/Update", asked)

    async def items(self, order: int) -> list[Row]:
        """Return the items of an order by their ids, as it was placed."""
        return await self._list(f"OrderItem/GetOrderItems/{order}", "order_id", order, "product_id", "quantity")

    async def product(self, number: int) -> Row | None:
        """Return a product by its id, None where it is not there."""
        return await self._find(f"Product/GetById/{number}")

    async def product_by_sku(self, sku: str) -> Row:
        """Return the product with this SKU; raises DataError, which awaits the product, where the shop has none."""
        product = await self.find_product(sku)
        if product is None:
            raise DataError(f"SKU {sku} is unknown at {self.name}", field="SKU", value=sku, awaits=f"product {sku}")
        return product

    async def find_product(self, sku: str) -> Row | None:
        """Return the product with this SKU, None where the shop has none."""
        product = await self._find("Product/GetProductBySku", {"sku": sku}, "stock_quantity")
        if product is None or product.get("deleted") is True:
            return None
        if str(product.get("sku")).strip().casefold() != sku.strip().casefold():
            raise RetryableError(f"{self.name}: asked for the product with SKU {sku}, it answers with another")
        return product

    async def add_product(self, product: Row) -> Row:
        """Create a product and return it; the shop refuses no second one of the same SKU."""
        return await self.send("POST", "Product/Create", product)

    async def put_product(self, product: Row) -> None:
        """Write a whole product; whatever was sold since it was read is lost."""
        await self._api.write("PUT", f"{BASE}/Product/Update", product)

    async def customer(self, number: str) -> Row:
        """Return a customer; raises DataError where there is none, or it is deleted."""
        if not (number.isascii() and number.isdigit() and 0 < int(number[:20]) <= LARGEST):
            raise DataError(f"{number[:40]!r} is no customer of a shop", field="CustomerID", value=number)
        found = await self._find(f"Customer/GetById/{int(number)}")
        if found is None or found.get("deleted") is True:
            raise DataError(f"customer {number} does not exist at {self.name}", field="CustomerID", value=number)
        return found

    async def customer_by_guid(self, guid: str) -> Row | None:
        """Return the customer with this GUID, None where the shop has none."""
        found = await self._find("Customer/GetCustomerByGuid", {"guid": guid})
        return None if found is None or found.get("deleted") is True or found.get("customer_guid") != guid else found

    async def customer_by_email(self, email: str) -> Row | None:
        """Return the customer with this e-mail address, None where the shop has none.

        Whether case counts is its database's to say, so it is asked for in small letters too.
        """
        found = None
        for spelt in dict.fromkeys((email, email.lower())):
            found = found or await self._find("Customer/GetCustomerByEmail", {"email": spelt})
        if found is None or found.get("deleted") is True:
            return None
        if str(found.get("email")).strip().casefold() != email.casefold():
            raise RetryableError(f"{self.name}: asked for the customer with an e-mail address, it answers with another")
        return found

    async def attributes(self, customer: int) -> list[Row]:
        """Return a customer's generic attributes that hold in all stores."""
        rows = await self.listed(f"GenericAttribute/GetAttributesForEntity/{customer}", {"keyGroup": "Customer"})
        return [row for row in rows if row.get("store_id") == 0 and isinstance(row.get("key"), str)]

    async def address(self, number: int) -> Row | None:
        """Return an address by its id, None where it is not there."""
        return await self._find(f"Address/GetById/{number}")

    async def is_registered(self, customer: int) -> bool:
        """Tell whether a customer has the role of those who registered."""
        answer = await self._api.get(f"{BASE}/CustomerRole/IsRegistered/{customer}")
        return _parsed(answer) is True

    async def register(self, customer: int) -> None:
        """Give a customer the role of those who registered; the shop refuses one who has it."""
        role = await self._find("CustomerRole/GetCustomerRoleBySystemName", {"systemName": "Registered"})
        if role is None:
            raise DataError(f"{self.name} has no role Registered", field="CustomerRole", value="Registered")
        await self._api.write("POST", f"{BASE}/CustomerRole/AddCustomerRoleMapping", {"customer_id": customer, "customer_role_id": role["id"]})

    def now(self) -> str:
        """Return the time as the shop writes it."""
        return self.gate.clock.now().isoformat(timespec="microseconds").replace("+00:00", "Z")

    async def shipments(self, order: int) -> list[Row]:
        """Return the shipments of an order, the oldest first."""
        return await self._list(f"Shipment/GetByOrderId/{order}", "order_id", order)

    async def shipped(self, shipment: int) -> dict[int, int]:
        """Return how many of which order item are in a shipment; of an item that is there twice the shop counts the first row."""
        rows = await self._list(f"ShipmentItem/GetByShipmentId/{shipment}", "shipment_id", shipment, "order_item_id", "quantity")
        return {row["order_item_id"]: row["quantity"] for row in reversed(rows)}

    async def add_shipment(self, shipment: Mapping[str, Any]) -> Row:
        """Create a shipment and return it; nothing moves, and nobody is told, until it is shipped."""
        answer = await self._api.write("POST", f"{BASE}/Shipment/Create", shipment)
        return _row(answer, _parsed(answer))

    async def add_to_shipment(self, item: Mapping[str, Any]) -> None:
        """Add an order item to a shipment."""
        await self._api.write("POST", f"{BASE}/ShipmentItem/Create", item)

    async def ship(self, shipment: int) -> None:
        """Ship a shipment, which tells the customer; the shop refuses one that is shipped."""
        await self._api.write("GET", f"{BASE}/OrderProcessing/Ship/{shipment}?notifyCustomer=true")

    async def _find(self, path: str, params: Mapping[str, str] | None = None, *numbers: str) -> Row | None:
        answer = await self._api.get(f"{BASE}/{path}", params)
        return None if answer.status == NOT_FOUND else _row(answer, _parsed(answer), *numbers)

    async def send(self, method: str, path: str, body: Row | None = None) -> Row:
        """Send a write and return the row that it answers, an empty one where it answers none."""
        answer = await self._api.write(method, f"{BASE}/{path}", body)
        return _row(answer, _parsed(answer)) if method == "POST" else {}

    async def _list(self, path: str, owner_field: str, owner: int, *numbers: str) -> list[Row]:
        rows = await self.listed(path, None, *numbers, of_one=True)
        if any(row.get(owner_field) != owner for row in rows):
            raise RetryableError(f"{self.name}: GET {BASE}/{path}: it lists rows of another {owner_field} than asked for")
        return sorted(rows, key=lambda row: int(row["id"]))

    async def listed(self, path: str, params: Mapping[str, str] | None = None, *numbers: str, of_one: bool = False) -> list[Row]:
        """Return the rows of a list, or of a page with `items`, each with its id and these whole numbers.

        One that is not there is a wrong address, and no empty list; that `of_one` order may be missing alone, so it holds up no others.
        """
        answer = await self._api.get(f"{BASE}/{path}", params)
        if answer.status == NOT_FOUND:  # an empty list is 200
            raise RetryableError(f"{self.name}: GET {BASE}/{path}: 404; is this connection's url that of the shop?", system_wide=not of_one)
        content = _parsed(answer)
        content = content.get("items") if isinstance(content, dict) else content
        if not isinstance(content, list):
            raise answer.unreadable("it is no list")
        return [_row(answer, row, *numbers) for row in content]


def order_id(document: Document) -> int:
    """Return the id of the order that a document is about: a number, for it becomes part of paths, and some GETs change things."""
    text = str(document.get("OrderID"))
    if not (text.isascii() and text.isdigit() and 0 < int(text[:20]) <= LARGEST):
        raise DataError(f"OrderID {text[:40]!r} is no order of a shop", field="OrderID", value=text)
    return int(text)


def whole(document: Document, field: str, least: int, where: str = "", most: int = LARGEST) -> int:
    """Return a whole number of a document; raises DataError naming it, after `where` it stands, for what is none."""
    value = document.get(field)
    if isinstance(value, bool) or not isinstance(value, int | float) or not float(value).is_integer() or not least <= value <= most:
        raise DataError(f"{where}{field} is no whole number from {least} to {most}", field=f"{where}{field}", value=repr(value))
    return int(value)


def _parsed(answer: Answer) -> Any:  # noqa: ANN401 - whatever the shop sent
    try:
        return json.loads(answer.text)
    except (ValueError, RecursionError) as error:
        raise answer.unreadable(f"it is not JSON: {error}") from error


def _row(answer: Answer, content: object, *numbers: str) -> Row:
    if not isinstance(content, dict) or not all(isinstance(content.get(name), int) for name in ("id", *numbers)):
        raise answer.unreadable(f"it is no object with {', '.join(('id', *numbers))}")
    return content
