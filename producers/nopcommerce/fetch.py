"""Fetching an order or a customer from NopCommerce with all that decoding it needs: its entities are spread over many calls."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from producers.nopcommerce.attributes import KEPT, Chosen, chosen_at_checkout, chosen_of_customer, generic, is_list
from producers.wire import joined
from towpath.errors import DataError
from towpath.http import ApiClient, gather_all
from towpath.systems.nopcommerce import find, read

MOST_CACHED = 5_000
LARGEST_ID = 2**31 - 1
REFERENCE = {"country": "Country", "state": "StateProvince"}


class Fetcher:
    """Composes bundles; countries, states and attributes, which hardly ever change, are read once a process and connection."""

    def __init__(self) -> None:
        self._cache: OrderedDict[tuple[str, str, int], str] = OrderedDict()

    async def order(self, api: ApiClient, order_id: int) -> str:
        """Return the vendor's own bodies by part.

        The parts: order, items, customer, customer_attributes, addresses, products, countries, states, attributes.
        """
        order, items = await gather_all(
            read(api, f"Order/GetById/{order_id}", f"order {order_id}"),
            read(api, f"OrderItem/GetOrderItems/{order_id}", f"items of order {order_id}"),
        )
        head = _object(order, "order")
        product_ids = _ids("product_id", (item.get("product_id") for item in rows(items)))
        customer_id = _one("customer_id", head)
        addresses, customer, own, products = await gather_all(
            self._addresses(api, [head.get("billing_address_id"), head.get("shipping_address_id"), head.get("pickup_address_id")]),
            read(api, f"Customer/GetById/{customer_id}", f"customer {customer_id}"),
            self._own(api, customer_id),
            self._many(api, "Product", "product", product_ids),
        )
        _object(customer, "customer")
        chosen = [*chosen_at_checkout(head), *chosen_of_customer(generic(own, head.get("store_id")))]
        meant = await self._meant(api, chosen)
        return joined(
            order=order, items=items, customer=customer, customer_attributes=json.dumps(own), products=_keyed(products), **addresses, **meant
        )

    async def customer(self, api: ApiClient, customer_id: int, as_of: str = "") -> str | None:
        """Return the vendor's own bodies by part: customer, customer_attributes, addresses, countries, states, attributes; None for a guest.

        `changed_at` is when the shop said that it changed: the row itself does not tell.
        """
        customer, own = await gather_all(
            read(api, f"Customer/GetById/{customer_id}", f"customer {customer_id}"),
            self._own(api, customer_id),
        )
        head = _object(customer, "customer")
        if not head.get("email") or head.get("is_system_account") is True:
            return None
        addresses = await self._addresses(api, [head.get("billing_address_id"), head.get("shipping_address_id")])
        meant = await self._meant(api, chosen_of_customer(generic(own, head.get("registered_in_store_id"))))
        return joined(customer=customer, customer_attributes=json.dumps(own), **addresses, **meant, changed_at=json.dumps(as_of))

    async def return_request(self, api: ApiClient, request_id: int) -> str:
        """Return the vendor's own bodies by part: return_request, order, items, products (that of the item)."""
        asked = await read(api, f"ReturnRequest/GetById/{request_id}", f"return request {request_id}")
        item = _one("order_item_id", _object(asked, "return_request"))
        order = await read(api, f"Order/GetByOrderItem/{item}", f"order of item {item}")
        order_id = _one("id", _object(order, "order"))
        items = await read(api, f"OrderItem/GetOrderItems/{order_id}", f"items of order {order_id}")
        product_ids = _ids("product_id", (row.get("product_id") for row in rows(items) if row.get("id") == item))
        return joined(return_request=asked, order=order, items=items, products=_keyed(await self._many(api, "Product", "product", product_ids)))

    async def product(self, api: ApiClient, product_id: int) -> str | None:
        """Return the vendor's own bodies by part: product, described, options, attributes; None for one that is deleted or has no SKU."""
        product, described = await gather_all(
            read(api, f"Product/GetById/{product_id}", f"product {product_id}"),
            read(api, "ProductSpecificationAttribute/GetAll", f"attributes of product {product_id}", {"productId": str(product_id)}),
        )
        head = _object(product, "product")
        if head.get("deleted") is True or not str(head.get("sku") or "").strip():
            return None
        options = _ids("specification_attribute_option_id", (row.get("specification_attribute_option_id") for row in rows(described)))
        values = await self._reference(api, "SpecificationAttributeOption", options)
        owners = [one.get("specification_attribute_id") for one in map(json.loads, values.values()) if isinstance(one, dict)]
        names = await self._reference(api, "SpecificationAttribute", _ids("specification_attribute_id", owners))
        return joined(product=product, described=described, options=_keyed(values), attributes=_keyed(names))

    async def _own(self, api: ApiClient, customer_id: int) -> list[dict[str, Any]]:
        """Return the generic attributes of a customer that are ours to read."""
        path = f"GenericAttribute/GetAttributesForEntity/{customer_id}"
        listed = rows(await read(api, path, f"attributes of customer {customer_id}", {"keyGroup": "Customer"}), "customer_attributes")
        return [{name: row.get(name) for name in ("key", "value", "store_id")} for row in listed if str(row.get("key")) in KEPT]

    async def _meant(self, api: ApiClient, chosen: Sequence[Chosen]) -> dict[str, str]:
        """Return `{"attributes": {"CheckoutAttribute/1": …, "CheckoutAttributeValue/2": …}}`; null is what the shop knows no more."""
        found: dict[str, str] = {}
        for kind in {one.kind for one in chosen}:
            attributes = await self._reference(api, kind, _numbers([one.id for one in chosen if one.kind == kind]))
            lists = {str(one) for one, text in attributes.items() if is_list(json.loads(text))}
            values = [value for one in chosen if one.kind == kind and one.id in lists for value in one.values]
            found |= {f"{kind}/{one}": text for one, text in attributes.items()}
            found |= {f"{kind}Value/{one}": text for one, text in (await self._reference(api, f"{kind}Value", _numbers(values))).items()}
        return {"attributes": _keyed(found)}

    async def _addresses(self, api: ApiClient, wanted: Iterable[Any]) -> dict[str, str]:
        addresses = await self._many(api, "Address", "address", _ids("address_id", wanted))
        heads = [_object(text, "address") for text in addresses.values()]
        countries = await self._reference(api, "country", _ids("country_id", (head.get("country_id") for head in heads)))
        states = await self._reference(api, "state", _ids("state_province_id", (head.get("state_province_id") for head in heads)))
        return {"addresses": _keyed(addresses), "countries": _keyed(countries), "states": _keyed(states)}

    async def _many(self, api: ApiClient, path: str, what: str, ids: list[int]) -> dict[int, str]:
        texts = await gather_all(*(read(api, f"{path}/GetById/{one}", f"{what} {one}") for one in ids))
        for text in texts:
            _object(text, what)
        return dict(zip(ids, texts, strict=True))

    async def _reference(self, api: ApiClient, what: str, ids: list[int]) -> dict[int, str]:
        """Return what hardly ever changes; an attribute that the shop knows no more is null."""
        missing = [one for one in ids if (api.name, what, one) not in self._cache]
        read_now = await (self._many(api, REFERENCE[what], what, missing) if what in REFERENCE else self._known(api, what, missing))
        for one, text in read_now.items():
            self._cache[api.name, what, one] = text
        found = {one: self._cache[api.name, what, one] for one in ids}
        while len(self._cache) > MOST_CACHED:
            self._cache.popitem(last=False)
        return found

    async def _known(self, api: ApiClient, what: str, ids: list[int]) -> dict[int, str]:
        texts = [text or "null" for text in await gather_all(*(find(api, f"{what}/GetById/{one}") for one in ids))]
        for text in texts:
            _json(text, what)
        return dict(zip(ids, texts, strict=True))


def rows(text: str, what: str = "items") -> list[dict[str, Any]]:
    """Return the rows of a list answer: a bare array, or a page with `items`."""
    content = _json(text, what)
    found = content.get("items") if isinstance(content, dict) else content
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise DataError("a list answer is neither an array of objects nor a page with `items`", field=what)
    return found


def _object(text: str, what: str) -> dict[str, Any]:
    content = _json(text, what)
    if not isinstance(content, dict):
        raise DataError(f"the {what} fetched is no JSON object", field=what)
    return content


def _json(text: str, what: str) -> Any:  # noqa: ANN401 - whatever the shop sent
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"the {what} fetched is not JSON: {error}", field=what) from error


def _ids(field: str, values: Iterable[Any]) -> list[int]:
    """Return the ids that are there, each once; an id becomes part of a path, where some GETs change things, so it is a number or refused."""
    wanted = set()
    for value in values:
        if value in (None, 0):
            continue
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise DataError(f"{field} {value!r} is no id", field=field, value=str(value))
        wanted.add(value)
    return sorted(wanted)


def _one(field: str, head: dict[str, Any]) -> int:
    found = _ids(field, [head.get(field)])
    if not found:
        raise DataError(f"the record has no {field}", field=field)
    return found[0]


def _numbers(texts: Iterable[str]) -> list[int]:
    """Return what can be ids among texts that people may have typed, each once."""
    found = {int(text) for text in texts if text.isascii() and text.isdecimal() and len(text) <= len(str(LARGEST_ID))}
    return sorted(one for one in found if one <= LARGEST_ID)


def _keyed(texts: Mapping[Any, str]) -> str:
    return "{" + ",".join(f'"{key}":{text}' for key, text in texts.items()) + "}"
