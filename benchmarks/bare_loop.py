"""The processors' control: confluent-kafka and fastavro in one loop, as somebody would write it by hand for these orders and no others.

Decode, drop what has an event id that was seen (a set in memory: after a crash it would know nothing), make BNG's document, encode the same
Delivery, send it and the event; commit once a second after a flush. No rules, no dead letters, no durable state, no configuration.
Run: `python -m benchmarks.bare_loop <servers> <group> <deliveries only: 0 or 1>`; it works until it is killed.
"""

from __future__ import annotations

import io
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastavro
import orjson
from confluent_kafka import Consumer, Message, Producer

SCHEMAS = Path(__file__).resolve().parent.parent / "schemas"
INPUT, DELIVERIES, PUBLIC = "received.orders", "deliver.erp", "orders"
HEADER_BYTES = 5
STATUSES = {"10": 10, "20": 20, "30": 20, "40": 10}
PAYMENTS = {"10": "Pending", "20": "Authorized", "30": "Paid", "35": "PartiallyRefunded", "40": "Refunded", "50": "Voided"}
CENT = Decimal("0.01")


def document_of(order: dict[str, Any]) -> dict[str, Any]:
    """Return the sales order that BNG is to have."""
    billing, shipping = _address(order["billing_address"]), _address(order["shipping_address"])
    return {
        "ExternalOrderID": f"SHOP-{order['order_number']}",
        "CustomerID": {"$ref": "customer", "key": order["customer_key"]},
        "OrderDate": order["placed_at"].date().isoformat(),
        "OrderStatus": STATUSES[order["status"]],
        "PaymentStatus": PAYMENTS[order["payment_status"]],
        "Currency": order["currency"],
        "Lines": [
            {
                "LineNo": line["line_no"],
                "SKU": line["sku"],
                "Quantity": int(line["quantity"]),
                "UnitPrice": _money(line["unit_price"]),
                "TaxAmount": _money(line["tax_amount"]),
            }
            for line in order["lines"]
        ],
        "ShippingAmount": _money(order["shipping_amount"]),
        "TaxTotal": _money(order["tax_total"]),
        "Total": _money(order["total"]),
        "BillingAddress": billing,
        "ShippingAddress": shipping,
        "Dimensions": {"Channel": order["custom_fields"]["Order Source"], "Country": billing["Country"]},
        "CustomFields": {**order["custom_fields"], "Discount": _money(order["discount_total"])},
    }


def customer_of(order: dict[str, Any]) -> dict[str, Any]:
    """Return the customer that BNG is to have first."""
    return {
        "ExternalID": f"SHOP-{order['customer_id']}",
        "CompanyName": order["customer_company"],
        "FirstName": order["customer_first_name"],
        "LastName": order["customer_last_name"],
        "Email": order["customer_email"],
        "BillingAddress": _address(order["billing_address"]),
        "ShippingAddress": _address(order["shipping_address"]),
    }


def _address(address: dict[str, Any]) -> dict[str, Any]:
    street = ", ".join(address["lines"])
    return {"Street": street, "City": address["city"], "Zip": address["postcode"], "Country": address["country"]}


def _money(amount: Decimal) -> str:
    return str(amount.quantize(CENT))


class Loop:
    """The loop and what it knows."""

    def __init__(self, servers: str, group: str, *, deliveries_only: bool) -> None:
        self._only = deliveries_only
        self._seen: set[str] = set()
        self._order = fastavro.schema.load_schema(str(SCHEMAS / "towpath.OrderPlaced.avsc"))
        self._delivery = fastavro.schema.load_schema(str(SCHEMAS / "towpath.Delivery.avsc"))
        common: dict[str, Any] = {"bootstrap.servers": servers}
        own = {"group.id": group, "enable.auto.commit": False, "auto.offset.reset": "earliest", "session.timeout.ms": 10_000}
        self._consumer = Consumer(common | own)
        queue = {"linger.ms": 5, "compression.type": "lz4", "queue.buffering.max.messages": 500_000}
        self._producer = Producer(common | {"acks": "all", "enable.idempotence": True, "partitioner": "murmur2_random"} | queue)
        self._prefix = b"\0" + delivery_id().to_bytes(4, "big")

    def run(self) -> None:
        """Work until killed."""
        self._consumer.subscribe([INPUT])
        committed_at, uncommitted = time.monotonic(), False
        while True:
            for message in self._consumer.consume(500, 0.1):
                self._take(message)
                uncommitted = True
            self._producer.poll(0)
            if uncommitted and time.monotonic() - committed_at >= 1:
                self._producer.flush()
                self._consumer.commit(asynchronous=False)
                committed_at, uncommitted = time.monotonic(), False

    def _take(self, message: Message) -> None:
        value = message.value()
        if message.error() is not None or not isinstance(value, bytes):
            return
        order: Any = fastavro.schemaless_reader(io.BytesIO(value[HEADER_BYTES:]), self._order, None)
        meta = order["meta"]
        if meta["event_id"] in self._seen:
            return
        self._seen.add(meta["event_id"])
        delivery = {
            "delivery_id": meta["event_id"],
            "flow": "orders",
            "source": "shop",
            "target": "erp",
            "operation": "create_order",
            "effect_key": meta["key"],
            "version": meta["version"],
            "event_type": "OrderPlaced",
            "event_id": meta["event_id"],
            "key": meta["key"],
            "trace_id": meta["trace_id"],
            "occurred_at": meta["occurred_at"],
            "received_at": meta["received_at"],
            "mapping": "by hand",
            "mapping_version": "1",
            "document": orjson.dumps(document_of(order)).decode(),
            "related": {f"customer {order['customer_key']}": orjson.dumps(customer_of(order)).decode()},
            "event": value,
        }
        buffer = io.BytesIO()
        buffer.write(self._prefix)
        fastavro.schemaless_writer(buffer, self._delivery, delivery)
        self._send(DELIVERIES, message.key(), buffer.getvalue())
        if not self._only:
            self._send(PUBLIC, message.key(), value)

    def _send(self, topic: str, key: str | bytes | None, value: bytes) -> None:
        while True:
            try:
                return self._producer.produce(topic, value, key)
            except BufferError:
                self._producer.poll(0.05)


def delivery_id() -> int:
    """Return the id of the Delivery's schema in the wire format, so that its readers know what they read."""
    from towpath.codec import default_codec  # noqa: PLC0415 - nothing else here is Towpath's

    return default_codec().by_name["Delivery"].id


if __name__ == "__main__":
    Loop(sys.argv[1], sys.argv[2], deliveries_only=sys.argv[3] == "1").run()
