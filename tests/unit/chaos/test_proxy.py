from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from towpath.chaos.proxy import RESET, Proxy, Weather
from towpath.testing.waiting import until

LINE = b"a line that is said back\n"


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        writer.write(line)
    writer.close()


@asynccontextmanager
async def hop() -> AsyncIterator[tuple[Proxy, Callable[..., Awaitable[bytes]]]]:
    """Give a proxy before a server that says each line back, and what says a line through it and returns the answer."""

    async def say(seconds: float = 20) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        try:
            writer.write(LINE)
            return await asyncio.wait_for(reader.readline(), seconds)
        finally:
            writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server, Proxy(0, server.sockets[0].getsockname()[1]) as proxy:
        yield proxy, say


def served() -> int:
    """Return how many connections proxies serve."""
    return sum("Proxy._serve" in repr(task) for task in asyncio.all_tasks())


async def test_in_fair_weather_all_passes_and_nothing_is_counted() -> None:
    async with hop() as (proxy, say):
        assert LINE == await say()
        assert (1, 0) == (len(proxy.taken), proxy.touched)


async def test_a_delay_is_added_each_way() -> None:
    async with hop() as (proxy, say):
        proxy.weather = Weather(delay=0.1)
        began = asyncio.get_running_loop().time()
        assert LINE == await say()
        assert asyncio.get_running_loop().time() - began >= 0.2
        assert 1 == proxy.touched


async def test_a_slow_link_takes_as_long_as_the_bytes_need() -> None:
    async with hop() as (proxy, say):
        proxy.weather = Weather(rate=len(LINE) / 0.1)
        began = asyncio.get_running_loop().time()
        assert LINE == await say()
        assert asyncio.get_running_loop().time() - began >= 0.2


@pytest.mark.parametrize("carried", [0, len(LINE)])
async def test_a_connection_is_reset_at_once_or_after_what_was_asked_is_answered(carried: int) -> None:
    async with hop() as (proxy, say):
        proxy.weather = Weather(reset_after=carried)
        with pytest.raises(ConnectionResetError):
            await say()
        assert 1 == proxy.touched


async def test_a_black_hole_takes_everything_and_answers_nothing() -> None:
    async with hop() as (proxy, say):
        proxy.weather = Weather(silent=True)
        with pytest.raises(TimeoutError):
            await say(0.5)
        proxy.weather = Weather()
        assert LINE == await say()


async def test_open_connections_are_broken_off() -> None:
    async with hop() as (proxy, say):
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(LINE)
        assert LINE == await reader.readline()
        proxy.break_off()
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()
        assert LINE == await say()


async def test_where_nobody_listens_behind_it_the_connection_is_reset() -> None:
    async with hop() as (proxy, say):
        proxy.upstream = 1
        with pytest.raises(ConnectionResetError):
            await say()


async def test_none_is_served_any_longer_once_it_listens_no_more() -> None:
    async with hop() as (proxy, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(LINE)
        assert LINE == await reader.readline()
        assert 1 == served()
    assert 0 == served()
    writer.close()


async def test_a_client_that_resets_as_the_server_ends_is_no_error() -> None:
    unhandled: list[dict[str, object]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: unhandled.append(context))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.0)
        async with Proxy(0, listening.getsockname()[1]) as proxy:
            client = socket.create_connection(("127.0.0.1", proxy.port))
            server, _ = await loop.sock_accept(listening)
            client.sendall(LINE)
            assert LINE == await loop.sock_recv(server, len(LINE))
            assert 1 == served()
            server.close()
            await asyncio.sleep(0)  # the proxy's next turn reads that end, and passes it on in the one after
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            client.close()

            async def ended() -> bool:
                return served() == 0

            await until(ended, what="the connection is served no longer")
    assert [] == unhandled
