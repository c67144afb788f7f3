"""What every event of Brightpearl's is made with: its meta, its seal, and quantities."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from producers.base import Provenance
from producers.wire import Json, decimal_of
from towpath.errors import DataError
from towpath.events import Event, Meta, micros, seal, stable_id


def meta_of(provenance: Provenance, entity: str, natural_id: object, at: datetime) -> Meta:
    """Return the meta of an event whose version is a time of the source's."""
    return provenance.meta(entity, natural_id, at, {"major": micros(at), "minor": provenance.inbox_offset})


def of_order(bundle: Json, meta: Meta) -> Meta:
    """Return the meta with the business key of the record's order; raises DataError where there is none."""
    key = bundle.get("order_key")
    if not isinstance(key, str) or not key:
        raise DataError("the record has no business key of its order", field="order_key", value=str(key))
    return {**meta, "key": key}


def sealed(kind: str, value: Mapping[str, Any]) -> Event:
    """Return the event with an id of its source's own time and content: a state that returns later is another fact."""
    event = seal(Event(kind, value))
    meta = event.meta
    meta["event_id"] = stable_id(meta["connection"], event.identity, kind, meta["version"]["major"], meta["digest"])
    return event


def quantity_of(record: Json, field: str, where: str) -> Decimal:
    """Return a quantity; raises DataError naming the field, after `where` it stands."""
    number = decimal_of(record.get(field))
    if number is None:
        raise DataError(f"{where}{field} is no quantity", field=f"{where}{field}", value=str(record.get(field)))
    return number
