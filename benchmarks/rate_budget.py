"""How much of BNG's limit is really used by several processes that spend it together, and how often BNG refuses a call.

    python benchmarks/rate_budget.py                        600 calls a minute of 6 seconds, burst 50; a sink and a poller, for 20 seconds
    python benchmarks/rate_budget.py --minute 60 --seconds 60 --database postgresql

Prints one JSON object: `used` is answered calls / `allowed`, which is burst + rate x seconds from the first to the last; `throttled` are BNG's
429 answers, `by_role` what each process got.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy.engine import URL, make_url

from towpath.broker.ports import free_ports
from towpath.clock import SystemClock
from towpath.config import Connection
from towpath.delivery.budget import Priority
from towpath.delivery.budgets import Budgets
from towpath.errors import RetryableError
from towpath.metrics import Metrics
from towpath.systems.base import connect
from towpath.testing.postgres import postgres_server

PER_MINUTE, BURST, KEY = 600, 50, "benchmark-key"
ROLES = {"sink": (Priority.ORDERS, 16), "poller": (Priority.POLLING, 1)}


async def spend(role: str, database: str, url: str, rate_per_minute: int, seconds: float) -> tuple[int, float, float]:
    """Return how many calls of a role were answered, with as many callers as it has, and when it began and ended."""
    priority, callers = ROLES[role]
    limits = {"requests_per_minute": rate_per_minute, "burst": BURST}
    connection = Connection.model_validate({"system": "bng", "url": url, "credentials": {"api_key": KEY}, "limits": limits})
    budgets, answered, began = Budgets(make_url(database), SystemClock()), 0, time.monotonic()
    api = connect("erp", connection, SystemClock(), Metrics(), budgets)

    async def call() -> None:
        nonlocal answered
        while time.monotonic() < began + seconds:
            with contextlib.suppress(RetryableError):
                await api.at(priority).get("/api/v1/customers", {"externalId": "nobody"})
                answered += 1

    await asyncio.gather(*(call() for _ in range(callers)))
    ended = time.monotonic()
    await api.close()
    await budgets.close()
    return answered, began, ended


@contextlib.contextmanager
def bng(folder: Path, minute: float) -> Iterator[str]:
    """Give the address of a sandbox BNG with its real limit, in a minute of so many seconds."""
    (port,) = free_ports(1)
    settings = folder / "bng.json"
    settings.write_text(json.dumps({"api_key": KEY, "requests_per_minute": PER_MINUTE, "burst": BURST, "minute_seconds": minute}))
    command = ["sandbox", "run", "bng", "--port", str(port), "--dir", str(folder / "bng"), "--settings", str(settings)]
    process = subprocess.Popen([sys.executable, "-m", "towpath", *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url, until = f"http://127.0.0.1:{port}", time.monotonic() + 60
        while time.monotonic() < until:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/_sandbox/healthz", timeout=2):  # noqa: S310 - 127.0.0.1
                break
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(10)


def measure(minute: float, seconds: float, database: URL, folder: Path) -> dict[str, object]:
    """Return the figures of one run."""
    rate = PER_MINUTE / minute
    with bng(folder, minute) as url:
        shared = [database.render_as_string(hide_password=False), url, str(round(rate * 60)), str(seconds)]
        spenders = {role: subprocess.Popen([sys.executable, __file__, "--role", role, *shared], stdout=subprocess.PIPE) for role in ROLES}
        told = {role: json.loads(process.communicate()[0]) for role, process in spenders.items()}
        with urllib.request.urlopen(f"{url}/_sandbox/stats", timeout=5) as response:  # noqa: S310 - 127.0.0.1
            statuses = json.load(response)["statuses"]
    by_role = {role: answered for role, (answered, _, _) in told.items()}
    took = max(ended for _, _, ended in told.values()) - min(began for _, began, _ in told.values())
    allowed = BURST + rate * took
    used = round(sum(by_role.values()) / allowed, 3)
    return {"used": used, "throttled": statuses.get("429", 0), "seconds": round(took, 1), "allowed": round(allowed), "by_role": by_role}


def main() -> None:
    """Measure, or be one of the processes that are measured."""
    if sys.argv[1:2] == ["--role"]:
        role, database, url, rate_per_minute, seconds = sys.argv[2:]
        sys.stdout.write(json.dumps(asyncio.run(spend(role, database, url, int(rate_per_minute), float(seconds)))))
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("--minute", type=float, default=6.0, help="seconds that BNG's minute has")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long calls are made")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="towpath-benchmark-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        sqlite = URL.create("sqlite", database=str(folder / "towpath.db"))
        chosen = sqlite if given.database == "sqlite" else stack.enter_context(postgres_server())
        sys.stdout.write(json.dumps(measure(given.minute, given.seconds, chosen, folder)) + "\n")


if __name__ == "__main__":
    main()
