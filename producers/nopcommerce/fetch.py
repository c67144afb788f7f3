"""Fetching an order or a customer from NopCommerce with all that decoding it needs: its entities are spread over many calls."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

from towpath.errors import DataError
from towpath.http import ApiClient, gather_all
from towpath.systems.nopcommerce import read

MOST_CACHED = 5_000
REFERENCE = {"country": "Country/GetById", "state": "StateProvince/GetById"}


class Fetcher:
    """Composes bundles; countries and states, which hardly ever change, are read once a process and connection."""

    def __init__(self) -> None:
        self._cache: OrderedDict[tuple[str, str, int], str] = OrderedDict()

    async def order(self, api: ApiClient, order_id: int) -> str:
        """Return `{"order", "items", "customer", "addresses", "products", "countries", "states"}`, the vendor's own bodies inside."""
        order, items = await gather_all(
            read(api, f"Order/GetById/{order_id}", f"order {order_id}"),
            read(api, f"OrderItem/GetOrderItems/{order_id}", f"items of order {order_id}"),
        )
        head = _object(order, "order")
        product_ids = _ids("product_id", (item.get("product_id") for item in rows(items)))
        customer_id = _one("customer_id", head)
        addresses, customer, products = await gather_all(
            self._addresses(api, [head.get("billing_address_id"), head.get("shipping_address_id"), head.get("pickup_address_id")]),
            read(api, f"Customer/GetById/{customer_id}", f"customer {customer_id}"),
            self._many(api, "Product/GetById", "product", product_ids),
        )
        _object(customer, "customer")
        return _joined(order=order, items=items, customer=customer, products=_keyed(products), **addresses)

    async def customer(self, api: ApiClient, customer_id: int) -> str:
        """Return `{"customer", "addresses", "countries", "states"}`."""
        customer = await read(api, f"Customer/GetById/{customer_id}", f"customer {customer_id}")
        head = _object(customer, "customer")
        addresses = await self._addresses(api, [head.get("billing_address_id"), head.get("shipping_address_id")])
        return _joined(customer=customer, **addresses)

    async def _addresses(self, api: ApiClient, wanted: Iterable[Any]) -> dict[str, str]:
        addresses = await self._many(api, "Address/GetById", "address", _ids("address_id", wanted))
        heads = [_object(text, "address") for text in addresses.values()]
        countries = await self._reference(api, "country", _ids("country_id", (head.get("country_id") for head in heads)))
        states = await self._reference(api, "state", _ids("state_province_id", (head.get("state_province_id") for head in heads)))
        return {"addresses": _keyed(addresses), "countries": _keyed(countries), "states": _keyed(states)}

    async def _many(self, api: ApiClient, path: str, what: str, ids: list[int]) -> dict[int, str]:
        texts = await gather_all(*(read(api, f"{path}/{one}", f"{what} {one}") for one in ids))
        for text in texts:
            _object(text, what)
        return dict(zip(ids, texts, strict=True))

    async def _reference(self, api: ApiClient, what: str, ids: list[int]) -> dict[int, str]:
        missing = [one for one in ids if (api.name, what, one) not in self._cache]
        for one, text in (await self._many(api, REFERENCE[what], what, missing)).items():
            self._cache[api.name, what, one] = text
        found = {one: self._cache[api.name, what, one] for one in ids}
        while len(self._cache) > MOST_CACHED:
            self._cache.popitem(last=False)
        return found


def rows(text: str) -> list[dict[str, Any]]:
    """Return the rows of a list answer: a bare array, or a page with `items`."""
    content = _json(text, "items")
    found = content.get("items") if isinstance(content, dict) else content
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise DataError("a list answer is neither an array of objects nor a page with `items`", field="items")
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


def _keyed(texts: dict[int, str]) -> str:
    return "{" + ",".join(f'"{key}":{text}' for key, text in texts.items()) + "}"


def _joined(**parts: str) -> str:
    return "{" + ",".join(f'"{name}":{text}' for name, text in parts.items()) + "}"
