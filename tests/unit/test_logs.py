from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from towpath import logs

CANARY = "canary-7f3a"


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def out() -> io.StringIO:
    stream = io.StringIO()
    logs.configure("sink", stream=stream)
    return stream


def records(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def fail(password: str) -> None:
    raise ValueError(f"no login with password={password}")


def log_canaries() -> None:
    log = structlog.get_logger("towpath.test")
    log.info("call", password=CANARY, headers={"Authorization": f"Bearer {CANARY}", "nested": [{"api_key": CANARY}]})
    log.info(f"https://user:{CANARY}@shop.example answered; token={CANARY}", client_secret=CANARY)  # noqa: G004  # a careless caller is the point
    logging.getLogger("other.library").warning("sent Authorization: Bearer %s", CANARY)
    try:
        fail(CANARY)
    except ValueError:
        log.exception("a call ended")


def test_no_secret_reaches_the_json_log(out: io.StringIO) -> None:
    log_canaries()
    assert len(records(out)) == 4
    assert CANARY not in out.getvalue()


def test_no_secret_reaches_the_console_log() -> None:
    stream = io.StringIO()
    logs.configure("sink", stream=stream, console=True)
    log_canaries()
    assert "a call ended" in stream.getvalue()
    assert CANARY not in stream.getvalue()


def test_role_and_connection_are_bound(out: io.StringIO) -> None:
    logs.bind_connection("shop")
    structlog.get_logger("towpath.test").info("started", port=8100)
    logging.getLogger("other.library").warning("odd")
    first, second = records(out)
    assert (first["role"], first["connection"], first["event"], first["port"], first["level"]) == ("sink", "shop", "started", 8100, "info")
    assert (second["role"], second["connection"], second["event"], second["logger"]) == ("sink", "shop", "odd", "other.library")


@pytest.mark.parametrize("console", [True, False])
def test_line_breaks_in_values_cannot_forge_a_record(console: bool) -> None:  # noqa: FBT001  # a parameter of the test
    stream = io.StringIO()
    logs.configure("sink", stream=stream, console=console)
    structlog.get_logger("towpath.test").info("order", number="1001\n2026-01-01 [info] forged\x1b[2J\u2028", lines=["a\r\nb"])
    assert len(stream.getvalue().splitlines()) == 1
    assert "1001\\n2026-01-01" in stream.getvalue().replace("\\\\", "\\")


def test_configuring_twice_logs_once(out: io.StringIO) -> None:
    logs.configure("sink", stream=out)
    structlog.get_logger("towpath.test").info("once")
    assert len(records(out)) == 1
