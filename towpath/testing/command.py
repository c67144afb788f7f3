"""A command of `towpath`, run in the test's own process: one of its own spends most of its time on its imports."""

from __future__ import annotations

from subprocess import CompletedProcess

from typer.testing import CliRunner

from towpath.cli.main import build_app
from towpath.errors import ConfigError


def ran(*arguments: str, given: str = "", **environment: str) -> CompletedProcess[str]:
    """Return how a command ended and what it printed, as `main` has it; `given` is what it is typed. Any other error than ConfigError is raised."""
    done = CliRunner().invoke(build_app(), arguments, input=given, env=environment)
    if isinstance(done.exception, ConfigError):
        return CompletedProcess(arguments, 2, done.stdout, f"{done.stderr}towpath: {done.exception}\n")
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)
