"""Brightpearl as a source: its webhooks carry ids only, maybe many, and its searches tell what they missed; all of it is fetched."""

from __future__ import annotations

import json
from collections.abc import Sequence

from producers.base import Fetch, Poll, Provenance, References
from producers.brightpearl.decode import decode_contact, decode_product, decode_status, decode_stock
from producers.brightpearl.fetch import Fetcher
from producers.brightpearl.note import decode_note
from producers.brightpearl.polls import POLLS
from producers.brightpearl.purchase import decode_purchase_order
from producers.brightpearl.refund import decode_refund
from producers.wire import parse
from towpath.errors import DataError
from towpath.events import Event
from towpath.http import ApiClient
from towpath.systems.brightpearl import BLANKED, entity_of


class BrightpearlSource:
    """Stock by warehouse, goods-out notes, the status of orders, purchase orders, products and contacts."""

    blanked: Sequence[str] = BLANKED
    polls: Sequence[Poll] = POLLS

    def __init__(self) -> None:
        self._fetcher = Fetcher()

    def wanted(self, body: bytes) -> Fetch | list[Fetch] | None:
        """Return what a webhook names: of a set of ids, each with the webhook that would name it alone."""
        named = entity_of(body)
        if named is None:
            return None
        if len(named.ids) == 1:
            return Fetch(named.entity, named.ids[0], as_of=named.raised_on)
        content = json.loads(body)
        return [Fetch(named.entity, one, json.dumps({**content, "id": str(one)})) for one in named.ids]

    async def fetch(self, api: ApiClient, wanted: Fetch, references: References) -> str | None:
        """Return the entity with all that decoding it needs; None for what concerns no flow, such as a transfer between warehouses."""
        if not str(wanted.id).isdecimal():  # a list may say anything; what a webhook says was checked
            raise DataError(f"{wanted.id} is no id of {wanted.entity}", field="id", value=str(wanted.id))
        fetch = {
            "stock": self._fetcher.stock,
            "product": self._fetcher.product,
            "contact": self._fetcher.contact,
            "order": self._fetcher.order,
            "goods_out_note": self._fetcher.note,
            "goods_in_note": self._fetcher.arrival,
        }.get(wanted.entity)
        if fetch is None:
            raise _unknown(wanted.entity)
        return await fetch(api, wanted, references)

    def decode(self, entity: str, payload: bytes, provenance: Provenance) -> list[Event]:
        """Return StockChanged of each warehouse, or what else the entity tells: a goods-in note tells of its purchase order."""
        bundle = parse(payload)
        if entity == "stock":
            return decode_stock(bundle, provenance)
        if entity == "goods_in_note" or (entity == "order" and "purchase_order" in bundle):
            return [decode_purchase_order(bundle, provenance)]
        if entity == "order" and "credit" in bundle:
            return decode_refund(bundle, provenance)
        decode = {"product": decode_product, "contact": decode_contact, "order": decode_status, "goods_out_note": decode_note}.get(entity)
        if decode is None:
            raise _unknown(entity)
        return [decode(bundle, provenance)]


def _unknown(entity: str) -> DataError:
    return DataError(f"nothing is known of the entity {entity!r}", field="entity", value=entity)


SOURCE = BrightpearlSource()
