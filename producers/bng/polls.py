"""BNG's lists, read in the order of UpdatedAt (contract: schemas/http/bng.yaml)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Final

from producers.base import Item, Poll
from producers.paging import Listed, read_page, require_another, require_whole
from towpath.http import ApiClient
from towpath.systems.bng import BASE

PAGE_SIZE: Final = 250
"""BNG allows 1,000; so many orders of 500 lines each would be more than an answer may have."""


async def changed(api: ApiClient, since: datetime, *, path: str, id_field: str, part_field: str = "") -> AsyncIterator[Item]:
    """Yield each record of a list that changed at or after `since`, in the order of UpdatedAt.

    It goes on from the UpdatedAt of the last record it has, not by the number of the page: a record that changes meanwhile moves behind
    where the read stands, and nothing before it moves. Pages are counted only where one holds nothing but records of one same time.
    """
    start, page, seen, announced = since, 1, set[tuple[int | str, str]](), None
    before: list[Listed] = []
    while True:
        query = {"updatedSince": _text(start), "page": str(page), "pageSize": str(PAGE_SIZE)}
        listed, total = await read_page(api, f"{BASE}{path}", query, "total")
        require_another(f"{api.name}: GET {BASE}{path}, page {page}", listed, before)
        items = [one.item(one.field(id_field), one.field("UpdatedAt"), since, one.field(part_field) or "") for one in listed]
        announced = total if announced is None else announced
        for item in items:
            seen.add((item.id, item.part))
            yield item
        if not items or page * PAGE_SIZE >= total:
            break
        last = max(item.changed_at for item in items)
        start, page, before = (last, 1, []) if last > start else (start, page + 1, listed)
    require_whole(f"{api.name}: GET {BASE}{path}", seen, announced)


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


POLLS: Final[Sequence[Poll]] = (
    Poll("sales_order", partial(changed, path="/sales-orders", id_field="SalesOrderID"), ordered=True),
    Poll("shipment", partial(changed, path="/shipments", id_field="ShipmentID"), ordered=True),
    Poll("invoice", partial(changed, path="/invoices", id_field="InvoiceID"), ordered=True),
    Poll("product", partial(changed, path="/products", id_field="ProductID"), ordered=True),
    Poll("customer", partial(changed, path="/customers", id_field="CustomerID"), event="CustomerChanged", ordered=True),
    Poll("vendor", partial(changed, path="/vendors", id_field="VendorID"), ordered=True),
    Poll("purchase_order", partial(changed, path="/purchase-orders", id_field="PurchaseOrderID"), ordered=True),
    Poll("inventory", partial(changed, path="/inventory", id_field="SKU", part_field="Warehouse"), ordered=True),
)
"""Orders first, for a shipment or invoice refers to one; products before their stock, vendors before what is bought of them."""
