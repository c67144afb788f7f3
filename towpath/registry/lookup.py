"""Schemas by id for a codec, which must never wait in an event loop: one thread asks the registry, and remembers its answers."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as LateError
from typing import Protocol, TypeVar

from towpath.errors import RetryableError

WAIT_SECONDS = 5.0
RETRY_SECONDS = 0.1
AWAY_SECONDS = 1.0
DOUBT_SECONDS = 5.0
UNKNOWN_SECONDS = 60.0
MOST_UNKNOWN = 10_000
MOST_ASKED = 100

T = TypeVar("T")


class NotSoFarError(RetryableError):
    """The registry knows no such schema, which may yet be registered."""


class Asked(Protocol):
    """Who knows schemas by their ids."""

    def text(self, schema_id: int) -> str | None:
        """Return the JSON of a schema, None where there is none; blocks, and raises ConfigError or RetryableError."""
        ...


class SchemaLookup:
    """What a codec asks. In an event loop it answers at once: a schema that must be asked for is a RetryableError until it is there.

    An id that the registry does not know is not asked for again for a minute, and of such ids ten thousand are remembered; one request is
    under way at a time, and none for a second after one that failed. So ids that are forged reach the registry one by one.

    For the first seconds after a start or a failure "unknown" is no answer: whoever writes with a schema registers it as soon as it can, and
    may not have done so yet.
    """

    def __init__(self, connect: Callable[[], Asked], clock: Callable[[], float] = time.monotonic) -> None:
        self._connect, self._clock = connect, clock
        self._client: Asked | None = None
        self._lock = threading.Lock()
        self._queue: queue.Queue[tuple[int, Future[str | None]]] = queue.Queue(MOST_ASKED)
        self._asked: dict[int, Future[str | None]] = {}
        self._texts: dict[int, str] = {}
        self._unknown: OrderedDict[int, float] = OrderedDict()
        self._doubt_until = clock() + DOUBT_SECONDS
        self._away: tuple[float, str] = (0.0, "")
        self._thread: threading.Thread | None = None

    def text(self, schema_id: int) -> str | None:
        """Return the JSON of a schema, None where the registry knows none; RetryableError while that cannot be told."""
        with self._lock:
            if schema_id in self._texts:
                return self._texts[schema_id]
            if self._unknown.get(schema_id, 0.0) > self._clock():
                return None
            future = self._asked.get(schema_id) or self._ask(schema_id)
        if _in_event_loop() and not future.done():
            raise RetryableError(f"schema {schema_id} is being asked for", retry_after=RETRY_SECONDS, system_wide=True)
        try:
            return future.result(WAIT_SECONDS)
        except LateError:
            raise RetryableError(f"schema {schema_id}: no answer within {WAIT_SECONDS:g} s", system_wide=True) from None

    def _ask(self, schema_id: int) -> Future[str | None]:
        until, reason = self._away
        if until > self._clock():
            raise RetryableError(reason, system_wide=True)
        future: Future[str | None] = Future()
        try:
            self._queue.put_nowait((schema_id, future))
        except queue.Full:
            raise RetryableError(f"schema {schema_id}: {MOST_ASKED} others are being asked for", system_wide=True) from None
        self._asked[schema_id] = future
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="schemas", daemon=True)
            self._thread.start()
        return future

    def _work(self) -> None:
        while True:
            schema_id, future = self._queue.get()
            try:
                text, error = self._fetched(schema_id), None
            except Exception as caught:  # noqa: BLE001 - told to whoever asks, as what passes: a record is not to blame for it
                text, error = None, RetryableError(str(caught), system_wide=True)
            with self._lock:
                error = self._settle(schema_id, text, error)
                del self._asked[schema_id]
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(text)

    def _fetched(self, schema_id: int) -> str | None:
        if self._client is None:
            self._client = self._connect()
        return self._client.text(schema_id)

    def _settle(self, schema_id: int, text: str | None, error: RetryableError | None) -> RetryableError | None:
        """Remember an answer; return the error that it is to whoever asked."""
        now = self._clock()
        if error is not None:
            self._away = (now + AWAY_SECONDS, str(error))
            self._doubt_until = now + AWAY_SECONDS + DOUBT_SECONDS
        elif text is not None:
            self._texts[schema_id] = text
        elif now < self._doubt_until:
            return NotSoFarError(f"schema {schema_id} is not registered so far", system_wide=True)
        else:
            self._unknown[schema_id] = now + UNKNOWN_SECONDS
            if len(self._unknown) > MOST_UNKNOWN:
                self._unknown.popitem(last=False)
        return error


def in_time(ask: Callable[[], T]) -> T:
    """Return what is asked for once its schema is known, or known to be none; blocks for some seconds after a start where it is neither."""
    while True:
        try:
            return ask()
        except NotSoFarError:
            time.sleep(RETRY_SECONDS)


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
