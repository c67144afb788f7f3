"""Deliveries as they are written: most of one is the same for all of a flow, or stands in the event's head, and so is not encoded anew. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import orjson

from towpath.avro_form import Form, form_of
from towpath.avro_writer import WRONG
from towpath.codec import Codec
from towpath.events import stable_id

if TYPE_CHECKING:
    from processors.mapping import Mapped
    from processors.routing import Arrived, Route

DELIVERY: Final = "Delivery"
GIVEN: Final = ["delivery_id", "operation", "effect_key", "document", "related", "event"]
"""The fields that neither the flow nor the event's head tells, as the schema orders them."""


class Deliveries:
    """Writes the deliveries of one deployment."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._forms: dict[str, Form | None] = {}

    def encode(self, arrived: Arrived, route: Route, mapped: Mapped) -> bytes:
        """Return the delivery of what one flow made of an event, in wire format."""
        meta, head, version = arrived.event.meta, arrived.head, arrived.version
        told_again = () if version is None else (version["major"],)
        delivery_id = stable_id(meta["event_id"], route.name, mapped.operation, *told_again)
        document = orjson.dumps(mapped.document)
        related = {key: orjson.dumps(part) for key, part in mapped.related.items()}
        if head is not None and version is None and (form := self._form(route)) is not None:
            data: Any = arrived.record.value
            parts = [self._codec.by_name[DELIVERY].prefix]
            try:
                form(parts, data, head.places, delivery_id, mapped.operation, mapped.effect_key, document, related, arrived.value)
                return b"".join(parts)
            except WRONG:  # and then the codec tells what is wrong
                pass
        value = {
            "delivery_id": delivery_id,
            **_told(route),
            "operation": mapped.operation,
            "effect_key": mapped.effect_key,
            "version": version or meta["version"],
            "event_id": meta["event_id"],
            "key": meta["key"],
            "trace_id": meta["trace_id"],
            "occurred_at": meta["occurred_at"],
            "received_at": meta["received_at"],
            "event_type": arrived.event.type,
            "document": document.decode(),
            "related": {key: part.decode() for key, part in related.items()},
            "event": arrived.value,
        }
        return self._codec.encode(DELIVERY, value)

    def _form(self, route: Route) -> Form | None:
        """Return what writes a flow's deliveries, None where the schemas are not such that it is certain."""
        if route.name not in self._forms:
            self._forms[route.name] = self._made(route)
        return self._forms[route.name]

    def _made(self, route: Route) -> Form | None:
        head = self._codec.by_name[route.event].parsed["fields"][0]["type"]
        found = form_of(self._codec.by_name[DELIVERY].parsed, {**_told(route), "event_type": route.event}, ("document", "related"), head)
        return found[0] if found is not None and found[1] == GIVEN else None


def _told(route: Route) -> Mapping[str, str]:
    """Return what is the same in all deliveries of a flow."""
    return {
        "flow": route.name,
        "source": route.source,
        "target": route.target,
        "mapping": route.model.name,
        "mapping_version": route.model.version,
    }
