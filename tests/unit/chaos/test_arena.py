"""A Kafka behind a proxy: whoever starts it asks it by the proxy, which has to be served meanwhile."""

from __future__ import annotations

import socket
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.unit.chaos.test_proxy import LINE, hop
from towpath.chaos import arena
from towpath.demo.pairs import find_pair
from towpath.demo.stack import Stack


async def test_a_kafka_that_is_asked_by_its_proxy_as_it_starts_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with hop() as (proxy, _), AsyncExitStack() as ends:
        ended: list[str] = []

        class Asked:
            """A broker that says back what it is told."""

            @classmethod
            def start(cls, directory: Path, port: int, *, die_with_parent: bool, properties: dict[str, str]) -> Asked:
                assert (tmp_path / "data" / "kafka", proxy.upstream, True) == (directory, port, die_with_parent)
                assert f"PLAINTEXT://127.0.0.1:{proxy.port}" == properties["advertised.listeners"]
                with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as asking:
                    asking.sendall(LINE)
                    assert LINE == asking.makefile("rb").readline()
                return cls()

            def kill(self) -> None:
                ended.append("broker")

        monkeypatch.setattr(arena, "Broker", Asked)
        stack = Stack(tmp_path, find_pair("bng-nopcommerce"), ports={"kafka": proxy.upstream})
        await arena._start_broker_behind(stack, proxy, ends)
        await ends.aclose()
        assert ["broker"] == ended
