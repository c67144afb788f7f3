"""Processes that call BNG with an access token they share. Arguments: how many, the database, the vault's folder and key, and BNG's address.

Their numbers are told in a line. They call until their input ends, and then each tells in a line how many calls were answered, and the errors.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from sqlalchemy.engine import make_url

from towpath.clock import SystemClock
from towpath.config import Connection
from towpath.delivery.tokens import SharedTokens
from towpath.errors import TowpathError
from towpath.metrics import Metrics
from towpath.systems.base import connect
from towpath.vault import KeyPlace, Vault


async def main(database: str, folder: str, key: str, url: str) -> None:
    credentials = {"client_id": "towpath", "client_secret": "towpath-sandbox-secret"}
    connection = Connection.model_validate({"system": "bng", "url": url, "credentials": credentials, "limits": {"probe_seconds": 0.5}})
    tokens = SharedTokens(make_url(database), SystemClock(), Vault(Path(folder), KeyPlace("file", key)))
    client = connect("erp", connection, SystemClock(), Metrics(), None, tokens)
    told, answered, errors = asyncio.create_task(asyncio.to_thread(sys.stdin.read)), 0, list[str]()

    async def call() -> None:
        nonlocal answered
        while not told.done():
            try:
                await client.get("/api/v1/customers", {"externalId": "nobody"})
                answered += 1
            except TowpathError as error:
                errors.append(str(error))
            await asyncio.sleep(0.1)

    await asyncio.gather(*(call() for _ in range(2)))
    await client.close()
    await tokens.close()
    os.write(1, f"{json.dumps([answered, errors])}\n".encode())  # at once, for others write there too


def fork(count: int, *arguments: str) -> None:
    """Become so many processes, which share nothing but what was imported, and wait for their ends."""
    pids = []
    for _ in range(count):
        if (pid := os.fork()) == 0:
            asyncio.run(main(*arguments))
            return
        pids.append(pid)
    os.write(1, f"{json.dumps(pids)}\n".encode())
    for pid in pids:
        os.waitpid(pid, 0)


if __name__ == "__main__":
    fork(int(sys.argv[1]), *sys.argv[2:])
