"""NopCommerce as a source: fetches what a webhook names, and decodes it."""

from __future__ import annotations

from collections.abc import Sequence

from producers.base import Fetch, Poll, Provenance, References
from producers.nopcommerce.decode import decode_customer, decode_order
from producers.nopcommerce.fetch import Fetcher
from producers.nopcommerce.polls import POLLS
from producers.nopcommerce.product import decode_product
from producers.nopcommerce.returned import decode_return
from producers.wire import parse
from towpath.errors import DataError
from towpath.events import Event
from towpath.http import ApiClient
from towpath.systems.nopcommerce import BLANKED, ENTITIES, entity_of


class NopCommerceSource:
    """The official Web API Backend and the plugin's webhooks."""

    blanked: Sequence[str] = BLANKED
    polls: Sequence[Poll] = POLLS

    def __init__(self) -> None:
        self._fetcher = Fetcher()

    def wanted(self, body: bytes) -> Fetch | None:
        """Return what a webhook names, None for entities that no flow can use."""
        named = entity_of(body)
        if named.entity not in ENTITIES:
            return None
        return Fetch(named.entity, named.id, as_of=named.occurred_at if named.entity == "customer" else "")

    async def fetch(self, api: ApiClient, wanted: Fetch, _references: References) -> str | None:
        """Return the entity with all that stands elsewhere; raises DataError for an id that is none."""
        if not str(wanted.id).isdecimal():  # a list may say anything; what a webhook says was checked
            raise DataError(f"{wanted.id} is no id of {wanted.entity}", field="id", value=str(wanted.id))
        if wanted.entity == "order":
            return await self._fetcher.order(api, int(wanted.id))
        if wanted.entity == "return_request":
            return await self._fetcher.return_request(api, int(wanted.id))
        if wanted.entity == "product":
            return await self._fetcher.product(api, int(wanted.id))
        return await self._fetcher.customer(api, int(wanted.id), wanted.as_of)

    def decode(self, entity: str, payload: bytes, provenance: Provenance) -> list[Event]:
        """Return CustomerChanged, ProductChanged, ReturnRequested, or what a bundle tells of an order."""
        bundle = parse(payload)
        if entity == "order":
            return decode_order(bundle, provenance)
        if entity == "customer":
            return [decode_customer(bundle, provenance)]
        if entity == "return_request":
            return [decode_return(bundle, provenance)]
        if entity == "product":
            return [decode_product(bundle, provenance)]
        raise DataError(f"nothing is known of the entity {entity!r}", field="entity", value=entity)


SOURCE = NopCommerceSource()
