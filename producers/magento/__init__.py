"""Magento as a source: an event only names what was saved, for it says every number as a text and has neither lines nor addresses."""

from __future__ import annotations

from collections.abc import Sequence

from producers.base import Fetch, Poll, Provenance, References
from producers.magento.customer import decode_customer
from producers.magento.fetch import read_creditmemo, read_customer, read_order
from producers.magento.order import decode_order
from producers.magento.polls import POLLS
from producers.magento.refund import decode_refund
from producers.wire import parse, part
from towpath.errors import DataError
from towpath.events import Event
from towpath.http import ApiClient
from towpath.systems.magento import BLANKED, entity_of


class MagentoSource:
    """Orders, credit memos and customers, by events and by lists."""

    blanked: Sequence[str] = BLANKED
    polls: Sequence[Poll] = POLLS

    def wanted(self, body: bytes) -> Fetch | None:
        """Return what an event names, None for entities that no flow can use."""
        named = entity_of(body)
        return None if named is None else Fetch(named.entity, named.id)

    async def fetch(self, api: ApiClient, wanted: Fetch, _references: References) -> str | None:
        """Return the entity, an order with its invoices once something is paid, a credit memo with its order; raises DataError for no id."""
        if wanted.entity == "order":
            return await read_order(api, wanted)
        if wanted.entity == "creditmemo":
            return await read_creditmemo(api, wanted)
        if wanted.entity == "customer":
            return await read_customer(api, wanted)
        raise _unknown(wanted.entity)

    def decode(self, entity: str, payload: bytes, provenance: Provenance) -> list[Event]:
        """Return CustomerChanged, RefundIssued, or what a bundle tells of an order."""
        bundle = parse(payload)
        if entity == "order":
            return decode_order(bundle, provenance)
        if entity == "creditmemo":
            return decode_refund(bundle, provenance)
        if entity == "customer":
            return [decode_customer(part(bundle, "customer"), provenance)]
        raise _unknown(entity)


def _unknown(entity: str) -> DataError:
    return DataError(f"nothing is known of the entity {entity!r}", field="entity", value=entity)


SOURCE = MagentoSource()
