"""BNG's lists over real HTTP, whose every answer a test can choose."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

NEVER = datetime.max.replace(tzinfo=UTC)
Query = dict[str, str]


class BngLists:
    """Start `server` before use, and close it after."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        """What its clock shows: the `Date` of its answers."""
        self.rows: dict[str, list[Any]] = {"sales-orders": [], "shipments": [], "products": [], "customers": [], "inventory": []}
        """Listed in this order, so a test keeps them in that of UpdatedAt; rows may be anything, and those without a time are always listed."""
        self.answer: Callable[[str, Query], web.Response | None] = lambda _kind, _query: None
        """What is answered instead of the page, where it is not None; called with the list and the query."""
        self.queries: list[tuple[str, Query]] = []
        app = web.Application()
        app.router.add_get("/api/v1/{kind}", self._list)
        self.server = TestServer(app)

    async def _list(self, request: web.Request) -> web.Response:
        kind, query = request.match_info["kind"], dict(request.query)
        self.queries.append((kind, query))
        answer = self.answer(kind, query) or self._page(kind, query)
        answer.headers["Date"] = format_datetime(self.now, usegmt=True)
        return answer

    def _page(self, kind: str, query: Query) -> web.Response:
        since, page, size = datetime.fromisoformat(query["updatedSince"]), int(query["page"]), int(query["pageSize"])
        found = [row for row in self.rows[kind] if changed_at(row) >= since]
        return web.json_response({"items": found[(page - 1) * size : page * size], "page": page, "pageSize": size, "total": len(found)})


def changed_at(row: Any) -> datetime:  # noqa: ANN401 - whatever a test lists
    """Return a row's UpdatedAt, and for one that has none a time after all."""
    try:
        return datetime.fromisoformat(row["UpdatedAt"])
    except (TypeError, ValueError, KeyError):
        return NEVER
