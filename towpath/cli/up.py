"""`towpath up`: every role on this machine, under one supervisor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from towpath.errors import ConfigError


def up(
    config: Annotated[Path | None, typer.Option(help="The configuration file; TOWPATH_CONFIG or towpath.yaml by default.")] = None,
    roles: Annotated[str, typer.Option(help="Which roles, with commas between; all by default.")] = "",
) -> None:
    """Run every role until SIGTERM or Ctrl-C: what ends is started again, and all end together within 10 seconds."""
    import asyncio
    import sys

    from rich.console import Console

    from towpath.config import config_path, load_config
    from towpath.supervisor import Supervisor

    path = config_path(config)
    settings = load_config(path)
    commands = {role: [sys.executable, "-m", "towpath", "run", role, "--config", str(path)] for role in chosen_roles(roles)}
    console = Console()
    ports = {role: settings.health.port(role) for role in commands}

    async def supervise() -> None:
        await Supervisor(commands, settings.data_dir, tell=lambda line: console.print(line, markup=False, highlight=False), health_ports=ports).run()

    asyncio.run(supervise())


def chosen_roles(listed: str) -> list[str]:
    """Return the roles that `listed` names with commas between, every role for an empty text; ConfigError for a name nobody knows."""
    from towpath.runtime import ROLE_MODULES

    names = [name.strip() for name in listed.split(",") if name.strip()]
    unknown = [name for name in names if name not in ROLE_MODULES]
    if unknown:
        raise ConfigError(f"--roles: no role is called {', '.join(unknown)}; known: {', '.join(ROLE_MODULES)}")
    return list(dict.fromkeys(names)) or list(ROLE_MODULES)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(up)
