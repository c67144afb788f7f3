"""Magento's lists, read in the order of `updated_at`: naive UTC, to the second (vendor-apis.md, section 1.4)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Final

from producers.base import Item, Poll
from producers.paging import Listed, read_page, require_another, require_whole
from towpath.http import ApiClient
from towpath.systems.magento import BASE, search

PAGE_SIZE: Final = 100
"""A list of whole orders; 300 is the most where the shop limits its input."""
OPEN: Final = "new,pending_payment,processing,holded,payment_review"
"""The states of an order of which something is still to be done."""


async def changed(api: ApiClient, since: datetime, *, path: str, id_field: str, only: tuple[str, str, object] | None = None) -> AsyncIterator[Item]:
    """Yield each record that was saved at or after `since`, in the order of `updated_at`; `only` is a filter besides.

    It goes on from the time of the last record it has, that second included, not by the number of the page: what is saved meanwhile moves
    behind where the read stands. Pages are counted only where one holds nothing but records of one second, and never past `total_count`:
    there Magento repeats the last one for ever.
    """
    start, page, seen, announced = since.replace(microsecond=0), 1, set[int | str](), None
    before: list[Listed] = []
    while True:
        query = search(
            ("updated_at", "gteq", naive(start)), *(() if only is None else (only,)), sort="updated_at", pageSize=PAGE_SIZE, currentPage=page
        )
        listed, total = await read_page(api, f"{BASE}/{path}", query, "total_count")
        require_another(f"{api.name}: GET {BASE}/{path}, currentPage {page}", listed, before)
        items = [one.item(one.field(id_field), one.field("updated_at"), since) for one in listed]
        announced = total if announced is None else announced
        for item in items:
            seen.add(item.id)
            yield item
        if not items or page * PAGE_SIZE >= total:
            break
        last = max(item.changed_at for item in items)
        start, page, before = (last, 1, []) if last > start else (start, page + 1, listed)
    require_whole(f"{api.name}: GET {BASE}/{path}", seen, announced)


def naive(moment: datetime) -> str:
    """Return a time as Magento takes it: UTC, without a zone."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


POLLS: Final[Sequence[Poll]] = (
    Poll("customer", partial(changed, path="customers/search", id_field="id"), ordered=True),
    Poll(
        "order",
        partial(changed, path="orders", id_field="entity_id"),
        open=partial(changed, path="orders", id_field="entity_id", only=("state", "in", OPEN)),
        ordered=True,
    ),
    Poll("creditmemo", partial(changed, path="creditmemos", id_field="entity_id"), ordered=True),
)
"""Customers first, for an order refers to one; then orders, for a credit memo refers to one."""
