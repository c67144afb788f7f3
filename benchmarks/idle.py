"""A Python process that has imported what the roles talk with, and does nothing."""

from __future__ import annotations

import importlib
import sys
import threading

LIBRARIES = (
    "aiohttp.web",
    "confluent_kafka.admin",
    "fastavro",
    "orjson",
    "prometheus_client",
    "pydantic",
    "sqlalchemy",
    "structlog",
    "uvloop",
    "yaml",
)

if __name__ == "__main__":
    for library in LIBRARIES:
        importlib.import_module(library)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    threading.Event().wait()
