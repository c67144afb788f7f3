"""`towpath up`: every role on this machine, under one supervisor."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from towpath.errors import ConfigError

if TYPE_CHECKING:
    from towpath.config import Config


def up(
    config: Annotated[Path | None, typer.Option(help="The configuration file; TOWPATH_CONFIG or towpath.yaml by default.")] = None,
    roles: Annotated[str, typer.Option(help="Which roles, with commas between; all by default.")] = "",
    broker: Annotated[bool, typer.Option("--broker", help="Run an embedded Kafka beside them, in <data_dir>/kafka.")] = False,
) -> None:
    """Run every role until SIGTERM or Ctrl-C: what ends is started again, and all end together within 10 seconds."""
    import asyncio

    from rich.console import Console

    from towpath.config import config_path, load_config
    from towpath.prefork import prefork
    from towpath.runtime.guardian import die_with_parent
    from towpath.runtime.role import ROLE_MODULES
    from towpath.startup import topics_ready
    from towpath.supervisor import Supervisor

    die_with_parent()
    path = config_path(config)
    settings = load_config(path)
    program = [sys.executable, "-m", "towpath"]
    commands = {role: [*program, "run", role, "--config", str(path)] for role in chosen_roles(roles, settings)}
    base = {"broker": broker_command(settings)} if broker else {}
    ports = {role: settings.health.port(role) for role in commands}
    forks = prefork(program, [ROLE_MODULES[role] for role in commands])
    if isinstance(forks, list):
        become(forks)
        return
    console = Console(soft_wrap=True)

    def tell(line: str) -> None:
        console.print(line, markup=False, highlight=False)

    async def supervise() -> None:
        prepare = topics_ready(settings, tell)
        await Supervisor(commands, settings.data_dir, tell=tell, base=base, prepare=prepare, health_ports=ports, prefork=forks).run()

    asyncio.run(supervise())


def become(arguments: list[str]) -> None:
    """Be the process that was started as `towpath` with these arguments."""
    from towpath.cli.main import main

    sys.argv[1:] = arguments
    main()


def broker_command(config: Config) -> list[str]:
    """Return the command line of the embedded broker at the address that the configuration names; it dies with this process."""
    import os

    from towpath.broker import launch

    host, _, port = config.kafka.bootstrap_servers.rpartition(":")
    if host not in ("127.0.0.1", "localhost") or not port.isdecimal():
        raise ConfigError(f"kafka.bootstrap_servers: --broker runs on this machine, not at {config.kafka.bootstrap_servers}; write 127.0.0.1:9092")
    tied = [sys.executable, "-I", launch.__file__, str(os.getpid())]
    return [*tied, sys.executable, "-m", "towpath", "kafka", "start", "--foreground", "--dir", str(config.data_dir / "kafka"), "--port", port]


def chosen_roles(listed: str, config: Config) -> list[str]:
    """Return the roles that `listed` names with commas between; ConfigError for a name nobody knows.

    An empty text names every role, but the registry where another one is configured; at a site, those that call its systems.
    """
    from towpath.runtime.role import REGISTRY, ROLE_MODULES, SITE_ROLES

    names = [name.strip() for name in listed.split(",") if name.strip()]
    unknown = [name for name in names if name not in ROLE_MODULES]
    if unknown:
        raise ConfigError(f"--roles: no role is called {', '.join(unknown)}; known: {', '.join(ROLE_MODULES)}")
    if not names and config.site is not None:
        return list(SITE_ROLES)
    return list(dict.fromkeys(names)) or [name for name in ROLE_MODULES if name != REGISTRY or config.schema_registry.is_own]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(up)
