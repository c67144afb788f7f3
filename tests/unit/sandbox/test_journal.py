from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestClient

from towpath.sandbox.kit.journal import Journal
from towpath.sandbox.kit.messages import Answer, Call
from towpath.sandbox.kit.store import Store

Client = TestClient[web.Request, web.Application]
Serve = Callable[..., Awaitable[Client]]
FORM = {"grant_type": "client_credentials", "client_id": "towpath", "client_secret": "towpath-sandbox-secret"}
LOGIN = {"username": "api@shop.example", "password": "towpath-sandbox-password"}


async def test_it_lists_every_request_without_its_secrets(serve: Serve) -> None:
    bng, shop = await serve("bng"), await serve("nopcommerce")
    token = (await (await bng.post("/oauth/token", data=FORM)).json())["access_token"]
    await bng.get("/api/v1/products?page=2", headers={"Authorization": f"Bearer {token}", "Cookie": "a=b"})
    await bng.get("/api/v1/products?api_key=towpath-sandbox-key", headers={"X-API-Key": "towpath-sandbox-key"})
    other = (await (await shop.post("/api-backend/Authenticate/GetToken", json=LOGIN)).json())["token"]
    await shop.get("/api-backend/Order/Search", headers={"Authorization": other})
    text = await (await bng.get("/_sandbox/journal")).text() + await (await shop.get("/_sandbox/journal")).text()
    secrets = (token, other, FORM["client_secret"], LOGIN["password"], "towpath-sandbox-key", "a=b")
    assert [secret for secret in secrets if secret in text] == []
    rows = (await (await bng.get("/_sandbox/journal?path=/api/v1/")).json())["items"]
    assert [(row["seq"], row["method"], row["path"], row["query"]["page"], row["status"]) for row in rows if "page" in row["query"]] == [
        (2, "GET", "/api/v1/products", "2", 200)
    ]


async def test_a_reader_goes_on_where_it_was(serve: Serve) -> None:
    bng = await serve("bng")
    for _ in range(5):
        await bng.get("/api/v1/products")
    first = await (await bng.get("/_sandbox/journal?limit=3")).json()
    second = await (await bng.get(f"/_sandbox/journal?after={first['last']}")).json()
    assert ([row["seq"] for row in first["items"]], [row["seq"] for row in second["items"]]) == ([1, 2, 3], [4, 5])


def test_a_long_journal_is_read_quickly(tmp_path: Path) -> None:
    store = Store(tmp_path / "x.sqlite3", {})
    journal = Journal(store)
    with store.transaction():
        for index in range(100_000):
            call = Call("GET", f"/api/v1/{'orders' if index % 2 else 'stock'}", {}, {}, {}, b"")
            journal.answered(journal.arrived("2026-03-01T12:00:00Z", call), 200, None, 1.0, Answer(200, {}))
    started = time.perf_counter()
    last, some = journal.read(after=99_990), journal.read(after=50_000, limit=10, path="/api/v1/orders")
    assert (len(last), [row["seq"] for row in some][:2]) == (10, [50_002, 50_004])
    assert time.perf_counter() - started < 1
    store.close()


def test_a_body_that_is_a_form_is_blanked_whatever_its_type_says(tmp_path: Path) -> None:
    store = Store(tmp_path / "x.sqlite3", {})
    journal = Journal(store)
    journal.arrived("2026-03-01T12:00:00Z", Call("POST", "/oauth/token", {}, {}, {}, b"client_id=a&client_secret=hush"))
    assert "hush" not in json.dumps(journal.read())
    store.close()
