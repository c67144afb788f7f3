"""Brightpearl's searches by the time of a change: what webhooks missed, and contacts, of which none tells."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from producers.base import Item, Poll
from producers.paging import Listed, require_another, require_whole
from towpath.errors import RetryableError
from towpath.http import ApiClient
from towpath.systems.brightpearl import Rows, search

PAGE_SIZE: Final = 500
THROTTLED_TRIES: Final = 100


async def changed(api: ApiClient, since: datetime, *, path: str, id_field: str, at_field: str = "updatedOn") -> AsyncIterator[Item]:
    """Yield each row that changed at or after `since`, by rising ids: a change meanwhile moves no row to another page.

    A period without an offset would be read by the account's clock, so it is told in UTC.
    """
    moment = since.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    first, announced, seen = 1, None, set[int | str]()
    before: list[dict[str, Any]] = []
    while True:
        query = {at_field: f"{moment}/", "firstResult": str(first), "pageSize": str(PAGE_SIZE), "sort": f"{id_field}.ASC"}
        page = await _when_let_through(api, path, query)
        require_another(f"{api.name}: GET {path}, firstResult {first}", page.rows, before)
        announced, before = page.total if announced is None else announced, page.rows
        for row in page.rows:
            item = _listed(row).item(row.get(id_field), row.get(at_field), since)
            seen.add(item.id)
            yield item
        first += len(page.rows)
        if not page.more or not page.rows:
            break
    require_whole(f"{api.name}: GET {path}", seen, announced)


async def notes(api: ApiClient, since: datetime) -> AsyncIterator[Item]:
    """Yield each goods-out note that was made at or after `since`, then each that left: no search tells of any change of one."""
    for at_field in ("createdOn", "shippedOn"):
        async for item in changed(api, since, path="/warehouse-service/goods-note/goods-out-search", id_field="goodsOutNoteId", at_field=at_field):
            yield item


async def _when_let_through(api: ApiClient, path: str, query: dict[str, str]) -> Rows:
    for _ in range(THROTTLED_TRIES):
        try:
            return await search(api, path, query)
        except RetryableError as error:
            if not error.throttled:
                raise
    return await search(api, path, query)


def _listed(row: dict[str, Any]) -> Listed:
    return Listed(row, json.dumps(row, default=str))


POLLS: Final[Sequence[Poll]] = (
    Poll("order", partial(changed, path="/order-service/order-search", id_field="orderId")),
    Poll("goods_out_note", notes),
    Poll("product", partial(changed, path="/product-service/product-search", id_field="productId")),
    Poll("contact", partial(changed, path="/contact-service/contact-search", id_field="contactId")),
)
"""No search tells of stock, nor has it a time of change: a stock webhook that is lost is made good by the product's next."""
