"""What a broker's folder remembers: its cluster, its ports and the process that serves it."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
from pydantic import BaseModel, ValidationError

from towpath.errors import ConfigError

CLOCK_SLACK = 1.0  # seconds by which two readings of one process's start may differ


class BrokerState(BaseModel):
    """The content of `broker.json`; `pid` and `created` name one process, also after its number was given to another."""

    cluster_id: str
    port: int
    controller_port: int
    pid: int | None = None
    created: float | None = None

    def process(self) -> psutil.Process | None:
        """Return the recorded process while it runs, else None."""
        if self.pid is None or self.created is None:
            return None
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.created) <= CLOCK_SLACK
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None


def read_state(directory: Path) -> BrokerState | None:
    """Return what `directory` remembers, or None where no broker was ever started in it."""
    path = directory / "broker.json"
    try:
        return BrokerState.model_validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValidationError) as error:
        message = f"reading {path}: {error}; mend it, or move the folder away to begin with an empty broker"
        raise ConfigError(message) from error


def write_state(directory: Path, state: BrokerState) -> None:
    """Replace what `directory` remembers, in one step."""
    path = directory / "broker.json"
    temporary = path.with_suffix(f".{os.getpid()}")
    temporary.write_text(state.model_dump_json(indent=2), encoding="utf-8")
    temporary.replace(path)
