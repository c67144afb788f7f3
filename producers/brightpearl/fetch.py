"""Fetching what Brightpearl's webhooks and searches name, with all that decoding it needs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from producers.base import Fetch, References
from producers.brightpearl.batches import Batches, Kind, Read
from producers.wire import joined, member, parse
from towpath.errors import DataError, RetryableError
from towpath.http import ApiClient, gather_all


def _by_key(text: str) -> Mapping[int, str]:
    """Return what `response` has under each id: an object whose names are ids."""
    inner, content = member(text, "response"), _response(text)
    if content == []:
        return {}
    if not isinstance(content, dict):
        raise RetryableError("an answer's `response` is no object by id")
    return {int(name): member(inner, name) for name in content if name.isdecimal()}


def _by_field(field: str) -> Any:  # noqa: ANN401 - a function of Kind
    def found(text: str) -> Mapping[int, str]:
        """Return each element of `response` by its id."""
        content = _response(text)
        if not isinstance(content, list) or not all(isinstance(row, dict) for row in content):
            raise RetryableError("an answer's `response` is no list of objects")
        texts = _elements(member(text, "response"))
        return {row[field]: one for row, one in zip(content, texts, strict=True) if isinstance(row.get(field), int)}

    return found


PURCHASE, CREDIT = "PO", "SC"
PRODUCT: Final = Kind("/product-service/product/{}", _by_field("id"))
PRICE: Final = Kind("/product-service/product-price/{}", _by_field("productId"))
CONTACT: Final = Kind("/contact-service/contact/{}", _by_field("contactId"))
ORDER: Final = Kind("/order-service/order/{}", _by_field("id"))
AVAILABILITY: Final = Kind("/warehouse-service/product-availability/{}", _by_key)
ARRIVAL: Final = Kind("/warehouse-service/order/*/goods-note/goods-in/{}", _by_key)
NOTE: Final = Kind("/warehouse-service/order/*/goods-note/goods-out/{}", _by_key)


class Fetcher:
    """Composes bundles of the vendor's own bodies; ids that are asked for together are read together."""

    def __init__(self) -> None:
        self._batches = Batches()

    async def stock(self, api: ApiClient, wanted: Fetch, _references: References) -> str | None:
        """Return `{"product", "availability", "read_at"}`, None for a product whose stock is not tracked, or one without a SKU."""
        product, stock = await gather_all(self._need(api, PRODUCT, wanted), self._batches.read(api, AVAILABILITY, int(wanted.id)))
        if stock.text is None or not _sku(product):
            return None
        return joined(product=product, availability=stock.text, read_at=json.dumps(_read_at(stock, wanted)))

    async def product(self, api: ApiClient, wanted: Fetch, _references: References) -> str | None:
        """Return `{"product", "price"}`, where the price is null for a product that has none; None for one without a SKU."""
        product, price = await gather_all(self._need(api, PRODUCT, wanted), self._batches.read(api, PRICE, int(wanted.id)))
        return joined(product=product, price=price.text or "null") if _sku(product) else None

    async def contact(self, api: ApiClient, wanted: Fetch, _references: References) -> str | None:
        """Return `{"contact"}`."""
        return joined(contact=await self._need(api, CONTACT, wanted))

    async def order(self, api: ApiClient, wanted: Fetch, references: References) -> str | None:
        """Return `{"order_key", "order"}`, None for an order that is none of ours.

        Of a purchase order that is `{"purchase_order", "notes"}`, of a sales credit `{"return_key", "credit"}`.
        """
        order = await self._need(api, ORDER, wanted)
        if parse(order.encode()).get("orderTypeCode") == PURCHASE:
            return joined(purchase_order=order, notes=await _arrivals(api, int(wanted.id)))
        if parse(order.encode()).get("orderTypeCode") == CREDIT:
            key = await _order_key(parse(order.encode()), references, "sales_credit")
            return None if key is None else joined(return_key=json.dumps(key), credit=order)
        key = await _order_key(parse(order.encode()), references)
        return None if key is None else joined(order_key=json.dumps(key), order=order)

    async def arrival(self, api: ApiClient, wanted: Fetch, _references: References) -> str | None:
        """Return the purchase order of a goods-in note, as `order` does, None for what came in otherwise."""
        note = parse((await self._need(api, ARRIVAL, wanted)).encode())
        number = _order_of(note, "goods-in note")
        order = await self._need(api, ORDER, Fetch("order", number))
        if parse(order.encode()).get("orderTypeCode") != PURCHASE:
            return None
        return joined(purchase_order=order, notes=await _arrivals(api, number))

    async def note(self, api: ApiClient, wanted: Fetch, references: References) -> str | None:
        """Return `{"order_key", "note_id", "note", "order"}`, None for a transfer, or a note of an order that is none of ours."""
        text = await self._need(api, NOTE, wanted)
        note = parse(text.encode())
        if note.get("transfer") is True:
            return None
        order = await self._need(api, ORDER, Fetch("order", _order_of(note, "goods-out note")))
        key = await _order_key(parse(order.encode()), references)
        return None if key is None else joined(order_key=json.dumps(key), note_id=json.dumps(str(wanted.id)), note=text, order=order)

    async def _need(self, api: ApiClient, kind: Kind, wanted: Fetch) -> str:
        found = (await self._batches.read(api, kind, int(wanted.id))).text
        if found is None:
            what = wanted.entity.replace("_", " ")
            raise DataError(f"{what} {wanted.id} does not exist at {api.name}", field=wanted.entity, value=str(wanted.id))
        return found


def _order_of(note: Mapping[str, Any], what: str) -> int:
    order_id = note.get("orderId")
    if not isinstance(order_id, int) or isinstance(order_id, bool):
        raise DataError(f"the {what} has no orderId", field="orderId", value=str(order_id))
    return order_id


async def _arrivals(api: ApiClient, order: int) -> str:
    """Return the goods-in notes of an order by id."""
    answer = await api.get(f"/warehouse-service/order/{order}/goods-note/goods-in")
    return "{}" if answer.status == 404 else member(answer.text, "response") or "{}"  # noqa: PLR2004 - not found


def _read_at(read: Read, wanted: Fetch) -> str:
    """Return as of when a state is, by the system's clock: its `Date`, which has whole seconds, or when it raised the webhook, if that is later."""
    raised = _moment(wanted.as_of)
    if read.at is None:
        raise RetryableError("the answer has no Date to tell as of when the stock is")
    is_later = raised is not None and read.at < raised < read.at + timedelta(seconds=1)  # no later than the read itself
    return (raised if raised is not None and is_later else read.at).isoformat()


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


async def _order_key(order: Mapping[str, Any], references: References, entity: str = "order") -> str | None:
    """Return the key under which an order, or a sales credit, was written; raises RetryableError for one of ours that is not known yet.

    Its writing ends just now.
    """
    order_id, reference = order.get("id"), order.get("reference")
    key = await references.key_of(entity, str(order_id))
    if key is None and isinstance(reference, str) and reference.strip() and references.is_ours(reference):
        raise RetryableError(f"order {order_id} has our reference {reference[:60]!a}, and is not known to have been written yet")
    return key


def _sku(product: str) -> str:
    identity = parse(product.encode()).get("identity")
    return str(identity.get("sku") or "").strip() if isinstance(identity, dict) else ""


def _response(text: str) -> Any:  # noqa: ANN401 - any JSON
    content = parse(text.encode())
    if "response" not in content:
        raise RetryableError("an answer has no `response`")
    return content["response"]


def _elements(array: str) -> list[str]:
    """Return the text of each element of a JSON array that is known to be well-formed."""
    decoder, at, found = json.JSONDecoder(), 1, list[str]()
    while True:
        while array[at] in " \t\r\n,":
            at += 1
        if array[at] == "]":
            return found
        _, end = decoder.raw_decode(array, at)
        found.append(array[at:end])
        at = end
