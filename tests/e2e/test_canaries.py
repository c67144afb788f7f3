"""Secrets of every connection, put where a stranger would look: an ERP that repeats whatever it was sent, refused credentials, changed keys."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import os
import sys
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from towpath.demo.pairs import ERP, SHOP, find_pair
from towpath.demo.play import place
from towpath.demo.stack import ROLES, Stack
from towpath.failpoints import Failpoints
from towpath.hiding import HIDDEN
from towpath.index.asking import told_letters
from towpath.kafka import make_admin
from towpath.runtime.runfile import read_run_file
from towpath.startup import in_daemon
from towpath.testing.reading import read_all
from towpath.testing.waiting import until
from towpath.vault import KeyPlace, Vault

PASSWORD, WRONG, CLIENT_SECRET = "canary/shop+pass 7f3a9c21", "canary-wrong-5d1e88b0", "canary&erp=secret 90be417f"
HOOKS = {name: f"whsec_{base64.b64encode(f'canary-hook-of-the-{name}-{name}'.encode()).decode()}" for name in (SHOP, ERP)}
CREATE = "/api/v1/sales-orders"
OFFSETS = {".index", ".timeindex"}
"""Of Kafka's files, those that hold nothing but offsets and times, ten megabytes of them for each partition."""


class Echo:
    """BNG behind a proxy that answers calls in its own way, repeating all that BNG's owner knows."""

    def __init__(self, target: str) -> None:
        self.target, self.answers, self.tokens = target, deque[int](), set[str]()
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._take)
        self.server = TestServer(app)

    def said(self) -> str:
        return " ; ".join(form for secret in (CLIENT_SECRET, HOOKS[ERP], *self.tokens) for form in forms(secret, cut=0))

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        if token := request.headers.get("Authorization", "").removeprefix("Bearer "):
            self.tokens.add(token)
        if self.answers and (request.method, request.path) == ("POST", CREATE):
            status = self.answers.popleft()
            error = {"error": {"code": self.said(), "message": self.said(), "field": self.said()}}
            headers = {"X-Echo": quote(self.said()), "Retry-After": "0", "WWW-Authenticate": quote(self.said())}
            return web.Response(text=self.said(), headers=headers) if status == 200 else web.json_response(error, status=status, headers=headers)
        headers = {name: value for name, value in request.headers.items() if name not in ("Host", "Content-Length")}
        url, plain = self.target + request.path_qs, ["Content-Type"]
        try:
            async with (
                aiohttp.ClientSession(auto_decompress=False) as session,
                session.request(request.method, url, data=body, headers=headers, skip_auto_headers=plain) as got,
            ):
                kept = {name: got.headers[name] for name in ("Content-Type", "Date", "Retry-After") if name in got.headers}
                return web.Response(status=got.status, body=await got.read(), headers=kept)
        except aiohttp.ClientError:
            return web.Response(status=503)


def forms(secret: str, *, cut: int = 4) -> Iterator[str]:
    """Give a secret as it may be written; in base64 without `cut` digits at either end, in which others may have a part."""
    yield from {secret, quote(secret), quote(secret, safe=""), quote_plus(secret)}
    for before in ("", "a", "ab"):
        encoded = base64.b64encode(f"{before}{secret}".encode()).decode()
        yield encoded[cut if before else 0 : len(encoded) - cut]


@asynccontextmanager
async def guarded(folder: Path) -> AsyncIterator[tuple[Stack, Echo, Vault]]:
    """Run a stack whose secrets are all in a vault, the ERP behind an echo."""
    vault = Vault(folder / "vault", KeyPlace("file", str(folder / "vault.key")))
    pair = find_pair("bng-nopcommerce")
    pair = dataclasses.replace(
        pair,
        secrets={},
        shop_settings={**pair.shop_settings, "password": PASSWORD, "webhook_secret": HOOKS[SHOP]},
        erp_settings={**pair.erp_settings, "client_secret": CLIENT_SECRET, "webhook_secret": HOOKS[ERP]},
        shop_credentials={"username": "api@shop.example", "password": "vault:shop-password"},
        erp_credentials={"client_id": "towpath", "client_secret": "vault:erp-secret"},
    )
    echo = Echo("")
    await echo.server.start_server()

    def changes(content: dict[str, Any]) -> None:
        content["vault"] = {"dir": str(vault.folder), "key": str(vault.place)}
        content["defaults"] = {"dependency_wait_seconds": 1, "park_retry_seconds": 1}
        for name, connection in content["connections"].items():
            connection["webhook_secret"] = f"vault:{name}-hook"
            connection["limits"] |= {"request_timeout_seconds": 3, "settle_seconds": 1}
        content["connections"][ERP]["url"] = str(echo.server.make_url("")).rstrip("/")

    stack = Stack(folder / "stack", pair, changes=changes)
    stack.write()
    echo.target = stack.url(ERP)
    vault.make()
    for name, secret in {"shop-password": PASSWORD, "erp-secret": CLIENT_SECRET, "shop-hook": HOOKS[SHOP], "erp-hook": HOOKS[ERP]}.items():
        vault.set(name, secret, datetime.now(UTC))
    try:
        await stack.start()
        yield stack, echo, vault
    finally:
        await stack.stop()
        await echo.server.close()


async def orders_arrive(stack: Stack, count: int) -> None:
    async def arrived() -> bool:
        async with aiohttp.ClientSession() as session, session.get(f"{stack.url(ERP)}/_sandbox/store/sales_orders") as response:
            return len((await response.json())["items"]) >= count

    await until(arrived, what=f"{count} orders are at the ERP")


async def provoke(stack: Stack, echo: Echo, vault: Vault) -> None:
    """Have everything go wrong that may tell of a secret, and see that orders arrive all the same."""
    await place(stack, orders=1, seed=1)
    await orders_arrive(stack, 1)
    echo.answers.extend([401, 500, 200, 403, 418, 404])  # the last two are no fault of the system: dead letters
    await place(stack, orders=4, seed=2)

    async def two_letters() -> bool:
        return len(await in_daemon(lambda: told_letters(stack.config()))) >= 2

    await until(two_letters, what="two orders are dead letters")
    await orders_arrive(stack, 2)
    vault.set("shop-password", WRONG, datetime.now(UTC))
    async with aiohttp.ClientSession() as session:
        await (await session.post(f"{stack.url(SHOP)}/_sandbox/tokens/expire")).read()
        await (await session.post(f"{stack.url(ERP)}/_sandbox/tokens/expire")).read()
    await place(stack, orders=5, seed=3)

    async def refused() -> bool:
        url, query = f"{stack.url(SHOP)}/_sandbox/journal", {"path": "/api-backend/Authenticate"}
        async with aiohttp.ClientSession() as session, session.get(url, params=query) as response:
            return any(call["status"] == 400 for call in (await response.json())["items"])

    await until(refused, what="the shop refuses the wrong password")
    vault.set("shop-password", PASSWORD, datetime.now(UTC))
    await asyncio.to_thread(vault.rotate, datetime.now(UTC), Failpoints())
    await orders_arrive(stack, 3)


async def told(stack: Stack) -> AsyncIterator[tuple[str, bytes]]:
    """Give all that can be read of a stack, with where it stood: files, records, pages and what commands print."""
    own = ("secrets", "sandbox-")  # what the two systems themselves know
    for file in stack.directory.rglob("*"):
        if file.is_file() and file.suffix not in OFFSETS and not file.relative_to(stack.directory).parts[0].startswith(own):
            yield str(file), file.read_bytes()
    config = stack.config()
    topics = [name for name in make_admin(config.kafka).list_topics(timeout=10).topics if not name.startswith("__")]
    for record in await asyncio.to_thread(read_all, config.kafka, topics):
        yield f"{record.topic}@{record.offset}", b"\n".join([record.key or b"", record.value or b"", *(value for _, value in record.headers)])
    async with aiohttp.ClientSession() as session:
        for role in ROLES:
            running = read_run_file(config.run_dir, role)
            assert running is not None
            for page in ("healthz", "readyz", "metrics"):
                async with session.get(f"http://127.0.0.1:{running.health_port}/{page}") as response:
                    yield f"{role}/{page}", await response.read()
    (letter, *_) = await in_daemon(lambda: told_letters(config))
    commands = [
        "check",
        "status",
        "dlq list --json",
        f"dlq show {letter['dead_letter_id']}",
        "trace 1001",
        "vault list",
    ]
    for command in [*commands, "vault verify", "vault --help"]:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "towpath", *command.split()),
            env={**os.environ, "TOWPATH_CONFIG": str(stack.config_path)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        yield command, (await process.communicate())[0]


async def test_no_secret_is_in_any_log_record_page_file_or_output_whatever_goes_wrong(tmp_path: Path) -> None:
    async with guarded(tmp_path) as (stack, echo, vault):
        await provoke(stack, echo, vault)
        secrets = [PASSWORD, WRONG, CLIENT_SECRET, *HOOKS.values(), *echo.tokens]
        needles = {form.encode(): secret[:12] for secret in secrets for form in forms(secret)}
        found, places, hidden = [], list[str](), list[str]()
        async for place_, content in told(stack):
            places.append(place_)
            hidden += [place_] if HIDDEN.encode() in content else []
            found += [(place_, needles[needle]) for needle in needles if needle in content]
        known_to_the_shop = (stack.directory / f"sandbox-{SHOP}.json").read_bytes()
    assert found == []
    assert len(echo.tokens) >= 2
    assert any(needle in known_to_the_shop for needle in needles), "what looks for secrets can find one"
    assert {"up.log", "towpath.db"} <= {Path(place_).name for place_ in places}
    assert any(place_.startswith(f"dlq.{ERP}@") for place_ in hidden), "what was echoed came as far as the dead letters, without the secrets"
