"""An operator's commands over a real Kafka, at a shop and an ERP that nobody else has."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from towpath.cli.main import build_app
from towpath.codec import default_codec
from towpath.config import Config, load_config
from towpath.delivery.deadletters import Failure, Registrar, Subject
from towpath.index.indexer import topics_of
from towpath.kafka import KafkaSettings, make_producer
from towpath.records import Output, Record
from towpath.topic_setup import ensure
from towpath.topics import load_topics

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
BINARY = b"\xffnot text"


class Desk:
    """An operator with a configuration of two connections, `shop` and `erp`, whose topics are made."""

    def __init__(self, folder: Path, kafka: KafkaSettings, word: str) -> None:
        self.file, self.shop, self.erp = folder / "towpath.yaml", f"shop-{word}", f"erp-{word}"
        connection = "{system: bng, url: 'http://127.0.0.1:1', credentials: {api_key: 'env:NONE'}}"
        lines = [
            f"kafka: {{bootstrap_servers: '{kafka.bootstrap_servers}'}}",
            "connections:",
            f"  {self.shop}: {connection}",
            f"  {self.erp}: {connection}",
        ]
        self.file.write_text("\n".join(lines), encoding="utf-8")
        self.config: Config = load_config(self.file, resolve=False)
        ensure(kafka, [spec for spec in load_topics().expand(self.config.connections) if spec.name in topics_of(self.config)])
        self.registrar = Registrar(default_codec(), "sink", f"sink.{self.erp}", frozenset(self.config.connections))

    def key(self, number: int) -> str:
        """Return the business key of an order."""
        return f"{self.shop}/order/{number}"

    def subject(self, number: int) -> Subject:
        """Return the order as what a receipt or dead letter of the ERP's sink is about."""
        return Subject(self.erp, self.key(number), operation="create_order", effect_key=self.key(number))

    def failure(self, number: int, *, state: str = "dead", field: str = "SKU", value: bytes = BINARY) -> tuple[str, Output]:
        """Return the dead letter's id and record for a delivery of this order, by default one that is none."""
        delivery = Record(f"deliver.{self.erp}", 0, number, 0.0, self.key(number).encode(), value, [("ce_id", b"e1")])
        failed = Failure("unknown SKU", field=field, state=state)
        return self.registrar.dead_letter(delivery, failed, self.subject(number), NOON + timedelta(minutes=number))

    def send(self, *outputs: Output) -> None:
        """Send the records; return once Kafka has them."""
        producer = make_producer(self.config.kafka)
        for output in outputs:
            producer.produce(output.topic, output.value, output.key, headers=list(output.headers))
        assert producer.flush(30) == 0

    def run(self, *arguments: str, typed: str = "") -> Result:
        """Return what a command printed, and how it ended."""
        return CliRunner().invoke(build_app(), [*arguments, "--config", str(self.file)], input=typed)

    def lines(self, *arguments: str) -> list[dict[str, Any]]:
        """Return what a command told with --json."""
        result = self.run(*arguments, "--json")
        assert result.exit_code == 0, (result.stderr, result.exception)
        return [json.loads(line) for line in result.stdout.splitlines()]
