"""How much of a product a shop may sell: what its source has, less what orders hold that the source does not know of yet. No I/O.

A shop that takes stock at checkout has taken an order's goods at once; the source learns of them only when the order stands there. Until then
the order holds them (`held`), and while the source's own figures are older than its standing there it is `waiting`: both are subtracted.
The source may tell of the allocation before Towpath hears that the order stands: what it newly allocated is taken for what is held (`credit`),
else each order would lower the shop's number twice and raise it again.
What an order held that the source cancelled is `returning` until its shop has cancelled it too: that puts it back itself, so that a number which
has it already would have it twice.
The window that remains: a checkout that has not been received yet when a number that rose at the source is written to the shop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Final

import orjson

from towpath.events import StockChanged, StockHold, decimal_text, micros

HELD: Final = "held"
STANDING: Final = "standing"
RETURNING: Final = "returning"
DROPPED: Final = "dropped"
NONE: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Place:
    """What the source last said of one location, and when that was so (microseconds, the source's clock)."""

    available: Decimal
    allocated: Decimal
    as_of: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """An order that stands at the source since `since` (microseconds, the source's clock), and how many it took."""

    holder: str
    quantity: Decimal
    since: int


@dataclass(frozen=True, slots=True)
class Shelf:
    """One product of one source; `version` and `told` are those of the last number sent out, `raised` the version of the last that rose.

    `heard` is the offset of the last hold that it knows of, and the latest time of one (seconds): where a crash tore what was written of some holds,
    the shelf has those whose own rows are not there.
    """

    places: Mapping[str, Place] = field(default_factory=dict)
    held: Decimal = NONE
    credit: Decimal = NONE
    waiting: Sequence[Waiting] = ()
    version: int = 0
    raised: int = 0
    told: Decimal | None = None
    returning: Decimal = NONE
    heard: tuple[int, float] = (-1, 0.0)

    @property
    def sellable(self) -> Decimal:
        """Return how many a shop may still sell; below zero where more is promised than there is."""
        there = sum((place.available for place in self.places.values()), NONE)
        return there - self.held + min(self.credit, self.held) - _sum(self.waiting) - self.returning

    def within(self, locations: frozenset[str] | None) -> Shelf:
        """Return the shelf without what lies elsewhere than at these locations, which do not count any more; None: all do."""
        if locations is None or locations.issuperset(self.places):
            return self
        return replace(self, places={name: place for name, place in self.places.items() if name in locations})

    def counted(self, stock: StockChanged) -> Shelf:
        """Return the shelf as it is once the source said this of one location."""
        place = Place(stock["available"], stock["allocated"], micros(stock["meta"]["occurred_at"]))
        before = self.places.get(stock["location"], place)
        places = {**self.places, stock["location"]: place}
        left = _unseen(self.waiting, places)
        taken = max(NONE, place.allocated - before.allocated) - (_sum(self.waiting) - _sum(left))
        return replace(self, places=places, waiting=left, credit=min(self.held, self.credit + max(NONE, taken)))

    def held_by(self, hold: StockHold, before: Decimal, returned: Decimal = NONE) -> Shelf:
        """Return the shelf with a hold that was `before` (zero for a new one), or was returning with `returned`."""
        if hold["state"] == HELD:
            return replace(self, held=self.held + hold["quantity"] - before)
        held, others = self.held - before, tuple(one for one in self.waiting if one.holder != hold["order_key"])
        if hold["state"] in {DROPPED, RETURNING}:
            returning = self.returning - returned + (hold["quantity"] if hold["state"] == RETURNING else NONE)
            return replace(self, held=held, waiting=others, credit=min(held, self.credit), returning=returning)
        one = Waiting(hold["order_key"], before, micros(hold["standing_at"] or hold["at"]))
        left = _unseen((*others, one), self.places)
        credit = self.credit if one in left else max(NONE, self.credit - before)
        return replace(self, held=held, waiting=left, credit=min(held, credit))

    def has(self, offset: int, at: float) -> bool:
        """Tell whether it knows of the hold that stands there; one that is later than all stands in a topic that was made anew."""
        return offset <= self.heard[0] and at <= self.heard[1]

    def hearing(self, offset: int, at: float) -> Shelf:
        """Return the shelf as it knows of the hold that stands there."""
        return replace(self, heard=(offset, max(at, self.heard[1])))

    def telling(self, at: float) -> Shelf:
        """Return the shelf as its number is sent out now (`at`, seconds), with a version above that of any number that was sent out before.

        Numbers may have been sent out by a processor that was killed before it kept its state. Who repeats its work reads counts and holds in
        another turn, since they lie in several topics, and comes to other numbers on the way: a version made from the records would be given
        to two numbers. So it is made from the time at which the number is sent out.
        """
        version = max(self.version + 1, int(at * 1_000_000))
        risen = self.told is None or self.sellable > self.told
        return replace(self, version=version, told=self.sellable, raised=version if risen else self.raised)

    def dump(self) -> bytes:
        """Return it as bytes for the state."""
        places = {name: [decimal_text(place.available), decimal_text(place.allocated), place.as_of] for name, place in self.places.items()}
        waiting = [[one.holder, decimal_text(one.quantity), one.since] for one in self.waiting]
        told = None if self.told is None else decimal_text(self.told)
        parts = [places, decimal_text(self.held), decimal_text(self.credit), waiting, self.version, self.raised, told]
        return orjson.dumps([*parts, decimal_text(self.returning), *self.heard] if self.returning or self.heard[0] >= 0 else parts)

    @classmethod
    def load(cls, data: bytes | None) -> Shelf:
        """Return what `dump` wrote, an empty shelf where nothing was."""
        if data is None:
            return cls()
        places, held, credit, waiting, version, raised, told, *later = orjson.loads(data)
        returning, *heard = later or ("0",)  # earlier releases kept neither, or no `heard`
        return cls(
            {name: Place(Decimal(available), Decimal(allocated), as_of) for name, (available, allocated, as_of) in places.items()},
            Decimal(held),
            Decimal(credit),
            tuple(Waiting(holder, Decimal(quantity), since) for holder, quantity, since in waiting),
            version,
            raised,
            None if told is None else Decimal(told),
            Decimal(returning),
            (heard[0], heard[1]) if heard else (-1, 0.0),
        )


def taken_by(lines: Sequence[Mapping[str, Any]]) -> dict[str, Decimal]:
    """Return how many of each SKU the lines of an order take."""
    found: dict[str, Decimal] = {}
    for line in lines:
        sku, quantity = line["sku"], line["quantity"]
        found[sku] = found[sku] + quantity if sku in found else quantity
    return found if min(found.values(), default=NONE) > NONE else {sku: quantity for sku, quantity in found.items() if quantity > 0}


def _unseen(waiting: Sequence[Waiting], places: Mapping[str, Place]) -> tuple[Waiting, ...]:
    """Return the orders that the source's own figures do not include yet: none of its locations has been told of since."""
    newest = max((place.as_of for place in places.values()), default=-1)
    return tuple(one for one in waiting if one.since > newest)


def _sum(waiting: Sequence[Waiting]) -> Decimal:
    return sum((one.quantity for one in waiting), NONE)
