"""The shop's calls as the sink needs them; a list is read whole, and what a write answers is a bare number or boolean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote
from weakref import WeakKeyDictionary

from sinks.base import Document
from sinks.many import Many
from towpath.delivery.gate import Gate
from towpath.errors import DataError, RetryableError
from towpath.http import Answer, ApiClient
from towpath.systems.magento import BASE, id_of, search

Row = dict[str, Any]
CANCELED: Final = "canceled"
NOT_FOUND: Final = 404
MOST: Final = 300
"""Rows of a list; no order has more shipments, no SKU more sources."""


async def _put_source_items(api: ApiClient, items: Sequence[Row]) -> None:
    await api.write("POST", f"{BASE}/inventory/source-items", {"sourceItems": list(items)})


SOURCE_ITEMS: Final = Many(_put_source_items, most=20)
"""Absolute quantities, so once more changes nothing; a shop that limits its input takes 20 entries in one call (vendor-apis.md, section 1)."""


_REGIONS: Final[WeakKeyDictionary[Gate, dict[str, list[Row]]]] = WeakKeyDictionary()


class Shop:
    """One shop; `api` is what sends the calls."""

    def __init__(self, api: ApiClient) -> None:
        self._api = api
        self.name = api.name

    async def order(self, document: Document) -> Row:
        """Return the order that the document names by its entity id; raises DataError where there is none."""
        number = order_id(document)
        answer = await self._api.get(f"{BASE}/orders/{number}")
        if answer.status == NOT_FOUND:
            raise DataError(f"order {number} does not exist at {self.name}", field="OrderID", value=str(number))
        content = answer.json()
        if not isinstance(content, dict) or content.get("entity_id") != number or not isinstance(content.get("items"), list):
            raise answer.unreadable(f"it is not order {number} with its items")
        return content

    async def shipments(self, order: int) -> list[Row]:
        """Return the shipments of an order, the oldest first."""
        return sorted(await self._list("shipments", ("order_id", "eq", order)), key=lambda row: int(row["entity_id"]))

    async def invoices(self, order: int) -> list[Row]:
        """Return the invoices of an order, the oldest first."""
        return sorted(await self._list("invoices", ("order_id", "eq", order)), key=lambda row: int(row["entity_id"]))

    async def invoice(self, order: int, invoice: Mapping[str, Any]) -> str:
        """Invoice an order and return the new invoice's id."""
        return _bare_id(await self._api.write("POST", f"{BASE}/order/{order}/invoice", invoice))

    async def ship(self, order: int, shipment: Mapping[str, Any]) -> str:
        """Ship and return the new shipment's id; a part that is sent twice is shipped twice."""
        return _bare_id(await self._api.write("POST", f"{BASE}/order/{order}/ship", shipment))

    async def comment(self, order: Row, comment: str) -> None:
        """Add a comment that only the staff sees; it keeps the status that the order has."""
        said = {
            "comment": comment,
            "is_customer_notified": 0,
            "is_visible_on_front": 0,
            "parent_id": order["entity_id"],
            "status": order.get("status"),
        }
        await self._api.write("POST", f"{BASE}/orders/{order['entity_id']}/comments", {"statusHistory": said})

    async def cancel(self, order: int) -> bool:
        """Cancel an order; False where the shop would not."""
        answer = await self._api.write("POST", f"{BASE}/orders/{order}/cancel")
        done = answer.json()
        if not isinstance(done, bool):
            raise answer.unreadable("it is neither true nor false")
        return done

    async def customer(self, number: str) -> Row:
        """Return a customer with its addresses; raises DataError where there is none."""
        wanted = id_of(number, "CustomerID")
        answer = await self._api.get(f"{BASE}/customers/{wanted}")
        if answer.status == NOT_FOUND:
            raise DataError(f"customer {number} does not exist at {self.name}", field="CustomerID", value=number)
        return _customer(answer, answer.json())

    async def customers_by_email(self, email: str) -> list[Row]:
        """Return the customers with this e-mail address: one, but for a shop of several websites."""
        return await self._list("customers/search", ("email", "eq", email))

    async def save_customer(self, customer: Row) -> Row:
        """Make a customer, or save the one with this id whole, and return it."""
        number = customer.get("id")
        method, path = ("POST", "customers") if number is None else ("PUT", f"customers/{number}")
        answer = await self._api.write(method, f"{BASE}/{path}", {"customer": customer})
        return _customer(answer, answer.json())

    async def regions(self, country: str, name: str) -> list[Row]:
        """Return the regions of a country, which hardly ever change; raises DataError naming the country where the shop has none such."""
        known = _REGIONS.setdefault(self._api.gate, {})
        if country not in known:
            answer = await self._api.get(f"{BASE}/directory/countries/{_in_path(country)}")
            if answer.status == NOT_FOUND or not country:
                raise DataError(f"{name}.Country: the shop has no country {country!r}", field=f"{name}.Country", value=country)
            content = answer.json()
            rows = content.get("available_regions") if isinstance(content, dict) else None
            known[country] = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
        return known[country]

    async def product(self, sku: str) -> Row | None:
        """Return the product of a SKU, None where there is none."""
        answer = await self._api.get(f"{BASE}/products/{_in_path(sku)}")
        if answer.status == NOT_FOUND:
            return None
        return _product(answer, sku)

    async def save_product(self, product: Row) -> Row:
        """Make or change the product of a SKU, and return it as it is then."""
        return _product(await self._api.write("POST", f"{BASE}/products", {"product": product}), str(product["sku"]))

    async def attribute_sets(self) -> dict[str, int]:
        """Return the id of each attribute set by its name, in small letters."""
        rows = await self._list("products/attribute-sets/sets/list")
        return {str(row.get("attribute_set_name")).strip().casefold(): int(row["attribute_set_id"]) for row in rows}

    async def attribute(self, code: str) -> Row:
        """Return an attribute with its options; raises DataError where there is none of that code."""
        answer = await self._api.get(f"{BASE}/products/attributes/{code}")
        if answer.status == NOT_FOUND:
            raise DataError(f"{self.name} has no attribute {code}; make it there", field=f"Attributes.{code}", value=code)
        content = answer.json()
        if not isinstance(content, dict) or content.get("attribute_code") != code:
            raise answer.unreadable(f"it is not the attribute {code}")
        return content

    async def add_option(self, code: str, label: str) -> None:
        """Give an attribute one more option; the shop refuses no second one of the same label."""
        await self._api.write(
            "POST", f"{BASE}/products/attributes/{code}/options", {"option": {"label": label, "sort_order": 0, "is_default": False}}
        )

    async def salable(self, sku: str, stock: int) -> Decimal:
        """Return how many of a SKU can be sold; raises DataError, which awaits the product, where the shop does not know it."""
        answer = await self._api.get(f"{BASE}/inventory/get-product-salable-quantity/{_in_path(sku)}/{stock}")
        if answer.status == NOT_FOUND:
            raise DataError(f"SKU {sku} is unknown at {self.name}", field="SKU", value=sku, awaits=f"product {sku}")
        content = answer.json()
        if isinstance(content, bool) or not isinstance(content, int | Decimal):
            raise answer.unreadable("it is no number")
        return Decimal(content)

    async def in_source(self, sku: str, source: str) -> Decimal | None:
        """Return how many of a SKU lie in a source, None where it is not kept there."""
        rows = await self._list("inventory/source-items", ("sku", "eq", sku), ("source_code", "eq", source))
        found = [row for row in rows if str(row.get("sku")).casefold() == sku.casefold() and row.get("source_code") == source]
        return Decimal(str(found[0].get("quantity") or 0)) if found else None

    async def put_in_source(self, sku: str, source: str, quantity: int) -> None:
        """Set how many of a SKU lie in a source, together with what other deliveries set just now."""
        await SOURCE_ITEMS.write(self._api, {"sku": sku, "source_code": source, "quantity": quantity, "status": 1 if quantity > 0 else 0})

    async def ships_together(self, product: int) -> bool:
        """Tell whether a bundle's parts leave as one (its `shipment_type` is 0), as they do where it does not say."""
        rows = await self._list("products", ("entity_id", "eq", product))
        own = [attribute for row in rows for attribute in row.get("custom_attributes") or () if isinstance(attribute, dict)]
        return next((str(one.get("value")) for one in own if one.get("attribute_code") == "shipment_type"), "0") == "0"

    async def _list(self, path: str, *filters: tuple[str, str, object]) -> list[Row]:
        answer = await self._api.get(f"{BASE}/{path}", search(*filters, pageSize=MOST))
        if answer.status == NOT_FOUND:  # an empty list is 200
            raise RetryableError(f"{self.name}: GET {BASE}/{path}: 404; is this connection's url that of the shop?", system_wide=True)
        content = answer.json()
        rows = content.get("items") if isinstance(content, dict) else None
        if rows is None and isinstance(content, dict) and content.get("total_count") == 0:
            return []
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise answer.unreadable("it has no list of items")
        if content.get("total_count") != len(rows):
            raise answer.unreadable(f"it lists {len(rows)} of {content.get('total_count')}")
        for name, _, value in filters:
            if any(name in row and str(row[name]).casefold() != str(value).casefold() for row in rows):
                raise answer.unreadable(f"it lists rows of another {name} than asked for")
        return rows


def _in_path(sku: str) -> str:
    """Return a SKU as a part of a path, where it may hold whatever a path cannot."""
    if sku in {".", ".."}:
        raise DataError(f"{sku} is no SKU", field="SKU", value=sku)
    return quote(sku, safe="")


def _customer(answer: Answer, content: Any) -> Row:  # noqa: ANN401 - whatever the shop sent
    if not isinstance(content, dict) or not isinstance(content.get("id"), int):
        raise answer.unreadable("it is no customer with an id")
    return content


def _product(answer: Answer, sku: str) -> Row:
    content = answer.json()
    if not isinstance(content, dict) or str(content.get("sku")).casefold() != sku.casefold() or not isinstance(content.get("id"), int):
        raise answer.unreadable(f"it is not the product {sku}")
    return content


def order_id(document: Document) -> int:
    """Return the entity id of the order that a document is about: it becomes part of paths."""
    return id_of(document.get("OrderID"), "OrderID")


def text(document: Document, field: str) -> str:
    """Return a text of a document; raises DataError naming it where there is none."""
    value = document.get(field)
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise DataError(f"the document has no {field}", field=field, value=repr(value))
    return value.strip()


def whole(document: Document, field: str, least: int, most: int = 2**31 - 1, where: str = "") -> int:
    """Return a whole number of a document; raises DataError naming it, after `where` it stands, for what is none."""
    value = document.get(field)
    if isinstance(value, bool) or not isinstance(value, int | float) or not float(value).is_integer() or not least <= value <= most:
        raise DataError(f"{where}{field} is no whole number from {least} to {most}", field=f"{where}{field}", value=repr(value))
    return int(value)


def _bare_id(answer: Answer) -> str:
    """Return the id that a write answered with, a number or a text that is one."""
    try:
        return str(id_of(answer.json(), "id"))
    except DataError:
        raise answer.unreadable("it is no id") from None
