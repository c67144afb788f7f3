"""A small BNG over real HTTP: two lists that can be searched and appended to, and faults that a test dials.

Its external ids are not unique, as BNG's are not: whoever writes twice has two records.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

CREATED, REFUSED = 201, 422
Commit = Callable[[], web.Response]
Fault = Callable[[web.Request, Commit], Awaitable[web.StreamResponse | None]]
FIELDS = {"customers": ("ExternalID", "CustomerID", "C"), "sales-orders": ("ExternalOrderID", "SalesOrderID", "SO")}


class FakeBng:
    """Start `server` before use, and close it after."""

    def __init__(self) -> None:
        self.rows: dict[str, list[dict[str, Any]]] = {kind: [] for kind in FIELDS}
        self.refused: set[str] = set()
        """SKUs and e-mail addresses that are refused with 422."""
        self.fault: Fault | None = None
        """Awaited with each create and what commits it; its answer is sent, and where it has none, the usual one."""
        self.listed: Callable[[], None] | None = None
        """Called with each search."""
        self.posts = 0
        app = web.Application()
        app.router.add_get("/api/v1/{kind}", self._list)
        app.router.add_post("/api/v1/{kind}", self._create)
        self.server = TestServer(app)

    def references(self, kind: str) -> list[str]:
        """Return the external id of every record, sorted."""
        return sorted(row[FIELDS[kind][0]] for row in self.rows[kind])

    async def _list(self, request: web.Request) -> web.Response:
        kind, (wanted,) = request.match_info["kind"], request.query.values()
        if self.listed is not None:
            self.listed()
        return web.json_response({"items": [row for row in self.rows[kind] if row[FIELDS[kind][0]] == wanted]})

    async def _create(self, request: web.Request) -> web.StreamResponse:
        document, rows = await request.json(), self.rows[request.match_info["kind"]]
        _, field, prefix = FIELDS[request.match_info["kind"]]
        self.posts += 1

        def commit() -> web.Response:
            rows.append({**document, field: f"{prefix}-{len(rows) + 1}"})
            return web.json_response(rows[-1], status=CREATED)

        if self.fault is not None and (answer := await self.fault(request, commit)) is not None:
            return answer
        for value in [document.get("Email"), *(line["SKU"] for line in document.get("Lines", []))]:
            if value in self.refused:
                return web.json_response({"error": {"code": "invalid", "message": f"{value} is refused", "field": "it"}}, status=REFUSED)
        return commit()
