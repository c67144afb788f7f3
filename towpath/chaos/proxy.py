"""A TCP proxy that makes a hop slow, narrow, broken or silent."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

CHUNK_BYTES = 65_536
RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Weather:
    """How a hop is now.

    `delay` is in seconds, before each piece, each way; `rate` in bytes a second, each way; `reset_after` resets each connection once it carried
    so many bytes, 0 at once; `silent` takes whatever is sent and passes nothing on.
    """

    delay: float = 0.0
    rate: float | None = None
    reset_after: int | None = None
    silent: bool = False


FAIR = Weather()


class Proxy:
    """Listens at `port` of 127.0.0.1 (0: a free one) and passes everything on to `upstream` there, as `weather` lets it."""

    def __init__(self, port: int, upstream: int) -> None:
        self.port, self.upstream = port, upstream
        self.weather = FAIR
        self.taken: list[float] = []
        """When each connection came, by the event loop's clock."""
        self.touched = 0
        """How many connections met other weather than fair."""
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Listen."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Break every connection and listen no more; none is served any longer then."""
        if self._server is not None:
            self._server.close()
        self.break_off()
        await asyncio.gather(*self._serving)
        if self._server is not None:
            await self._server.wait_closed()

    def break_off(self) -> None:
        """Reset every connection that is open."""
        for writer in self._writers:
            _reset(writer)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.taken.append(asyncio.get_running_loop().time())
        pipe, both = _Pipe(self), {writer}
        self._writers.add(writer)
        try:
            if self.weather.reset_after == 0:
                pipe.spoiled()
                _reset(writer)
                return
            onward_reader, onward_writer = await asyncio.open_connection("127.0.0.1", self.upstream)
            both.add(onward_writer)
            self._writers.add(onward_writer)
            if not writer.is_closing():
                await asyncio.gather(pipe.carry(reader, onward_writer, both), pipe.carry(onward_reader, writer, both))
        except OSError:
            _reset(writer)
        finally:
            self._writers -= both
            for one in both:
                one.close()


class _Pipe:
    """One connection, both ways."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy, self._carried, self._spoiled = proxy, 0, False

    def spoiled(self) -> None:
        """Count this connection among those that met a fault, once."""
        self._proxy.touched += not self._spoiled
        self._spoiled = True

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, both: set[asyncio.StreamWriter]) -> None:
        """Pass on what comes until one side ends."""
        with suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                if not await self._pass(data, writer, both):
                    return
            if writer.can_write_eof():
                writer.write_eof()

    async def _pass(self, data: bytes, writer: asyncio.StreamWriter, both: set[asyncio.StreamWriter]) -> bool:
        """Pass a piece on, unless it is lost; False where the connection was reset."""
        weather = self._proxy.weather
        if weather == FAIR:
            writer.write(data)
            await writer.drain()
            return True
        self.spoiled()
        self._carried += len(data)
        if weather.reset_after is not None and self._carried > weather.reset_after:
            for one in both:
                _reset(one)
            return False
        await asyncio.sleep(weather.delay + (len(data) / weather.rate if weather.rate else 0.0))
        if not weather.silent:
            writer.write(data)
            await writer.drain()
        return True


def _reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    if sock is not None:
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()
