"""A product at Brightpearl, where the shop is the master of products: found by its SKU, else made; then its price in one list."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from sinks.base import Document, Standing
from sinks.brightpearl.fields import number, text
from sinks.brightpearl.products import forget, product_ids
from sinks.goods import price_of
from towpath.http import ApiClient
from towpath.systems.brightpearl import content_of, created_id

CHANNEL: Final = "Brightpearl"
"""The sales channel of an account's own catalogue, which holds a product's name."""
NOT_FOUND: Final = 404


async def put_product(api: ApiClient, document: Document, _known: int | None) -> tuple[bool, Standing]:
    """Give a product its name, and its price in the list that the flow names; nothing refuses a second product of one SKU, so it is looked for."""
    sku, name, price = text(document, "SKU").strip(), text(document, "Name").strip(), price_of(document)
    product = (await product_ids(api, [sku]))[sku]
    row = None if product is None else await _read(api, product)
    if row is None:
        forget(api, [sku])  # it may have been deleted, and its SKU be another's
        product = (await product_ids(api, [sku]))[sku]
        row = None if product is None else await _read(api, product)
    if product is None or row is None:
        product, written = created_id(await api.write("POST", "/product-service/product", _new(document, sku, name))), True
    else:
        written = _name_of(row) != name
        if written:
            change = {"salesChannels": [{"salesChannelName": CHANNEL, "productName": name}]}
            content_of(await api.write("PUT", f"/product-service/product/{product}", change))
    if price is not None:
        written |= await _set_price(api, product, number(document, "PriceListID"), price)
    return written, Standing(str(product))


def _new(document: Document, sku: str, name: str) -> dict[str, Any]:
    category = {"categories": [{"categoryCode": str(number(document, "CategoryCode"))}]} if document.get("CategoryCode") is not None else {}
    made = {
        "brandId": number(document, "BrandID"),
        "identity": {"sku": sku},
        "stock": {"stockTracked": True},
        "salesChannels": [{"salesChannelName": CHANNEL, "productName": name, **category}],
    }
    code = document.get("TaxCode")
    return made if code is None else {**made, "financialDetails": {"taxable": True, "taxCode": {"code": str(code)}}}


async def _set_price(api: ApiClient, product: int, price_list: int, price: Decimal) -> bool:
    answer = await api.get(f"/product-service/product-price/{product}")
    rows = [] if answer.status == NOT_FOUND else content_of(answer)
    lists = [one for row in rows if isinstance(row, dict) for one in row.get("priceLists") or []] if isinstance(rows, list) else []
    stands = [(one.get("quantityPrice") or {}).get("1") for one in lists if isinstance(one, dict) and one.get("priceListId") == price_list]
    if any(_decimal(one) == price for one in stands):
        return False
    body = {"priceLists": [{"priceListId": price_list, "quantityPrice": {"1": float(price)}}]}
    content_of(await api.write("PUT", f"/product-service/product-price/{product}/price-list", body))
    return True


async def _read(api: ApiClient, product: int) -> Mapping[str, Any] | None:
    answer = await api.get(f"/product-service/product/{product}")
    found = [] if answer.status == NOT_FOUND else content_of(answer)
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise answer.unreadable("it is no list of products")
    if found and found[0].get("id") != product:
        raise answer.unreadable("it is another product than asked for")
    return found[0] if found else None


def _name_of(row: Mapping[str, Any]) -> str:
    channels = [one for one in row.get("salesChannels") or [] if isinstance(one, dict)]
    named = [str(one.get("productName") or "") for one in channels if one.get("salesChannelName") == CHANNEL]
    return named[0] if named else ""


def _decimal(value: object) -> Decimal | None:
    try:
        return Decimal(str(value))
    except ArithmeticError:
        return None
