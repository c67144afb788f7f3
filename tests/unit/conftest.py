"""Databases for the ledger and the index: a SQLite file, and a real PostgreSQL where its programs are on the PATH."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import URL

from towpath.testing.postgres import postgres_server, why_no_postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[URL]:
    """Give the address of a PostgreSQL of this run's own."""
    if reason := why_no_postgres():
        pytest.skip(reason)
    with postgres_server() as address:
        yield address


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> URL:
    """Give the address of a database of each kind in which there is nothing yet.

    In PostgreSQL that is a schema: a database of its own for each test is 10 MB on the disk, slow to make and slow to delete.
    """
    if request.param == "sqlite":
        return URL.create("sqlite", database=str(tmp_path / "database" / "towpath.db"))
    server: URL = request.getfixturevalue("postgres")
    name = f"t{uuid.uuid4().hex}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {name}")
    engine.dispose()
    return server.update_query_dict({"options": f"-csearch_path={name}"})
