"""The load generator: so many connections, each sending its next request as soon as the answer to the last one is there (a closed loop).

Raw sockets on uvloop and requests that were made beforehand: about 10 us of processor time a request, a fifth of what the leanest server
here needs, which its own figure `client_cpu_share` proves in every run. Run: `python -m benchmarks.http_load <JSON of Load>`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from itertools import count
from typing import cast

import uvloop

from benchmarks.webhooks import requests

GRACE_SECONDS = 30.0
BLANK = b"\r\n\r\n"
NO_ANSWER = 0


@dataclass(frozen=True, slots=True)
class Load:
    """What to send: `run` begins the ids, `different` requests are sent over and over."""

    port: int
    path: str
    secret: str
    run: str
    seconds: float
    connections: int = 64
    different: int = 20_000


@dataclass(slots=True)
class Told:
    """What came back: how often each request was answered with 2xx (by its number), all answers by status (0: none), latencies in seconds."""

    accepted: dict[int, int] = field(default_factory=dict)
    statuses: dict[int, int] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)
    seconds: float = 0.0
    client_cpu_share: float = 0.0


class Caller(asyncio.Protocol):
    """One connection; `ended` is done when it has its last answer, or lost its connection."""

    def __init__(self, work: Work) -> None:
        self._work, self._buffer, self._number, self._began = work, b"", 0, 0.0
        self._transport: asyncio.Transport | None = None
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def _send(self) -> None:
        assert self._transport is not None  # noqa: S101 - connection_made() came first
        self._number = next(self._work.numbers) % len(self._work.requests)
        self._began = time.perf_counter()
        self._transport.write(self._work.requests[self._number])

    def data_received(self, data: bytes) -> None:
        """Take in a part of an answer; after the whole of it send the next request."""
        self._buffer += data
        status = whole_answer(self._buffer)
        if status is None:
            return
        self._buffer = b""
        now = time.perf_counter()
        if self._work.take(self._number, status, now - self._began, now):
            self._send()
        elif not self.ended.done():
            self.ended.set_result(None)

    def connection_lost(self, _error: Exception | None) -> None:
        """Count a request that will have no answer."""
        if not self.ended.done():
            self._work.statuses[NO_ANSWER] += 1
            self.ended.set_result(None)

    def close(self) -> None:
        """End the connection."""
        if self._transport is not None:
            self._transport.close()


class Work:
    """What all connections share."""

    def __init__(self, made: list[bytes], seconds: float) -> None:
        self.requests, self.numbers = made, count()
        self.accepted: Counter[int] = Counter()
        self.statuses: Counter[int] = Counter()
        self.latencies: list[float] = []
        self.until = time.perf_counter() + seconds

    def take(self, number: int, status: int, latency: float, now: float) -> bool:
        """Note an answer; tell whether to go on."""
        self.statuses[status] += 1
        self.latencies.append(latency)
        if 200 <= status < 300:  # noqa: PLR2004 - 2xx
            self.accepted[number] += 1
        return now < self.until


def whole_answer(data: bytes) -> int | None:
    """Return the status of an HTTP/1.1 answer that is all there, None while a part is missing; one without a length has no body."""
    end = data.find(BLANK)
    if end < 0:
        return None
    head = data[:end].lower()
    _, found, rest = head.partition(b"content-length:")
    length = int(rest.split(b"\r\n", 1)[0]) if found else 0
    return int(data[9:12]) if len(data) >= end + len(BLANK) + length else None


async def send(load: Load) -> Told:
    """Return what came of a load; the time that making its requests takes is not counted."""
    made = requests(load.path, load.secret, load.run, load.different)
    loop, work = asyncio.get_running_loop(), Work(made, load.seconds)
    began, used = time.perf_counter(), time.process_time()
    callers = [(await loop.create_connection(lambda: Caller(work), "127.0.0.1", load.port))[1] for _ in range(load.connections)]
    _, late = await asyncio.wait([caller.ended for caller in callers], timeout=load.seconds + GRACE_SECONDS)
    took, cpu = time.perf_counter() - began, time.process_time() - used
    work.statuses[NO_ANSWER] += len(late)
    for caller in callers:
        caller.close()
    return Told(dict(work.accepted), {status: times for status, times in work.statuses.items() if times}, work.latencies, took, cpu / took)


def told_of(text: str) -> Told:
    """Return what the process printed."""
    plain = json.loads(text)
    numbered = {name: {int(key): times for key, times in plain[name].items()} for name in ("accepted", "statuses")}
    return Told(**{**plain, **numbered})


def main() -> None:
    """Send a load and print what came of it."""
    load = Load(**json.loads(sys.argv[1]))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.stdout.write(json.dumps(asdict(runner.run(send(load)))))


if __name__ == "__main__":
    main()
