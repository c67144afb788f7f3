"""Every API request that arrived, without its secrets, in the order of arrival."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

from towpath.sandbox.kit.messages import Answer, Call
from towpath.sandbox.kit.store import Store

SECRET_HEADERS: Final = frozenset({"authorization", "x-api-key", "cookie", "set-cookie", "proxy-authorization"})
SECRET_FIELDS: Final = frozenset({"password", "client_secret", "access_token", "refresh_token", "token", "api_key", "secret"})
BLANK: Final = "***"

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS journal (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, time TEXT NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL, query TEXT NOT NULL, headers TEXT NOT NULL,
    body TEXT NOT NULL, status INTEGER, outcome INTEGER, answer TEXT NOT NULL, fault TEXT, duration_ms REAL);
CREATE INDEX IF NOT EXISTS journal_path ON journal (path, seq);
"""
JSON_COLUMNS: Final = ("query", "headers", "body", "answer")


class Journal:
    """Rows are written when a request arrives and completed when it is answered, so that a crash in between shows."""

    def __init__(self, store: Store) -> None:
        self._db = store.db
        self._db.executescript(SCHEMA)

    def arrived(self, time: str, call: Call) -> int:
        """Write the request and return its number."""
        headers = {name: value for name, value in call.headers.items() if name not in SECRET_HEADERS}
        query = {name: BLANK if name.lower() in SECRET_FIELDS else value for name, value in call.query.items()}
        body = _readable(call.body)
        sql = "INSERT INTO journal (time, method, path, query, headers, body, answer) VALUES (?, ?, ?, ?, ?, ?, 'null')"
        done = self._db.execute(sql, (time, call.method, call.path, *map(_dump, (query, headers, body))))
        return int(done.lastrowid or 0)

    def answered(self, seq: int, status: int | None, fault: str | None, duration_ms: float, answer: Answer | None) -> None:
        """Complete a row: `status` is what the client saw (None: nothing), `outcome` what the system did."""
        sql = "UPDATE journal SET status = ?, fault = ?, duration_ms = ? WHERE seq = ?"
        self._db.execute(sql, (status, fault, round(duration_ms, 3), seq))
        if answer is not None:
            self.done(seq, answer)

    def done(self, seq: int, answer: Answer) -> None:
        """Note what the system did, also where the client never learns of it."""
        self._db.execute("UPDATE journal SET outcome = ?, answer = ? WHERE seq = ?", (answer.status, _dump(_blank(answer.body)), seq))

    def read(self, *, after: int = 0, limit: int = 1000, path: str = "") -> list[dict[str, Any]]:
        """Return up to `limit` rows after that number whose path starts so."""
        cursor = self._db.execute(
            "SELECT * FROM journal WHERE seq > ? AND (? = '' OR path >= ? AND path < ?) ORDER BY seq LIMIT ?",
            (after, path, path, path + "\U0010ffff", limit),
        )
        names = [column[0] for column in cursor.description]
        return [{n: json.loads(v) if n in JSON_COLUMNS else v for n, v in zip(names, row, strict=True)} for row in cursor]


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _readable(body: bytes) -> object:
    text = body.decode("utf-8", "replace")
    try:
        return _blank(json.loads(text)) if text else None
    except ValueError:
        secret = any(f"{name}=" in text for name in SECRET_FIELDS)
        return _blank(dict(parse_qsl(text))) if secret else text


def _blank(value: object) -> object:
    if isinstance(value, Mapping):
        return {name: BLANK if str(name).lower() in SECRET_FIELDS else _blank(item) for name, item in value.items()}
    return [_blank(item) for item in value] if isinstance(value, list) else value
