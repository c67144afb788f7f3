"""BNG as a source: its webhooks and lists carry whole entities; what they leave out is looked up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from producers.base import Fetch, Poll, Provenance, References
from producers.bng.decode import decode_customer, decode_invoice, decode_product, decode_shipment, decode_status, decode_stock
from producers.bng.fetch import customer, invoice, named, sales_order, shipment, whole
from producers.bng.polls import POLLS
from producers.bng.purchase import decode_purchase_order, decode_vendor
from producers.wire import Json, joined, member, parse, part, rows, text_of
from towpath.errors import DataError
from towpath.events import Event
from towpath.http import ApiClient
from towpath.systems.bng import BLANKED, entity_of

Decode = Callable[[Json, Provenance], Event]
RECORDS: Final[Mapping[str, Decode]] = {
    "inventory": decode_stock,
    "product": decode_product,
    "purchase_order": decode_purchase_order,
    "vendor": decode_vendor,
}
"""What is whole as it comes."""
BUNDLES: Final[Mapping[str, Decode]] = {
    "customer": decode_customer,
    "sales_order": decode_status,
    "shipment": decode_shipment,
    "invoice": decode_invoice,
}
"""What is a customer or about an order, whose business key is looked up first."""


class BngSource:
    """Products, stock, customers, purchases and vendors; the status of orders, shipments and invoices."""

    blanked: Sequence[str] = BLANKED
    polls: Sequence[Poll] = POLLS

    def wanted(self, body: bytes) -> Fetch | None:
        """Return what a webhook carries, None for a type that no flow can use; of a SKU's stock that of one warehouse."""
        text, named = text_of(body), entity_of(body)
        if named is None:
            return None
        data = member(text, "data")
        warehouse = parse(data.encode()).get("Warehouse") if named.entity == "inventory" else ""
        return Fetch(named.entity, named.id, data, part=warehouse if isinstance(warehouse, str) else "")

    async def fetch(self, api: ApiClient, wanted: Fetch, references: References) -> str | None:
        """Return the entity as BNG gave it, with the business key of its order or customer; None for an order that is none of ours."""
        if not wanted.payload:
            text = await named(api, wanted.entity, str(wanted.id))
            if wanted.entity == "inventory":  # the rows of all its warehouses
                return joined(inventory=text)
            wanted = wanted._replace(payload=text)
        if wanted.entity in RECORDS:
            return whole(wanted.entity, wanted.payload)
        if wanted.entity == "customer":
            return await customer(wanted.payload, references)
        if wanted.entity == "sales_order":
            return await sales_order(api, wanted.payload, references)
        if wanted.entity == "shipment":
            return await shipment(api, wanted.payload, references)
        if wanted.entity == "invoice":
            return await invoice(api, wanted.payload, references)
        raise _unknown(wanted.entity)

    def decode(self, entity: str, payload: bytes, provenance: Provenance) -> list[Event]:
        """Return the event of the entity; a SKU's stock is one for each warehouse where all of them were read."""
        bundle = parse(payload)
        if entity == "inventory" and bundle.get(entity) and isinstance(bundle[entity], list):
            return [decode_stock(row, provenance) for row in rows(bundle, entity)]
        if entity in RECORDS:
            return [RECORDS[entity](part(bundle, entity), provenance)]
        if entity in BUNDLES:
            return [BUNDLES[entity](bundle, provenance)]
        raise _unknown(entity)


def _unknown(entity: str) -> DataError:
    return DataError(f"nothing is known of the entity {entity!r}", field="entity", value=entity)


SOURCE = BngSource()
