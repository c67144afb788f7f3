"""Structured logs on stderr: JSON lines, or a readable form on a terminal; without secrets, one line a record."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from towpath.config.secret import is_secret_name
from towpath.hiding import hide

REDACTED = "[redacted]"
_IN_TEXT = (
    (re.compile(r"(://)[^/\s:@]*:[^/\s@]+(@)"), rf"\1{REDACTED}\2"),
    (re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]{6,}", re.IGNORECASE), rf"\1 {REDACTED}"),
    (re.compile(r"\b([\w-]*(?:password|passwd|secret|token|api[_-]?key)[\"']?\s*[=:]\s*)[\"']?[^\s,;&\"'}]+", re.IGNORECASE), rf"\1{REDACTED}"),
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
_OWN_KEYS = frozenset({"event", "level", "timestamp", "logger"})


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Return the record without the values of secret-looking keys, nor secrets written inside texts; at any depth."""
    return {key: value if key.startswith("_") else _without_secrets(key, value) for key, value in event.items()}


def _without_secrets(key: str, value: object) -> object:
    if key not in _OWN_KEYS and is_secret_name(key):
        return REDACTED
    if isinstance(value, Mapping):
        return {str(inner): _without_secrets(str(inner), item) for inner, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_without_secrets("", item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    text = value if isinstance(value, str) else repr(value)
    for pattern, replacement in _IN_TEXT:
        text = pattern.sub(replacement, text)
    return hide(text)


def one_line(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Return the record with line breaks and other control characters of its values written as escapes."""
    return {key: value if key.startswith("_") or key == "exception" else _escaped(value) for key, value in event.items()}


def _escaped(value: object) -> object:
    if isinstance(value, str):
        return _CONTROL.sub(lambda match: match.group().encode("unicode_escape").decode(), value)
    if isinstance(value, dict):
        return {_escaped(key): _escaped(item) for key, item in value.items()}
    return [_escaped(item) for item in value] if isinstance(value, list) else value


def configure(role: str, *, stream: TextIO | None = None, level: int = logging.INFO, console: bool | None = None) -> None:
    """Send structlog's and the standard library's records to `stream` (stderr) with the role bound; `console` None: when it is a terminal."""
    out = sys.stderr if stream is None else stream
    readable = out.isatty() if console is None else console
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,  # the plain form: rich and dict tracebacks would show local variables
        redact,
        one_line,
    ]
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback) if readable else structlog.processors.JSONRenderer()
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer]
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    logging.captureWarnings(capture=True)
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(role=role)


def bind_connection(connection: str) -> None:
    """Bind `connection` to every record of the current task from here on."""
    structlog.contextvars.bind_contextvars(connection=connection)
