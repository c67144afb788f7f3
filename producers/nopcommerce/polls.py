"""NopCommerce's lists: orders that were created or are still open, customers that registered, and products that changed.

Official Web API Backend v1.06: vendor-apis.md, section 3.3.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Final

from producers.base import Item, Poll
from producers.paging import Listed, Page, read_page, require_another, require_whole
from towpath.events import EPOCH
from towpath.http import ApiClient
from towpath.systems.nopcommerce import BASE

PATH: Final = f"{BASE}/Order/Search"
PAGE_SIZE: Final = 250
"""Without a size the shop answers with everything it has."""
NO_QUERY: Final[Mapping[str, str]] = {}
OPEN: Final = "10;20"
"""Pending and Processing; there is no filter by the time of a change, so what is not closed is read again."""


async def created(api: ApiClient, since: datetime, *, path: str = PATH) -> AsyncIterator[Item]:
    """Yield each order, or what else `path` lists, created at or after `since`, in any order.

    The shop lists the newest first: orders that come in meanwhile push the others to later pages, where they are listed once more. Only an
    order that is deleted pulls others to an earlier page, and then fewer are seen than were announced.
    """
    seen, announced = set[int | str](), None
    async for page in _pages(api, path, _created_from(since)):
        announced = page.total if announced is None else announced
        for item in _items(page, since):
            seen.add(item.id)
            yield item
    require_whole(f"{api.name}: GET {path}", seen, announced)


async def still_open(api: ApiClient, since: datetime) -> AsyncIterator[Item]:
    """Yield each order created at or after `since` that is neither complete nor cancelled.

    One that is skipped, because another was closed meanwhile and the pages shifted, counts as closed until the next read: it is looked at
    once too often.
    """
    async for page in _pages(api, PATH, {**_created_from(since), "osIds": OPEN}):
        for item in _items(page, since):
            yield item


async def changed(api: ApiClient, since: datetime, *, path: str, query: Mapping[str, str] = NO_QUERY) -> AsyncIterator[Item]:
    """Yield each thing that `path` lists and that changed at or after `since`: there is no such filter, so all of the list is read."""
    seen, announced = set[int | str](), None
    async for page in _pages(api, path, query):
        announced = page.total if announced is None else announced
        for one in page.listed:
            item = one.item(one.field("id"), one.field("updated_on_utc"), EPOCH)
            seen.add(item.id)
            if item.changed_at >= since or item.changed_at == EPOCH:
                yield item
    require_whole(f"{api.name}: GET {path}", seen, announced)


async def _pages(api: ApiClient, path: str, query: Mapping[str, str]) -> AsyncIterator[Page]:
    index, total = 0, 1
    before: list[Listed] = []
    while index * PAGE_SIZE < total:
        page = await read_page(api, path, {**query, "pageIndex": str(index), "pageSize": str(PAGE_SIZE)}, "total_count")
        require_another(f"{api.name}: GET {path}, pageIndex {index}", page.listed, before)
        yield page
        index, total, before = index + 1, page.total, page.listed


def _created_from(since: datetime) -> dict[str, str]:
    """Return the filter by the time of creation, UTC without a zone, as the shop keeps it."""
    return {"createdFromUtc": since.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")}


def _items(page: Page, since: datetime) -> Iterator[Item]:
    for one in page.listed:
        yield one.item(one.field("id"), one.field("created_on_utc"), since)


POLLS: Final[Sequence[Poll]] = (
    Poll("order", created, still_open, open=still_open, part="order"),
    Poll("customer", partial(created, path=f"{BASE}/Customer/GetAll"), event="CustomerChanged"),
    Poll("product", partial(changed, path=f"{BASE}/Product/GetAll", query={"showHidden": "true"}), event="ProductChanged"),
    Poll("return_request", partial(changed, path=f"{BASE}/ReturnRequest/Search"), event="ReturnRequested"),
)
"""Customers are listed by their registration alone, later changes by webhooks; products and return requests are read only where a flow takes them."""
