"""A registry role in a process of its own, for tests that need one."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import yaml
from confluent_kafka.schema_registry import SchemaRegistryClient

from towpath.broker.ports import HOST
from towpath.testing.waiting import until


@dataclass
class RegistryProcess:
    """The role over a Kafka; it answers at `url` once it was started, and goes on where it was when it is started again."""

    folder: Path
    kafka: str
    port: int
    process: subprocess.Popen[bytes] | None = None
    clients: list[SchemaRegistryClient] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Return the address of its API."""
        return f"http://{HOST}:{self.port}"

    def client(self) -> SchemaRegistryClient:
        """Return confluent-kafka's own client of it, which has cached nothing and tries everything once."""
        self.clients.append(SchemaRegistryClient({"url": self.url, "max.retries": 0, "timeout": 20}))
        return self.clients[-1]

    def leave(self) -> None:
        """Close every client that was given."""
        while self.clients:
            self.clients.pop().close()

    def spawn(self) -> None:
        """Start the process."""
        settings = {"port": self.port}
        content = {"kafka": {"bootstrap_servers": self.kafka}, "data_dir": "data", "health": {"registry": 0}, "schema_registry": settings}
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "towpath.yaml"
        config.write_text(yaml.safe_dump(content), encoding="utf-8")
        with (self.folder / "log").open("ab") as log:
            command = [sys.executable, "-m", "towpath", "run", "registry", "--config", str(config)]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=dict(os.environ))

    async def start(self) -> None:
        """Start the process, and return when it answers."""
        self.spawn()
        await until(self.answers, what="the registry's answer")

    async def answers(self) -> bool:
        """Tell whether it answers; AssertionError with its log where it has ended."""
        assert self.process is not None
        assert self.process.poll() is None, self.log()
        try:
            response = await asyncio.to_thread(httpx2.get, f"{self.url}/subjects")
        except httpx2.TransportError:
            return False
        return response.is_success

    def log(self) -> str:
        """Return what it has logged."""
        return (self.folder / "log").read_text(encoding="utf-8")

    def kill(self) -> None:
        """End it with SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
