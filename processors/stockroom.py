"""The shelves as the processor keeps them: what stock events and holds make of them, and the numbers sent out. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from processors.port import ReadState, Step
from processors.routing import Arrived, Route, Routed, Router, dropped
from processors.stock import DROPPED, HELD, NONE, RETURNING, Shelf
from towpath.clock import Clock
from towpath.codec import Codec
from towpath.errors import ConfigError
from towpath.events import Event, StockHold, decimal_text
from towpath.records import Record

HOLDS = "holds"
GONE = b"gone"
"""A hold that has ended: one that is told again, after a crash, must not hold again, but its order's goods may be returning later."""
BACK = b"back "
"""What the quantity of a hold that is returning comes after."""


class Stockroom:
    """Every product of every source whose stock some flow takes."""

    def __init__(self, router: Router, codec: Codec, clock: Clock) -> None:
        self._router, self._codec, self._clock = router, codec, clock
        self._counted = counted_locations(router.routes)

    def counted(self, arrived: Arrived, read: ReadState) -> tuple[Routed, dict[bytes, bytes]]:
        """Return what a stock event leads to: the new number for every flow, or `echo` where it is the one that was told last.

        What lies at a location that no flow counts is `filtered`.
        """
        event = arrived.event
        shelf_key, event_key = _keys(event.meta["connection"], event.value["sku"])
        locations = self._counted.get(event.meta["connection"])
        if locations is not None and event.value["location"] not in locations:
            return Routed(counts=[dropped(event.type, "filtered")]), {}
        shelf = Shelf.load(read(shelf_key)).within(locations).counted(event.value)  # type: ignore[arg-type]
        if shelf.sellable == shelf.told and arrived.replay is None:
            routed = Routed(counts=[dropped(event.type, "echo")])
        else:
            shelf, routed = self._tell(shelf, arrived.record, event, arrived.value)
        return routed, {shelf_key: shelf.dump(), event_key: arrived.value or b""}

    def held(self, record: Record, read: ReadState) -> Step:
        """Return what a hold leads to: nothing before the source told of the product, or where the number stays.

        A shop that cancels an order has put its goods back itself, so the number is told again after that, though it stays. The shelf is always
        written before the rows of its holds, so that a crash between them leaves holds that only the shelf knows of: they count once.
        """
        hold: StockHold = self._codec.decode_as("StockHold", record.value)  # type: ignore[assignment]
        state = hold["state"]
        shelf_key, event_key = _keys(hold["connection"], hold["sku"])
        hold_key = f"hold|{hold['connection']}|{hold['sku']}|{hold['order_key']}".encode()
        row = read(hold_key) or b""
        ends = state in {DROPPED, RETURNING}
        if not ends and (row == GONE or row.startswith(BACK) or (not row and state != HELD)):
            return Step()
        quantity = decimal_text(hold["quantity"]).encode()
        kept = {hold_key: quantity if state == HELD else BACK + quantity if state == RETURNING else GONE}
        shelf, place = Shelf.load(read(shelf_key)), (record.offset, record.timestamp)
        if shelf.has(*place):
            return Step(writes={shelf_key: shelf.dump(), **kept})
        shelf = shelf.within(self._counted.get(hold["connection"])).held_by(hold, *_quantities(row)).hearing(*place)
        last = read(event_key)
        if last is None or (shelf.sellable == shelf.told and state != DROPPED):
            return Step(writes={shelf_key: shelf.dump(), **kept})
        event = Event(*self._codec.decode(last))
        shelf, routed = self._tell(shelf, record, event, last)
        return Step(routed.outputs, {shelf_key: shelf.dump(), **kept}, routed.counts)

    def _tell(self, shelf: Shelf, record: Record, event: Event, value: bytes | None) -> tuple[Shelf, Routed]:
        shelf = shelf.telling(max(record.timestamp, self._clock.now().timestamp()))
        known: dict[str, Any] = {"stock": {"sellable": decimal_text(shelf.sellable), "raised": shelf.raised}}
        return shelf, self._router.route(Arrived(record, event, value, record.replay, known, {"major": shelf.version, "minor": 0}))


def counted_locations(routes: Sequence[Route]) -> dict[str, frozenset[str] | None]:
    """Return the locations that count of each source's stock, None for all: what its flows name as their option `locations`.

    Raises ConfigError where two flows of one source name others: a product of a source has one number.
    """
    found: dict[str, frozenset[str] | None] = {}
    first: dict[str, str] = {}
    for route in (route for route in routes if route.event == "StockChanged"):
        given = route.options.get("locations")
        if given is not None and not (isinstance(given, list) and given and all(isinstance(one, str) for one in given)):
            raise ConfigError(f'flows.{route.name}.options.locations: must be a list of texts, such as ["2", "3"]')
        locations = None if given is None else frozenset(given)
        if found.setdefault(route.source, locations) != locations:
            name = first[route.source]
            raise ConfigError(f"flows.{route.name}.options.locations: flows.{name} counts others of {route.source}; give both the same")
        first.setdefault(route.source, route.name)
    return found


def _keys(connection: str, sku: str) -> tuple[bytes, bytes]:
    return f"shelf|{connection}|{sku}".encode(), f"stock|{connection}|{sku}".encode()


def _quantities(row: bytes) -> tuple[Decimal, Decimal]:
    """Return how many a hold held so far, and how many of it were returning."""
    if row.startswith(BACK):
        return NONE, Decimal(row.removeprefix(BACK).decode())
    return NONE if row in (b"", GONE) else Decimal(row.decode()), NONE
