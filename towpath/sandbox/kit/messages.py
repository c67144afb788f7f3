"""A request and an answer without a socket: what the handlers of a system read and return."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Call:
    """One request; `path` is as it was sent, `params` are its placeholders, decoded, `headers` have lower-case names."""

    method: str
    path: str
    params: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 - whatever the other side sent
        """Return the decoded body; raises Refusal(400) where it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise Refusal(400, "invalid_json", f"the body is not JSON: {error}") from error


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back: text stays text, None is an empty body, everything else becomes JSON."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def encoded(self) -> tuple[bytes, str]:
        """Return the bytes of the body and their content type."""
        if self.body is None:
            return b"", "text/plain"
        if isinstance(self.body, str):
            return self.body.encode(), "text/plain"
        return json.dumps(self.body, ensure_ascii=False).encode(), "application/json"


class Refusal(Exception):  # noqa: N818 - not a fault of the sandbox
    """The request is answered with this status; each system words it in its own error body."""

    def __init__(self, status: int, code: str, message: str, *, field: str | None = None, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.field, self.headers = status, code, message, field, headers or {}


Handler = Callable[[Call], Answer]
ControlHandler = Callable[[Call], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A path of a system's API. `write` marks what changes the store; `public` ones need no credentials and meet no faults or limits."""

    method: str
    path: str
    handle: Handler
    write: bool = False
    public: bool = False


@dataclass(frozen=True, slots=True)
class Control:
    """A path below `/_sandbox`: neither journaled nor subject to faults."""

    method: str
    path: str
    handle: ControlHandler
