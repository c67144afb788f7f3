"""A PostgreSQL for tests: a server of their own in a folder, both gone when the process ends that started it, however it ends."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import psycopg
from sqlalchemy.engine import URL

from towpath.broker.ready import wait_for

PROGRAMS = ("postgres", "initdb")
OTHER_USER = "nobody"  # PostgreSQL refuses to run as root
USER, DATABASE = "towpath", "postgres"
START_SECONDS = 60.0
STOP_SECONDS = 10.0
LIMITS = {"lock_timeout": "60s", "statement_timeout": "120s", "idle_in_transaction_session_timeout": "120s"}  # what blocks fails, with its query

# Runs a server until its own input ends, which it does with the process at the other end of the pipe, also by kill -9. SIGQUIT is PostgreSQL's
# immediate shutdown. The folder is the working directory.
TIED = 'exec 3<&0; "$@" 3<&- & server=$!; (read -r _ <&3; kill -QUIT $server) & wait $server; rm -rf "$PWD"'


def why_no_postgres() -> str | None:
    """Return None where PostgreSQL's programs are on the PATH, else which are not."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"PostgreSQL is not installed here: {', '.join(missing)} not on the PATH" if missing else None


@contextmanager
def postgres_server(*, durable: bool = False) -> Iterator[URL]:
    """Give the address of a server with an empty database, reached by a socket in its folder; both end with the context.

    One that is `durable` waits for the disk, as no test has to.

    Raises AssertionError with the end of its log where it does not answer within a minute.
    """
    user = OTHER_USER if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="towpath-pg-", ignore_cleanup_errors=True) as name, tempfile.TemporaryFile() as log:
        folder = Path(name)
        if user is not None:
            shutil.chown(folder, user)
        command = [str(shutil.which("initdb")), "--pgdata", "data", "--username", USER, "--auth", "trust", "--encoding", "UTF8", "--locale", "C"]
        subprocess.run([*command, "--no-sync"], check=True, user=user, cwd=folder, stdout=log, stderr=log, timeout=START_SECONDS)
        server = _start(folder, user, log, durable=durable)
        try:
            if not wait_for(lambda: _answers(folder), lambda: server.poll() is not None, START_SECONDS):
                log.seek(0)
                raise AssertionError(f"PostgreSQL does not answer: {log.read()[-2000:].decode(errors='replace')}")
            yield URL.create("postgresql+psycopg", username=USER, database=DATABASE, query={"host": name})
        finally:
            _stop(server)


def _start(folder: Path, user: str | None, log: IO[bytes], *, durable: bool) -> subprocess.Popen[bytes]:
    settings = {"listen_addresses": "", "unix_socket_directories": str(folder), "fsync": "on" if durable else "off", **LIMITS}
    command = [str(shutil.which("postgres")), "-D", "data", *(f"--{name}={value}" for name, value in settings.items())]
    tied = ["/bin/sh", "-c", TIED, "sh", *command]
    return subprocess.Popen(tied, user=user, cwd=folder, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True)


def _answers(folder: Path) -> bool:
    try:
        psycopg.connect(host=str(folder), user=USER, dbname=DATABASE, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _stop(server: subprocess.Popen[bytes]) -> None:
    assert server.stdin is not None
    server.stdin.close()
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait(STOP_SECONDS)
