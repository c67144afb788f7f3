"""What a test or an operator can do at Brightpearl by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pydantic import BaseModel, ConfigDict, Field

from towpath.sandbox.brightpearl.books import Books
from towpath.sandbox.brightpearl.goods import RETAIL, Goods, named
from towpath.sandbox.brightpearl.hooks import Hooks
from towpath.sandbox.brightpearl.notes import Notes
from towpath.sandbox.brightpearl.orders import Orders
from towpath.sandbox.brightpearl.people import People
from towpath.sandbox.brightpearl.settings import MAIN
from towpath.sandbox.kit.catalogue import STOCK
from towpath.sandbox.kit.control import checked
from towpath.sandbox.kit.messages import Answer, Call, Control, Handler, Refusal
from towpath.sandbox.kit.store import Doc
from towpath.sandbox.kit.system import World


class _Given(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Parcel(_Given):
    """What leaves of an order: quantities by order row, all that is reserved and in no note where none are given."""

    order: int
    lines: dict[str, int] | None = None
    tracking_number: str = ""
    shipping_method: int = 49


class Count(_Given):
    """What was found on the shelf of a warehouse: all of it, or what is not allocated."""

    sku: str
    warehouse: int = MAIN
    in_stock: int | None = None
    on_hand: int | None = None


class ProductPut(_Given):
    """A new product, or what changes of a known one (`on_hand` apart, which a new one begins with)."""

    name: str | None = None
    price: str | None = Field(default=None, pattern=r"^\d+(\.\d{1,4})?$")
    tracked: bool = True
    on_hand: int = STOCK


class Seed(_Given):
    """A record under a number of the caller's choice, as a recording needs it."""

    kind: str
    id: int
    with_: Doc = Field(default={}, alias="with")


class Warehouse:
    """Stock moves, shipments and records by hand, each told about by webhook."""

    def __init__(
        self, world: World, *, people: People, goods: Goods, orders: Orders, notes: Notes, books: Books, hooks: Hooks, more: Mapping[str, Handler]
    ) -> None:
        self._world, self._people, self._goods, self._orders = world, people, goods, orders
        self._notes, self._books, self._hooks, self._more = notes, books, hooks, more

    def paths(self) -> list[Control]:
        """Return the controls."""
        return [
            self._control("POST", "/_sandbox/warehouse/ship", self.ship),
            self._control("POST", "/_sandbox/warehouse/note", self.note),
            self._control("POST", "/_sandbox/warehouse/count", self.count),
            self._control("PUT", "/_sandbox/products/{sku}", self.put_product),
            self._control("PUT", "/_sandbox/orders/{ids}/status", self._orders.set_status),
            self._control("PATCH", "/_sandbox/orders/{ids}/row/{row}", self._orders.patch_row),
            self._control("PUT", "/_sandbox/contacts/{id}", lambda call: Answer(body=self._people.put(int(call.params["id"]), call.json()))),
            self._control("DELETE", "/_sandbox/contacts/{ids}", self.merge),
            self._control("POST", "/_sandbox/seed", self.seed),
            *(self._control("POST", f"/_sandbox/{path}", handle) for path, handle in self._more.items()),
        ]

    def note(self, call: Call) -> Answer:
        """Make a goods-out note of what an order has reserved, and return it."""
        return Answer(201, self._note(checked(Parcel, call.json())))

    def ship(self, call: Call) -> Answer:
        """Make a goods-out note, with its tracking number, and ship it."""
        parcel = checked(Parcel, call.json())
        note = self._note(parcel)
        shipping = {"reference": parcel.tracking_number, "shippingMethodId": parcel.shipping_method}
        return Answer(201, self._notes.step({**note, "shipping": shipping}, "SHW", self._people.contacts.account.now()))

    def count(self, call: Call) -> Answer:
        """Correct what is in stock to what was counted."""
        given = checked(Count, call.json())
        product = self._goods.by_sku(given.sku)["id"]
        stands = self._goods.stand(product, given.warehouse)
        counted = stands["allocated"] + (given.on_hand or 0) if given.in_stock is None else given.in_stock
        self._goods.move(product, given.warehouse, in_stock=counted - stands["inStock"])
        return Answer(body=self._goods.stand(product, given.warehouse))

    def put_product(self, call: Call) -> Answer:
        """Add a product with stock, or change the one of that SKU."""
        given, sku = checked(ProductPut, call.json() if call.body else {}), call.params["sku"]
        known = self._goods.products.all([("_sku", "=", sku.casefold())])
        changes: Doc = {} if given.name is None and known else named(given.name or "Added product")
        if not known:
            tracking = {"stockTracked": given.tracked, "weight": {"magnitude": 0.0}}
            changes |= {"identity": {"sku": sku, "barcode": ""}, "stock": tracking}
        product = self._goods.put(known[0]["id"] if known else self._goods.products.next_id(), changes)
        if given.price is not None or not known:
            self._goods.prices.write(product["id"], {"1": {str(RETAIL): given.price or "10.00"}})
        if not known and given.tracked:
            self._goods.move(product["id"], MAIN, in_stock=given.on_hand)
        return Answer(body=product)

    def merge(self, call: Call) -> Answer:
        """Remove contacts, as a merge of two does."""
        self._people.delete(call.params["ids"])
        return Answer(body={})

    def seed(self, call: Call) -> Answer:
        """Write a record."""
        seed = checked(Seed, call.json())
        write: dict[str, Callable[[], object]] = {
            "contact": lambda: self._people.put(seed.id, seed.with_),
            "product": lambda: self._goods.put(seed.id, seed.with_),
            "price": lambda: self._goods.prices.write(seed.id, {"1": seed.with_}),
            "order": lambda: self._orders.add(
                seed.id, seed.with_["type"], seed.with_["contact"], {}, [self._orders.row(row) for row in seed.with_["rows"]]
            ),
            "payment": lambda: self._books.put(seed.id, seed.with_),
            "webhook": lambda: self._hooks.records.write(seed.id, {"id": seed.id, **seed.with_}),
            "note": lambda: self._move_note(seed),
        }
        if seed.kind not in write:
            raise Refusal(400, "invalid_body", f"kind: expected one of {', '.join(write)}")
        write[seed.kind]()
        return Answer(201, {})

    def _move_note(self, seed: Seed) -> None:
        """Make a shipped note of an order's reservation, under the number that is asked for."""
        note = self._notes.step(self._note(Parcel(order=seed.with_["order"])), "SHW", self._people.contacts.account.now())
        self._notes.records.write(seed.id, note)

    def _note(self, parcel: Parcel) -> Doc:
        self._orders.records.need(parcel.order)
        return self._notes.take(parcel.order, self._notes.left(parcel.order) if parcel.lines is None else parcel.lines)

    def _control(self, method: str, path: str, handle: Callable[[Call], Answer]) -> Control:
        async def answer(call: Call) -> Answer:
            with self._world.store.transaction():
                return self._hooks.flushed(handle)(call)

        return Control(method, path, answer)
