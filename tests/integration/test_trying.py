from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp.test_utils import TestServer

from towpath.sandbox.kit.server import build
from towpath.sandbox.kit.system import load

SETTINGS: dict[str, dict[str, Any]] = {
    "bng": {"client_secret": "canary-erp-1", "api_key": "canary-key-2"},
    "nopcommerce": {"password": "canary-shop-3"},
}
CONNECTIONS: dict[str, dict[str, Any]] = {
    "erp": {"system": "bng", "credentials": {"client_id": "towpath", "client_secret": "env:ERP_SECRET"}},
    "erp-by-key": {"system": "bng", "credentials": {"api_key": "env:ERP_KEY"}},
    "shop": {"system": "nopcommerce", "credentials": {"username": "api@shop.example", "password": "env:SHOP_PASSWORD"}},
}
RIGHT = {"ERP_SECRET": "canary-erp-1", "ERP_KEY": "canary-key-2", "SHOP_PASSWORD": "canary-shop-3"}


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[dict[str, TestServer]]:
    """Give a BNG and a shop that listen."""
    found = {}
    for name, settings in SETTINGS.items():
        system = load(name)
        own = {"username": "api@shop.example"} if name == "nopcommerce" else {}
        found[name] = TestServer(build(system, tmp_path / name, system.settings.model_validate({**settings, **own})))
        await found[name].start_server()
    yield found
    for server in found.values():
        await server.close()


async def check(folder: Path, known: dict[str, int], **environment: str) -> tuple[int | None, str]:
    """Return the exit code and the output of `towpath check --connect`."""
    urls = {name: f"http://127.0.0.1:{port}" for name, port in known.items()}
    content = {"connections": {name: {**one, "url": urls[one["system"]]} for name, one in CONNECTIONS.items()}}
    (folder / "towpath.yaml").write_text(yaml.safe_dump(content))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "towpath", "check", "--connect", "--config", str(folder / "towpath.yaml")),
        env={**os.environ, "COLUMNS": "240", **RIGHT, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output = (await process.communicate())[0].decode()
    assert "canary" not in output
    assert "Traceback" not in output
    return process.returncode, output


def ports(servers: dict[str, TestServer]) -> dict[str, int]:
    return {name: server.port or 0 for name, server in servers.items()}


def state(output: str, connection: str) -> str:
    return next(line for line in reversed(output.splitlines()) if f" {connection} " in line)


async def test_credentials_that_every_system_accepts_are_said_to_be(tmp_path: Path, servers: dict[str, TestServer]) -> None:
    code, output = await check(tmp_path, ports(servers))
    assert code == 0
    assert ["accepted" in state(output, name) and "not accepted" not in state(output, name) for name in CONNECTIONS] == [True] * 3


@pytest.mark.parametrize(("wrong", "variable"), [("erp", "ERP_SECRET"), ("erp-by-key", "ERP_KEY"), ("shop", "SHOP_PASSWORD")])
async def test_the_connection_whose_credentials_are_refused_is_named_and_its_secret_is_not_shown(
    tmp_path: Path, servers: dict[str, TestServer], wrong: str, variable: str
) -> None:
    code, output = await check(tmp_path, ports(servers), **{variable: "canary-wrong-9"})
    assert code == 1
    assert {name: "not accepted" in state(output, name) for name in CONNECTIONS} == {name: name == wrong for name in CONNECTIONS}
    assert f"env:{variable}" in state(output, wrong)


async def test_a_system_that_does_not_answer_is_told_as_such(tmp_path: Path, servers: dict[str, TestServer]) -> None:
    known = ports(servers)
    await servers["bng"].close()
    code, output = await check(tmp_path, known)
    assert (code, "cannot connect" in output) == (1, True)
