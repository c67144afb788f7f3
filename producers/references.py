"""What Towpath wrote to a connection, as its source needs it: from the ledger, and from the prefixes that flows give their references."""

from __future__ import annotations

from typing import Final

from towpath.config import Config
from towpath.delivery.ledger import Ledger
from towpath.events import REFERRING, business_key

NAMING: Final = frozenset({"OrderPlaced", "CustomerChanged"})
"""Events whose flows write customers with references of ours."""


class LedgerReferences:
    """The references of one connection."""

    def __init__(self, config: Config, connection: str, ledger: Ledger) -> None:
        self._connection, self._ledger = connection, ledger
        asking = [flow for flow in config.flows_to(connection).values() if flow.event in REFERRING]
        self._prefixes = tuple(flow.reference_prefix for flow in asking)
        naming = [flow for flow in config.flows_to(connection).values() if flow.event in NAMING and flow.reference_prefix]
        self._shops = {flow.reference_prefix: flow.source for flow in sorted(naming, key=lambda flow: len(flow.reference_prefix))}

    async def key_of(self, entity: str, external_id: str) -> str | None:
        """Return the business key of what was written under that id: the operation that makes an entity is called `create_<entity>`."""
        return await self._ledger.key_of(self._connection, f"create_{entity}", external_id)

    def customer_of(self, reference: str) -> str | None:
        """Return the business key of the customer whose reference is a flow's prefix and its id at that flow's source; the longest prefix wins."""
        found = [(prefix, shop) for prefix, shop in self._shops.items() if reference.startswith(prefix) and reference != prefix]
        return business_key(found[-1][1], "customer", reference.removeprefix(found[-1][0])) if found else None

    def is_ours(self, order_reference: str) -> bool:
        """Tell whether a flow that places orders or asks for shipments here gives references that begin so; an empty prefix begins every one."""
        return order_reference.startswith(self._prefixes)
