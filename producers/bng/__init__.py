"""BNG as a source: its webhooks and lists carry whole entities; what they leave out is looked up."""

from __future__ import annotations

from collections.abc import Sequence

from producers.base import Fetch, Poll, Provenance, References
from producers.bng.decode import decode_customer, decode_invoice, decode_product, decode_shipment, decode_status, decode_stock
from producers.bng.fetch import customer, invoice, named, sales_order, shipment, whole
from producers.bng.polls import POLLS
from producers.wire import joined, member, parse, part, rows, text_of
from towpath.errors import DataError
from towpath.events import Event
from towpath.http import ApiClient
from towpath.systems.bng import BLANKED, entity_of


class BngSource:
    """Products, stock, customers, the status of orders, shipments and invoices."""

    blanked: Sequence[str] = BLANKED
    polls: Sequence[Poll] = POLLS

    def wanted(self, body: bytes) -> Fetch | None:
        """Return what a webhook carries, None for a type that no flow can use."""
        text, named = text_of(body), entity_of(body)
        return None if named is None else Fetch(named.entity, named.id, member(text, "data"))

    async def fetch(self, api: ApiClient, wanted: Fetch, references: References) -> str | None:
        """Return the entity as BNG gave it, with the business key of its order or customer; None for an order that is none of ours."""
        if not wanted.payload:
            text = await named(api, wanted.entity, str(wanted.id))
            if wanted.entity == "inventory":  # the rows of all its warehouses
                return joined(inventory=text)
            wanted = wanted._replace(payload=text)
        if wanted.entity in {"inventory", "product"}:
            return whole(wanted.entity, wanted.payload)
        if wanted.entity == "customer":
            return await customer(wanted.payload, references)
        if wanted.entity == "sales_order":
            return await sales_order(wanted.payload, references)
        if wanted.entity == "shipment":
            return await shipment(api, wanted.payload, references)
        if wanted.entity == "invoice":
            return await invoice(api, wanted.payload, references)
        raise _unknown(wanted.entity)

    def decode(self, entity: str, payload: bytes, provenance: Provenance) -> list[Event]:
        """Return ProductChanged, StockChanged, CustomerChanged, OrderStatusChanged, ShipmentConfirmed or InvoiceIssued."""
        bundle = parse(payload)
        if entity == "inventory":
            several = rows(bundle, "inventory") if isinstance(bundle.get("inventory"), list) else []
            return [decode_stock(row, provenance) for row in several or [part(bundle, "inventory")]]
        if entity == "product":
            return [decode_product(part(bundle, "product"), provenance)]
        if entity == "customer":
            return [decode_customer(bundle, provenance)]
        if entity == "sales_order":
            return [decode_status(bundle, provenance)]
        if entity == "shipment":
            return [decode_shipment(bundle, provenance)]
        if entity == "invoice":
            return [decode_invoice(bundle, provenance)]
        raise _unknown(entity)


def _unknown(entity: str) -> DataError:
    return DataError(f"nothing is known of the entity {entity!r}", field="entity", value=entity)


SOURCE = BngSource()
