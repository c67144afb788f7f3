"""Supervises children in a process of its own: `supervise.py <data_dir> <role>=<behaviour>...`; prints the supervisor's lines.

A role called `broker` is one that the others need.
"""

# ruff: noqa: T201  # the tests read what is printed

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from towpath.errors import ConfigError
from towpath.supervisor import Backoff, Supervisor

CHILD = Path(__file__).with_name("child.py")


async def supervise(data_dir: Path, behaviours: dict[str, str]) -> None:
    commands = {role: [sys.executable, str(CHILD), behaviour] for role, behaviour in behaviours.items()}
    base = {role: commands.pop(role) for role in behaviours if role == "broker"}

    def tell(line: str) -> None:
        print(line, flush=True)

    async def prepare(_stop: asyncio.Event) -> None:
        tell("prepared")

    await Supervisor(commands, data_dir, tell=tell, base=base, prepare=prepare, backoff=Backoff(first=0.05), grace=1).run()


if __name__ == "__main__":
    try:
        asyncio.run(supervise(Path(sys.argv[1]), dict(argument.split("=") for argument in sys.argv[2:])))
    except ConfigError as error:
        print(f"config: {error}", flush=True)
        sys.exit(2)
