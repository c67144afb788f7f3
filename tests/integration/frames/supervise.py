"""Supervises children in a process of its own: `supervise.py <data_dir> <role>=<behaviour>...`; prints the supervisor's lines.

A role called `broker` is one that the others need. With `--forked` as the first argument, the other roles are forked.
"""

from __future__ import annotations

import asyncio
import runpy
import sys
from pathlib import Path

from towpath.errors import ConfigError
from towpath.prefork import Prefork, prefork
from towpath.supervisor import Backoff, Supervisor

CHILD = str(Path(__file__).with_name("child.py"))


def tell(line: str) -> None:
    """Print the line in one piece, whether buffered or not: the children write to the same pipe."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def supervise(data_dir: Path, behaviours: dict[str, str], forks: Prefork | None) -> None:
    commands = {role: [sys.executable, CHILD, behaviour] for role, behaviour in behaviours.items()}
    base = {role: commands.pop(role) for role in behaviours if role == "broker"}

    async def prepare(_stop: asyncio.Event) -> None:
        tell("prepared")

    await Supervisor(commands, data_dir, tell=tell, base=base, prepare=prepare, backoff=Backoff(first=0.05), grace=1, prefork=forks).run()


def main(data_dir: str, *children: str, forked: bool) -> None:
    forks = prefork([sys.executable, CHILD], ["towpath.runtime.guardian"]) if forked else None
    if isinstance(forks, list):
        sys.argv[1:] = forks
        runpy.run_path(CHILD, run_name="__main__")
        return
    try:
        asyncio.run(supervise(Path(data_dir), dict(child.split("=") for child in children), forks))
    except ConfigError as error:
        tell(f"config: {error}")
        sys.exit(2)


if __name__ == "__main__":
    main(*(word for word in sys.argv[1:] if word != "--forked"), forked="--forked" in sys.argv)
