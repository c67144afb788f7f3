"""The 3PL as a source: its webhooks carry whole shipments; which order they are of, the ledger tells. It has no list to poll."""

from __future__ import annotations

import json
from collections.abc import Sequence

from producers.base import Fetch, Poll, Provenance, References
from producers.threepl.decode import decode_shipment
from producers.wire import joined, member, parse, part, text_of
from towpath.errors import DataError, RetryableError
from towpath.events import Event
from towpath.http import ApiClient
from towpath.systems.threepl import BLANKED, entity_of, id_of


class ThreeplSource:
    """What has left the 3PL's warehouse."""

    blanked: Sequence[str] = BLANKED
    polls: Sequence[Poll] = ()

    def wanted(self, body: bytes) -> Fetch | None:
        """Return what a webhook carries, None for a type that no flow can use."""
        text, named = text_of(body), entity_of(body)
        return None if named is None else Fetch(named.entity, named.id, member(text, "data"))

    async def fetch(self, api: ApiClient, wanted: Fetch, references: References) -> str | None:
        """Return `{"request_key", "id", "shipment"}`; None where the request is none of ours.

        Raises RetryableError for one that has our reference and is not known yet: the answer to it is still to be settled.
        """
        if wanted.entity != "shipment":
            raise _unknown(wanted.entity)
        shipment = parse(wanted.payload.encode())
        request, reference = id_of(shipment, "requestId", "data."), shipment.get("reference")
        key = await references.key_of("request", request)
        if key is None and isinstance(reference, str) and references.is_ours(reference):
            raise RetryableError(f"{api.name}: request {request} has our reference {reference[:60]!a}, and is not known to have been written yet")
        return None if key is None else joined(request_key=json.dumps(key), id=json.dumps(str(wanted.id)), shipment=wanted.payload)

    def decode(self, entity: str, payload: bytes, provenance: Provenance) -> list[Event]:
        """Return ShipmentConfirmed of each parcel."""
        if entity != "shipment":
            raise _unknown(entity)
        bundle = parse(payload)
        return decode_shipment(bundle, part(bundle, "shipment"), provenance)


def _unknown(entity: str) -> DataError:
    return DataError(f"nothing is known of the entity {entity!r}", field="entity", value=entity)


SOURCE = ThreeplSource()
