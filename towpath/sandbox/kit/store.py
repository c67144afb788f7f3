"""The store on disk: JSON documents by kind and key in SQLite; what a transaction wrote survives a kill -9."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal

Doc = dict[str, Any]
Condition = tuple[str, Literal["=", ">=", "<=", "in"], Any]

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS entity (row INTEGER PRIMARY KEY, kind TEXT NOT NULL, key TEXT NOT NULL, doc TEXT NOT NULL, UNIQUE (kind, key));
CREATE INDEX IF NOT EXISTS entity_kind ON entity (kind);
CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""


class Store:
    """Documents in insertion order; `indexes` names the JSON fields of each kind that are searched by."""

    def __init__(self, path: Path, indexes: Mapping[str, Sequence[str]]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute("PRAGMA synchronous=NORMAL")
        self.db.executescript(SCHEMA)
        for kind, names in indexes.items():
            for name in names:
                self.db.execute(f"CREATE INDEX IF NOT EXISTS entity_{kind}_{name} ON entity (kind, {_field(name)}) WHERE kind = '{kind}'")
        self._depth = 0

    def close(self) -> None:
        """Close the file; nothing waits to be written."""
        self.db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit everything written inside when it ends, or nothing of it when it raises; inner ones join the outer."""
        if self._depth:
            yield
            return
        self.db.execute("BEGIN IMMEDIATE")
        self._depth = 1
        try:
            yield
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        else:
            self.db.execute("COMMIT")
        finally:
            self._depth = 0

    def get(self, kind: str, key: str | int) -> Doc | None:
        """Return one document or None."""
        row = self.db.execute("SELECT doc FROM entity WHERE kind = ? AND key = ?", (kind, str(key))).fetchone()
        return None if row is None else json.loads(row[0])

    def put(self, kind: str, key: str | int, doc: Doc) -> None:
        """Write one document; a known key keeps its place in the order."""
        sql = "INSERT INTO entity (kind, key, doc) VALUES (?, ?, ?) ON CONFLICT (kind, key) DO UPDATE SET doc = excluded.doc"
        self.db.execute(sql, (kind, str(key), json.dumps(doc, ensure_ascii=False)))

    def delete(self, kind: str, key: str | int | None = None) -> int:
        """Remove one document, or all of a kind, and return how many there were."""
        return self.db.execute("DELETE FROM entity WHERE kind = ? AND key = coalesce(?, key)", (kind, None if key is None else str(key))).rowcount

    def find(
        self, kind: str, where: Sequence[Condition] = (), *, limit: int = -1, offset: int = 0, newest_first: bool = False, by: str | None = None
    ) -> list[Doc]:
        """Return the matching documents, oldest first unless said otherwise; `by` orders them by that field instead, equal ones oldest first."""
        clause, values = _clause(kind, where)
        order = f"{_field(by)}, row" if by is not None else "row DESC" if newest_first else "row"
        rows = self.db.execute(f"SELECT doc FROM entity {clause} ORDER BY {order} LIMIT ? OFFSET ?", (*values, limit, offset))  # noqa: S608 - names are ours
        return [json.loads(row[0]) for row in rows]

    def count(self, kind: str, where: Sequence[Condition] = ()) -> int:
        """Return how many documents match."""
        clause, values = _clause(kind, where)
        return int(self.db.execute(f"SELECT count(*) FROM entity {clause}", values).fetchone()[0])  # noqa: S608 - the same

    def add(self, name: str, by: int = 1) -> int:
        """Raise a counter and return its new value."""
        sql = "INSERT INTO counter VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value RETURNING value"
        return int(self.db.execute(sql, (name, by)).fetchone()[0])

    def counters(self, prefix: str) -> dict[str, int]:
        """Return the counters whose name starts so, without that prefix."""
        rows = self.db.execute("SELECT name, value FROM counter WHERE name >= ? AND name < ? ORDER BY name", (prefix, prefix + "\U0010ffff"))
        return {name[len(prefix) :]: value for name, value in rows}


def _clause(kind: str, where: Sequence[Condition]) -> tuple[str, list[Any]]:
    parts, values = [f"kind = '{kind}'"], []
    for name, operator, value in where:
        many = list(value) if operator == "in" else [value]
        marks = f"({', '.join('?' * len(many))})" if operator == "in" else "?"
        parts.append(f"{_field(name)} {operator} {marks}")
        values.extend(many)
    return f"WHERE {' AND '.join(parts)}", values


def _field(name: str) -> str:
    return f"json_extract(doc, '$.{name}')"
