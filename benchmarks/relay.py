"""The whole stack's control: one process that takes the shop's webhook, fetches, maps and writes to BNG, with the same calls and nothing between.

No Kafka, no store, no ledger, no retry: an order under way when it ends is lost, one that fails too.
Run: `python -m benchmarks.relay <configuration>`.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from typing import Any

import uvloop
from aiohttp import web

from processors.flow_processor import FlowProcessor
from processors.role import routes
from producers.base import Fetch, Provenance
from producers.nopcommerce import SOURCE
from producers.receiver import doors
from sinks.base import Operation, filled, parse_document, references
from sinks.bng import TARGET
from towpath.clock import SystemClock
from towpath.codec import default_codec
from towpath.config import Config, load_config
from towpath.delivery.deadletters import Registrar
from towpath.demo.pairs import ERP, SHOP
from towpath.metrics import Metrics
from towpath.records import Record
from towpath.systems.base import connect


class Relay:
    """Takes webhooks of the shop."""

    def __init__(self, config: Config) -> None:
        clock, metrics = SystemClock(), Metrics()
        self._door = doors(config)[SHOP]
        self._shop, self._erp = (connect(name, config.connections[name], clock, metrics) for name in (SHOP, ERP))
        registrar = Registrar(default_codec(), "relay", "relay", frozenset(config.connections))
        self._processor = FlowProcessor(routes(config), registrar, clock)
        self._customers: dict[str, asyncio.Task[str]] = {}
        self._orders: dict[int | str, asyncio.Task[None]] = {}

    async def accept(self, request: web.Request) -> web.Response:
        """Answer 204 to an authentic webhook, and go on behind."""
        body = await request.read()
        self._door.verifier.verify(body, request.headers, datetime.now(UTC))
        wanted = SOURCE.wanted(body)
        if wanted is not None and wanted.entity == "order" and wanted.id not in self._orders:
            self._orders[wanted.id] = asyncio.create_task(self._pass_on(wanted))
        return web.Response(status=204)

    async def _pass_on(self, wanted: Fetch) -> None:
        text = await SOURCE.fetch(self._shop, wanted, None)  # type: ignore[arg-type]  # the shop refers to nothing of ours
        event = SOURCE.decode("order", (text or "").encode(), Provenance(SHOP, datetime.now(UTC), 0, f"{1:032x}"))[0]
        record = Record("received.orders", 0, 0, 0.0, event.record_key, default_codec().encode(event.type, event.value))
        outputs = self._processor.process(record, lambda _key: None).outputs
        delivery: Any = next(default_codec().decode(output.value)[1] for output in outputs if output.topic == f"deliver.{ERP}")
        document, ids = parse_document(delivery["document"], "document"), {}
        for reference in references(document):
            name = " ".join(reference)
            customer = parse_document(delivery["related"][name], name)
            if name not in self._customers:
                self._customers[name] = asyncio.create_task(self._make("create_customer", customer))
            ids[reference] = await self._customers[name]
        await self._make("create_order", filled(document, ids))

    async def _make(self, name: str, document: dict[str, Any]) -> str:
        operation, api = TARGET.operations[name], self._erp
        assert isinstance(operation, Operation)  # noqa: S101 - both are
        standing = await operation.find(api, document) or await operation.write(api, document)
        return standing.id


async def serve(config: Config) -> None:
    """Serve until killed."""
    app = web.Application()
    app.router.add_post("/hooks/{connection}", Relay(config).accept)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", config.receiver.port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as here:
        here.run(serve(load_config(sys.argv[1])))
