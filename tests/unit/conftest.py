"""Databases for the ledger and the index: a SQLite file, and a real PostgreSQL where its programs are on the PATH."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import URL

OTHER_USER = "nobody"  # PostgreSQL refuses to run as root


@pytest.fixture(scope="session")
def postgres() -> Iterator[URL]:
    """Give a PostgreSQL of its own, reached by a socket in its folder."""
    programs = {name: shutil.which(name) for name in ("postgres", "initdb", "pg_ctl")}
    if missing := [name for name, path in programs.items() if path is None]:
        pytest.skip(f"PostgreSQL is not installed here: {', '.join(missing)} not on the PATH")
    user = OTHER_USER if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="towpath-pg-", ignore_cleanup_errors=True) as folder:
        if user is not None:
            shutil.chown(folder, user)

        def run(program: str, *arguments: str) -> None:
            subprocess.run([str(programs[program]), *arguments], check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL)

        data = str(Path(folder) / "data")
        run("initdb", "--pgdata", data, "--username", "towpath", "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync")
        run("pg_ctl", "start", "--wait", "--pgdata", data, "--log", f"{data}/log", "--options", f"-c listen_addresses='' -k {folder} -F")
        try:
            yield URL.create("postgresql+psycopg", username="towpath", database="postgres", query={"host": folder})
        finally:
            run("pg_ctl", "stop", "--wait", "--pgdata", data, "--mode", "immediate")


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> URL:
    """Give the address of an empty database of each kind."""
    if request.param == "sqlite":
        return URL.create("sqlite", database=str(tmp_path / "database" / "towpath.db"))
    server: URL = request.getfixturevalue("postgres")
    name = f"t{uuid.uuid4().hex}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    return server.set(database=name)
