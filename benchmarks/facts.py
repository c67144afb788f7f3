"""What a figure depends on besides the code: the machine, and the versions of everything that ran."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from towpath.broker.jars import KAFKA_VERSION

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("aiohttp", "confluent-kafka", "fastavro", "faust-streaming", "rocksdict", "SQLAlchemy", "uvloop", "zen-engine")


def facts() -> dict[str, Any]:
    """Return the facts of this machine and this checkout, and how busy the machine was when it was asked."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _git("rev-parse", "--short", "HEAD"),
        "uncommitted_changes": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "cores": len(os.sched_getaffinity(0)),
        "processor": _processor(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "kafka": f"Apache Kafka {KAFKA_VERSION}, one KRaft node on the same cores, its log on {_file_system(Path('/tmp'))}",  # noqa: S108 - asked about only
        "packages": {name: version(name) for name in PACKAGES},
        "load_before": round(os.getloadavg()[0], 2),
    }


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S607 - git of the machine
    return done.stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor())


def _file_system(folder: Path) -> str:
    """Return the file system that holds a folder, as the longest mount point above it says."""
    mounts = [one for one in psutil.disk_partitions(all=True) if folder.is_relative_to(one.mountpoint)]
    return max(mounts, key=lambda one: len(one.mountpoint)).fstype if mounts else "an unknown file system"
