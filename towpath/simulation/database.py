"""The database of the world: SQLite in memory, by the production's own SQL, without what SQLAlchemy does around each statement.

A transaction happens at one moment of the world, so a process that dies leaves none half done: what it had not committed is not there. Only the
way to SQLite is another one; statements are compiled by SQLAlchemy, and the tables are made by the production's migrations.
"""

from __future__ import annotations

import contextlib
import random
import sqlite3
from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import URL
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import OperationalError

from towpath.delivery.database import open_engine
from towpath.migrations.chain import DELIVERY

TABLES: Final = ("effects", "parked")
DIALECT: Final = sqlite.dialect(paramstyle="qmark")


class Result:
    """`sqlalchemy.CursorResult`, as far as it is used."""

    def __init__(self, rows: Sequence[Any], rowcount: int) -> None:
        self._rows, self.rowcount = rows, rowcount

    def __iter__(self) -> Iterator[Any]:
        return iter(self._rows)

    def all(self) -> Sequence[Any]:
        """Return all rows."""
        return self._rows

    def first(self) -> Any:  # noqa: ANN401 - a row
        """Return the first row, None where there is none."""
        return self._rows[0] if self._rows else None

    one_or_none = first

    def one(self) -> Any:  # noqa: ANN401 - a row
        """Return the row."""
        return self._rows[0]

    def scalar(self) -> Any:  # noqa: ANN401 - a value
        """Return the first value of the first row, None where there is none."""
        return self._rows[0][0] if self._rows else None

    scalar_one = scalar


class Connection:
    """`sqlalchemy.Connection`, as far as it is used."""

    dialect = DIALECT

    def __init__(self, raw: sqlite3.Connection) -> None:
        self.raw = raw
        self._known: dict[object, tuple[Any, Callable[..., Any] | None]] = {}

    def execute(self, statement: Any, values: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None) -> Result:  # noqa: ANN401
        """Run a statement of SQLAlchemy Core, once for each mapping of values."""
        key = statement._generate_cache_key()  # noqa: SLF001 - as its engine does
        results = [self._once(statement, key, dict(given)) for given in (values if isinstance(values, Sequence) else [values or {}])]
        return results[0] if len(results) == 1 else Result([row for one in results for row in one.all()], sum(one.rowcount for one in results))

    def _once(self, statement: Any, key: Any, given: dict[str, Any]) -> Result:  # noqa: ANN401 - SQLAlchemy's own
        names = (key.key, *sorted(given))
        if names not in self._known:
            compiled = statement.compile(dialect=DIALECT, column_keys=sorted(given) or None, cache_key=key)
            columns = [column.keyname for column in compiled._result_columns or ()]  # noqa: SLF001
            kind: Any = namedtuple("Row", columns, rename=True) if columns else None  # noqa: PYI024
            self._known[names] = (compiled, kind._make if columns else None)
        compiled, row = self._known[names]
        filled, text, order = compiled.construct_params(given, extracted_parameters=key.bindparams), compiled.string, compiled.positiontup
        if compiled.post_compile_params:  # lists of values
            expanded = compiled._process_parameters_for_postcompile(filled)  # noqa: SLF001
            text, filled, order = expanded.statement, {**filled, **expanded.additional_parameters}, expanded.positiontup
        cursor = self.raw.execute(text, [filled[name] for name in order])
        return Result([row(one) for one in cursor] if row is not None else (), cursor.rowcount)


class Database:
    """`sqlalchemy.Engine`, as far as it is used; `trouble` is how likely a transaction fails before or after it was committed."""

    dialect = DIALECT

    def __init__(self) -> None:
        engine = open_engine(URL.create("sqlite"))
        with engine.begin() as connection:
            DELIVERY.bring_up(connection)
            made = [row[0] for row in connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")]
        engine.dispose()
        self._connection = Connection(sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False))
        for text in made:
            self._connection.raw.execute(text)
        self.trouble, self.chance = 0.0, random.Random()  # noqa: S311

    def empty(self) -> None:
        """Forget every row."""
        for table in TABLES:
            self._connection.raw.execute(f"DELETE FROM {table}")  # noqa: S608 - names of ours
        self.trouble = 0.0

    @contextlib.contextmanager
    def begin(self) -> Iterator[Connection]:
        """Run a transaction."""
        raw = self._connection.raw
        raw.execute("BEGIN IMMEDIATE")
        try:
            yield self._connection
            self._fail()
        except BaseException:
            raw.execute("ROLLBACK")
            raise
        raw.execute("COMMIT")
        self._fail()

    def dispose(self) -> None:
        """Keep the connection: it is that of all processes."""

    def _fail(self) -> None:
        if self.trouble and self.chance.random() < self.trouble:
            raise OperationalError("", {}, sqlite3.OperationalError("the world's database is busy"))
