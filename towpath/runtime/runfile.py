"""What runs on this machine now: one <data_dir>/run/<role>.json for each role."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class RunFile:
    """One running role; `health_port` is None until it is known, `started_at` is ISO 8601 UTC."""

    role: str
    pid: int
    health_port: int | None
    started_at: str

    def write(self, folder: Path) -> None:
        """Write <folder>/<role>.json in one step, so that no reader sees half of it."""
        folder.mkdir(parents=True, exist_ok=True)
        scratch = folder / f".{self.role}.{os.getpid()}.tmp"
        scratch.write_text(json.dumps(asdict(self)) + "\n", encoding="utf-8")
        scratch.replace(folder / f"{self.role}.json")


def read_run_file(folder: Path, role: str) -> RunFile | None:
    """Return what <folder>/<role>.json says, None where there is none; its process may have died since."""
    try:
        return RunFile(**json.loads((folder / f"{role}.json").read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def remove_run_file(folder: Path, role: str, pid: int) -> None:
    """Remove <folder>/<role>.json if it still speaks of process `pid`."""
    current = read_run_file(folder, role)
    if current is not None and current.pid == pid:
        (folder / f"{role}.json").unlink(missing_ok=True)
