"""NopCommerce's lists: orders that were created or are still open, customers that registered, and products that changed.

Official Web API Backend v1.06: vendor-apis.md, section 3.3.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from producers.base import Item, Poll
from producers.paging import Page, read_page, require_whole
from towpath.events import EPOCH
from towpath.http import ApiClient
from towpath.systems.nopcommerce import BASE

PATH: Final = f"{BASE}/Order/Search"
PAGE_SIZE: Final = 250
"""Without a size the shop answers with everything it has."""
OPEN: Final = "10;20"
"""Pending and Processing; there is no filter by the time of a change, so what is not closed is read again."""


async def created(api: ApiClient, since: datetime) -> AsyncIterator[Item]:
    """Yield each order created at or after `since`, in any order.

    The shop lists the newest first: orders that come in meanwhile push the others to later pages, where they are listed once more. Only an
    order that is deleted pulls others to an earlier page, and then fewer are seen than were announced.
    """
    seen, announced = set[int | str](), None
    async for page in _pages(api, since, {}):
        announced = page.total if announced is None else announced
        for item in _items(page, since):
            seen.add(item.id)
            yield item
    require_whole(f"{api.name}: GET {PATH}", seen, announced)


async def still_open(api: ApiClient, since: datetime) -> AsyncIterator[Item]:
    """Yield each order created at or after `since` that is neither complete nor cancelled.

    One that is skipped, because another was closed meanwhile and the pages shifted, counts as closed until the next read: it is looked at
    once too often.
    """
    async for page in _pages(api, since, {"osIds": OPEN}):
        for item in _items(page, since):
            yield item


async def _pages(api: ApiClient, since: datetime, query: Mapping[str, str], path: str = PATH) -> AsyncIterator[Page]:
    """Yield each page; a time in the query is UTC without a zone, as the shop keeps it."""
    moment = since.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
    index, total = 0, 1
    while index * PAGE_SIZE < total:
        page = await read_page(api, path, {"createdFromUtc": moment, **query, "pageIndex": str(index), "pageSize": str(PAGE_SIZE)}, "total_count")
        yield page
        index, total = index + 1, page.total


def _items(page: Page, since: datetime) -> Iterator[Item]:
    for one in page.listed:
        yield one.item(one.field("id"), one.field("created_on_utc"), since)


async def customers(api: ApiClient, since: datetime) -> AsyncIterator[Item]:
    """Yield each customer created at or after `since`; the shop lists no later change of one, which its webhooks alone tell."""
    path, seen, announced = f"{BASE}/Customer/GetAll", set[int | str](), None
    async for page in _pages(api, since, {}, path):
        announced = page.total if announced is None else announced
        for item in _items(page, since):
            seen.add(item.id)
            yield item
    require_whole(f"{api.name}: GET {path}", seen, announced)


async def products(api: ApiClient, since: datetime) -> AsyncIterator[Item]:
    """Yield each product that changed at or after `since`, hidden ones too.

    The shop has no such filter either, so its whole catalogue is read, and only where a flow takes products from it.
    """
    seen, announced, index, total = set[int | str](), None, 0, 1
    while index * PAGE_SIZE < total:
        query = {"showHidden": "true", "pageIndex": str(index), "pageSize": str(PAGE_SIZE)}
        page = await read_page(api, f"{BASE}/Product/GetAll", query, "total_count")
        announced = page.total if announced is None else announced
        for one in page.listed:
            item = one.item(one.field("id"), one.field("updated_on_utc"), EPOCH)
            seen.add(item.id)
            if item.changed_at >= since or item.changed_at == EPOCH:
                yield item
        index, total = index + 1, page.total
    require_whole(f"{api.name}: GET {BASE}/Product/GetAll", seen, announced)


async def returns(api: ApiClient, since: datetime) -> AsyncIterator[Item]:
    """Yield each return request that changed at or after `since`: there is no such filter, so all are read, and only where a flow takes them."""
    seen, announced, index, total = set[int | str](), None, 0, 1
    while index * PAGE_SIZE < total:
        page = await read_page(api, f"{BASE}/ReturnRequest/Search", {"pageIndex": str(index), "pageSize": str(PAGE_SIZE)}, "total_count")
        announced = page.total if announced is None else announced
        for one in page.listed:
            item = one.item(one.field("id"), one.field("updated_on_utc"), EPOCH)
            seen.add(item.id)
            if item.changed_at >= since or item.changed_at == EPOCH:
                yield item
        index, total = index + 1, page.total
    require_whole(f"{api.name}: GET {BASE}/ReturnRequest/Search", seen, announced)


POLLS: Final[Sequence[Poll]] = (
    Poll("order", created, still_open, open=still_open),
    Poll("customer", customers, event="CustomerChanged"),
    Poll("product", products, event="ProductChanged"),
    Poll("return_request", returns, event="ReturnRequested"),
)
