"""What a customer gives back: a sales credit against the order, looked for by its reference; then a goods-in note with a unique one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sinks.base import Document, Standing
from sinks.brightpearl.fields import moment, number, text, zone
from sinks.brightpearl.order import instance_key, read_order
from sinks.brightpearl.products import product_ids
from towpath.errors import DataError
from towpath.http import ApiClient
from towpath.systems.brightpearl import content_of, created_id, search

SALES_CREDIT: Final = "3"
NOT_FOUND: Final = 404


async def find_credit(api: ApiClient, document: Document) -> Standing | None:
    """Return the oldest sales credit with this reference."""
    reference = text(document, "ref")
    page = await search(api, "/order-service/order-search", {"customerRef": reference, "orderTypeId": SALES_CREDIT, "sort": "orderId.ASC"})
    found = [row["orderId"] for row in page.rows if str(row.get("customerRef")).strip().casefold() == reference.strip().casefold()]
    return Standing(str(min(found))) if found else None


async def create_credit(api: ApiClient, document: Document) -> Standing:
    """Create the sales credit for the contact and in the currency of its order; raises DataError naming what is refused."""
    parent = await read_order(api, number(document, "parentId"))
    rows = _rows(document)
    products = await product_ids(api, [text(row, "SKU", f"rows[{index}].") for index, row in enumerate(rows)])
    placed = moment(document, "placedOn").astimezone(zone(document, "timeZone"))
    credit: dict[str, Any] = {
        "parentId": parent["id"],
        "customer": {"id": parent["parties"]["customer"]["contactId"]},
        "ref": document["ref"],
        **instance_key(api, str(document["ref"])),
        "placedOn": placed.isoformat(timespec="milliseconds"),
        "taxDate": placed.date().isoformat(),
        "currency": {"code": _currency(document, parent)},
        **({"warehouseId": number(document, "warehouseId")} if document.get("warehouseId") is not None else {}),
        "rows": [_row(row, products) for row in rows],
    }
    return Standing(str(created_id(await api.write("POST", "/order-service/sales-credit", credit))))


async def find_goods_in(api: ApiClient, document: Document) -> Standing | None:
    """Return the goods-in note of the sales credit with our batch reference."""
    wanted, credit = text(document, "userBatchReference"), number(document, "CreditID")
    answer = await api.get(f"/warehouse-service/order/{credit}/goods-note/goods-in")
    notes = {} if answer.status == NOT_FOUND else content_of(answer) or {}
    if not isinstance(notes, dict) or not all(isinstance(note, dict) for note in notes.values()):
        raise answer.unreadable("its goods-in notes are no object by id")
    return next((Standing(str(one)) for one, note in notes.items() if note.get("userBatchReference") == wanted), None)


async def create_goods_in(api: ApiClient, document: Document) -> Standing:
    """Take back into a warehouse what the rows of the sales credit say; raises DataError for a SKU that it does not have."""
    credit = await read_order(api, number(document, "CreditID"))
    moved = []
    for index, line in enumerate(_rows(document)):
        sku = text(line, "SKU", f"rows[{index}].")
        row = next((one for one, row in credit["orderRows"].items() if str(row.get("productSku")).casefold() == sku.casefold()), None)
        if row is None:
            raise DataError(f"sales credit {credit['id']} has no row of SKU {sku}", field=f"rows[{index}].SKU", value=sku)
        product = credit["orderRows"][row]["productId"]
        moved.append({"productId": product, "purchaseOrderRowId": int(row), "quantity": number(line, "quantity", f"rows[{index}].")})
    note = {"transfer": False, "warehouseId": number(document, "warehouseId"), "goodsMoved": moved}
    note |= {"receivedOn": text(document, "receivedOn"), "userBatchReference": text(document, "userBatchReference")}
    return Standing(str(created_id(await api.write("POST", f"/warehouse-service/order/{credit['id']}/goods-note/goods-in", note))))


def _currency(document: Document, parent: Mapping[str, Any]) -> str:
    ordered_in = str((parent.get("currency") or {}).get("orderCurrencyCode"))
    if document.get("currency") != ordered_in:
        message = f"the return is in {document.get('currency')}, and order {parent['id']} in {ordered_in}; settle it by hand"
        raise DataError(message, field="currency", value=str(document.get("currency")))
    return ordered_in


def _row(row: Document, products: Mapping[str, int | None]) -> dict[str, Any]:
    plain, product = {name: value for name, value in row.items() if name != "SKU"}, products[row["SKU"]]
    return {**plain, "productId": product} if product is not None else {**plain, "name": f"{row['SKU']}: {row.get('name') or 'unknown SKU'}"}


def _rows(document: Document) -> Sequence[Document]:
    rows = document.get("rows")
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise DataError("the return has no rows", field="rows", value=repr(rows)[:80])
    return rows
