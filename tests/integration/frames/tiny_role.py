"""Runs one tiny role in the real frame: `tiny_role.py <data_dir> <behaviour>`."""

# ruff: noqa: T201  # the tests read what is printed

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

from towpath.config import Config, Health
from towpath.errors import ConfigError
from towpath.runtime.role import RoleContext, run_role


class TinyRole:
    name = "sink"

    def __init__(self, behaviour: str) -> None:
        self.behaviour = behaviour

    async def run(self, context: RoleContext) -> None:
        if self.behaviour == "misconfigured":
            raise ConfigError("connections.erp.url: must be another one")
        if self.behaviour == "crash":
            raise RuntimeError("a bug")
        if self.behaviour == "return":
            return
        context.health.set_ready("kafka", ok=True)
        print("ready", flush=True)
        if self.behaviour == "stuck":
            time.sleep(3600)  # noqa: ASYNC251  # stands for a C library that never comes back
        await context.stop.wait()
        if self.behaviour == "slow":
            await asyncio.sleep(3600)


if __name__ == "__main__":
    data_dir, behaviour = sys.argv[1:]
    config = Config(data_dir=Path(data_dir), health=Health(sink=int(os.environ.get("TINY_ROLE_PORT", "0"))))
    try:
        sys.exit(run_role("sink", config, lambda _: TinyRole(behaviour)))
    except ConfigError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
