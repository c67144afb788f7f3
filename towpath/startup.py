"""What must be there before the roles start: a Kafka that answers, with the declared topics."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

from towpath.config import Config
from towpath.delivery.deadletters import RECEIPTS
from towpath.errors import RetryableError
from towpath.topic_setup import ensure, retain
from towpath.topics import MILLISECONDS, load_topics

RETRY_SECONDS = 1.0
DAY = MILLISECONDS["d"]

T = TypeVar("T")


def topics_ready(config: Config, tell: Callable[[str], None]) -> Callable[[asyncio.Event], Awaitable[None]]:
    """Return a step that creates the missing topics, however long Kafka takes to answer; it gives up when the event it is given is set."""
    specs = load_topics().expand(config.connections, config.receiver.max_body_bytes)

    def prepare() -> list[str]:
        created = ensure(config.kafka, specs)
        retain(config.kafka, RECEIPTS, config.retention.receipts_days * DAY)
        return created

    async def ready(stop: asyncio.Event) -> None:
        told = False
        while not stop.is_set():
            work = in_daemon(prepare)
            stopping = asyncio.create_task(stop.wait())
            both: set[asyncio.Future[Any]] = {work, stopping}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            if not work.done():
                return
            try:
                created = work.result()
            except RetryableError as error:
                if not told:
                    tell(f"waiting for Kafka: {error}")
                told = True
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), RETRY_SECONDS)
            else:
                if created:
                    tell(f"topics created: {len(created)}")
                return

    return ready


def in_daemon(call: Callable[[], T]) -> asyncio.Future[T]:
    """Return the future result of `call`, made in a thread that does not hold up the end of the process (those of asyncio do)."""
    loop = asyncio.get_running_loop()
    result: asyncio.Future[T] = loop.create_future()

    def settle(outcome: T | None, error: BaseException | None) -> None:
        if result.done():
            return
        if error is not None:
            result.set_exception(error)
        else:
            result.set_result(outcome)  # type: ignore[arg-type]  # None only where an error is set

    def work() -> None:
        outcome: T | None = None
        error: BaseException | None = None
        try:
            outcome = call()
        except StopIteration as caught:  # which no future takes: whoever awaits would wait for ever
            error = RuntimeError(f"StopIteration in a thread: {caught}")
        except BaseException as caught:  # noqa: BLE001  # handed to whoever awaits
            error = caught
        with suppress(RuntimeError):  # the loop has been closed meanwhile
            loop.call_soon_threadsafe(settle, outcome, error)

    threading.Thread(target=work, name="startup", daemon=True).start()
    return result
