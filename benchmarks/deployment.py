"""A deployment of Towpath for a benchmark: the embedded Kafka with its topics, a configuration, and roles as processes of their own."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import yaml

from benchmarks.processes import Measured, wait_until
from towpath.broker import Broker
from towpath.broker.ports import free_ports
from towpath.config import Config, load_config
from towpath.demo.pairs import ERP, SHOP, find_pair
from towpath.runtime.runfile import read_run_file
from towpath.topic_setup import ensure
from towpath.topics import load_topics

READY_SECONDS = 300.0
PAIR = find_pair("bng-nopcommerce")


class Deployment:
    """Kafka and the folder that all of it lives in."""

    def __init__(self, folder: Path, broker: Broker) -> None:
        self.folder, self.broker = folder, broker
        self.servers = broker.bootstrap_servers
        self.broker_process = psutil.Process(broker.pid)

    def configure(self, name: str, content: Mapping[str, Any]) -> Path:
        """Write a configuration with a data folder of its own, and return its path."""
        folder = self.folder / name
        (folder / "secrets").mkdir(parents=True)
        for secret, value in PAIR.secrets.items():
            (folder / "secrets" / secret).write_text(value, encoding="utf-8")
        path = folder / "towpath.yaml"
        own = {"kafka": {"bootstrap_servers": self.servers}, "data_dir": "data", "health": dict.fromkeys(("receiver", "processor", "sink"), 0)}
        path.write_text(yaml.safe_dump({**content, **own}), encoding="utf-8")
        return path

    def create_topics(self, config: Config) -> None:
        """Create the declared topics that are missing."""
        ensure(config.kafka, load_topics().expand(config.connections, config.receiver.max_body_bytes))

    def start(self, role: str, path: Path, module: str = "towpath", **environment: str) -> Measured:
        """Start `towpath run <role>` with this configuration."""
        return Measured(path.parent / f"{role}.log", module, "run", role, "--config", str(path), environment=environment)


@contextmanager
def deployment(folder: Path, **properties: str) -> Iterator[Deployment]:
    """Run an embedded Kafka in `folder` while entered; `properties` are Kafka's own, with `_` for `.`."""
    dotted = {name.replace("_", "."): value for name, value in properties.items()}
    broker = Broker.start(folder / "kafka", die_with_parent=True, properties=dotted)
    try:
        yield Deployment(folder, broker)
    finally:
        broker.stop()


def wait_ready(process: Measured, path: Path, role: str) -> None:
    """Return once the role says that it is ready; raises RuntimeError where it ended."""
    folder = load_config(path).run_dir

    def is_ready() -> bool:
        process.require_running()
        found = read_run_file(folder, role)
        if found is None or found.pid != process.pid or found.health_port is None:
            return False
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{found.health_port}/readyz", timeout=2) as response:
                return bool(response.status == 200)  # noqa: PLR2004 - OK
        except (urllib.error.URLError, OSError):
            return False

    wait_until(is_ready, f"{role} to be ready", READY_SECONDS)


def shop() -> dict[str, Any]:
    """Return the connection of a NopCommerce shop that sends webhooks, and answers nothing."""
    return {**_nowhere(PAIR.shop, PAIR.shop_credentials), "webhook_secret": "file:secrets/shop-webhook"}


def orders_to_bng(engine: str) -> dict[str, Any]:
    """Return the configuration of one flow: orders of a NopCommerce shop, mapped for BNG."""
    erp = _nowhere(PAIR.erp, PAIR.erp_credentials)
    return {"engine": engine, "connections": {SHOP: shop(), ERP: erp}, "flows": {"orders": dict(PAIR.flows["shop-orders-to-erp"])}}


def _nowhere(system: str, credentials: Mapping[str, str]) -> dict[str, Any]:
    return {"system": system, "url": f"http://127.0.0.1:{free_ports(1)[0]}", "credentials": dict(credentials), "poll_seconds": None}
