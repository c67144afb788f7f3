"""A PostgreSQL behind something that keeps a connection and passes nothing on: it is given up, and another connection taken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import URL

from towpath.clock import SystemClock
from towpath.delivery import committer
from towpath.delivery.claims import Claim
from towpath.delivery.database import open_engine
from towpath.delivery.ledger import Effect, Ledger
from towpath.errors import RetryableError

LEASE = timedelta(seconds=10)


class Middlebox:
    """Passes on what PostgreSQL is told over TCP; the next that has `lost_at` in it is acknowledged and lost, and all that follows."""

    def __init__(self, folder: str) -> None:
        self.lost_at: bytes | None
        self._writers: list[asyncio.StreamWriter] = []
        self._served: list[Any] = []
        self._socket, self.lost_at = f"{folder}/.s.PGSQL.5432", None

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        yield server.sockets[0].getsockname()[1]
        server.close()
        for writer in self._writers:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in self._writers), return_exceptions=True)
        await asyncio.gather(*self._served, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind, before = await asyncio.open_unix_connection(self._socket)
        self._writers += [writer, before]
        self._served.append(asyncio.current_task())
        lost = asyncio.Event()

        async def pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(65_536):
                if self.lost_at is not None and self.lost_at in data:
                    self.lost_at = None
                    lost.set()
                if not lost.is_set():
                    sink.write(data)
            sink.close()

        await asyncio.gather(pass_on(reader, before), pass_on(behind, writer), return_exceptions=True)


@pytest.mark.parametrize(("lost_at", "fails"), [(b"", False), (b"INSERT INTO effects", True)])
@pytest.mark.parametrize("closes", [False, True], ids=["open", "closes as it is cut"])
async def test_a_postgresql_that_never_answers_fails_what_is_under_way_and_nothing_that_follows(
    postgres: URL, monkeypatch: pytest.MonkeyPatch, lost_at: bytes, *, fails: bool, closes: bool
) -> None:
    monkeypatch.setattr(committer, "STUCK_SECONDS", 2.0)
    number, raises = psycopg.Connection.fileno, [psycopg.OperationalError("the connection is closed")] if closes else []

    def fileno(connection: psycopg.Connection) -> int:
        if raises:
            raise raises.pop()
        return number(connection)

    monkeypatch.setattr(psycopg.Connection, "fileno", fileno)
    middlebox = Middlebox(str(postgres.query["host"]))
    async with middlebox.listening() as port:
        url = postgres.set(host="127.0.0.1", port=port, query={})
        ledger = await asyncio.to_thread(lambda: Ledger(open_engine(url), SystemClock(), "me"))

        async def begin(key: str) -> Claim:
            return await asyncio.wait_for(ledger.begin(Effect("erp", f"{lost_at!r} {closes}", key), digest="", lease=LEASE, settle=LEASE), 20)

        assert (await begin("1")).fresh
        middlebox.lost_at = lost_at
        if fails:
            with pytest.raises(RetryableError) as raised:
                await begin("2")
            assert raised.value.system_wide
        assert (await begin("3")).fresh  # a connection that is found dead before anything was sent is replaced, and nobody hears of it
        await ledger.close()
