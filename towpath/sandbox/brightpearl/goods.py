"""Products, their prices, and what lies where."""

from __future__ import annotations

from typing import Any, Final

from towpath.sandbox.brightpearl.hooks import Hooks
from towpath.sandbox.brightpearl.records import Account, Records, listed, missing, numbers, part
from towpath.sandbox.brightpearl.search import Column, Search
from towpath.sandbox.brightpearl.settings import BrightpearlSettings
from towpath.sandbox.kit.catalogue import catalogue
from towpath.sandbox.kit.messages import Answer, Call, Refusal
from towpath.sandbox.kit.store import Doc

FIRST: Final = 1001
RETAIL: Final = 2
NO_STOCK: Final = {"inStock": 0, "allocated": 0}


class Goods:
    """The products of one account; stock is what is in a warehouse, less what orders have reserved there."""

    def __init__(self, account: Account, hooks: Hooks) -> None:
        self._account, self._hooks = account, hooks
        self.products, self.prices = Records(account, "product", FIRST), Records(account, "price", 1)
        self.search = Search(
            self.products,
            [
                Column("productId", "IDSET", lambda doc: doc["id"], "_id"),
                Column("productName", "STRING", lambda doc: doc["salesChannels"][0]["productName"]),
                Column("SKU", "STRING", lambda doc: doc["identity"]["sku"], "_sku"),
                Column("createdOn", "PERIOD", lambda doc: doc["createdOn"]),
                Column("updatedOn", "PERIOD", lambda doc: doc["updatedOn"], "_updated"),
                Column("productTypeId", "INTEGER", lambda doc: doc["productTypeId"]),
            ],
        )

    def fill(self, settings: BrightpearlSettings) -> None:
        """Put the catalogue in, with the stock that is set, once."""
        if self.products.all():
            return
        for item in catalogue():
            number = self.put(self.products.next_id(), {"identity": {"sku": item.sku}, **named(item.name)})["id"]
            self.prices.write(number, {"1": {str(RETAIL): str(item.price)}})
            for warehouse, quantity in settings.stock.items():
                self._write(number, warehouse, {"inStock": quantity, "allocated": 0})

    def put(self, number: int, body: Doc) -> Doc:
        """Write a product under a number and return it; a new one has what the body leaves out."""
        now, known = self._account.now(), self.products.get(number) or {}
        doc = {
            "id": number,
            "brandId": 74,
            "productTypeId": 1,
            "identity": {"sku": "", "barcode": ""},
            "featured": False,
            "stock": {"stockTracked": True, "weight": {"magnitude": 0.0}, "dimensions": {"length": 0.0, "height": 0.0, "width": 0.0, "volume": 0.0}},
            "financialDetails": {"taxable": True, "taxCode": {"id": 2, "code": "T"}},
            **named(""),
            "composition": {"bundle": False},
            "createdOn": now,
            "warehouses": {"2": {"defaultLocationId": 0, "overflowLocationId": 0, "reorderLevel": 0, "reorderQuantity": 0}},
            "nominalCodeStock": "1001",
            "nominalCodePurchases": "5000",
            "nominalCodeSales": "4000",
            "seasonIds": [],
            "reporting": {},
            "status": "LIVE",
            "salesPopupMessage": "",
            "warehousePopupMessage": "",
            **known,
            **{name: value for name, value in body.items() if name in {"brandId", "identity", "stock", "financialDetails", "salesChannels"}},
            "updatedOn": now,
            "version": int(self._account.clock.now().timestamp() * 1000),
        }
        self._hooks.tell("product.modified" if known else "product.created", number)
        return self.products.write(number, {**doc, "_sku": str(doc["identity"].get("sku") or "").casefold()})

    def get(self, call: Call) -> Answer:
        """Answer `GET product/{ids}`."""
        found = self.products.chosen(call.params["ids"])
        if not found:
            raise missing("product", call.params["ids"])
        return listed(found)

    def options(self, call: Call) -> Answer:
        """Answer `OPTIONS product/{ids}`: the sets by which they can be read."""
        found = self.products.chosen(call.params["ids"])
        return Answer(body={"response": {"getUris": [f"/product/{doc['id']}" for doc in found]}})

    def create(self, call: Call) -> Answer:
        """Answer `POST product`."""
        body = call.json()
        if body.get("brandId") is None:
            raise Refusal(400, "PRDC-014", "You must supply a brand ID.")
        return Answer(body={"response": self.put(self.products.next_id(), body)["id"]})

    def change(self, call: Call) -> Answer:
        """Answer `PUT product/{id}`."""
        self.products.need(call.params["ids"])
        self.put(int(call.params["ids"]), call.json())
        return Answer(body={})

    def price(self, call: Call) -> Answer:
        """Answer `GET product-price/{ids}`."""
        found = []
        for number in numbers(call.params["ids"]):
            lists = part(self.prices.get(number), "1")
            rows = [{"priceListId": int(one), "currencyCode": "USD", "quantityPrice": {"1": price}} for one, price in lists.items()]
            found += [{"productId": number, "priceLists": rows}] if rows else []
        if not found:
            raise Refusal(404, "not_found", "No Product Prices Found")
        return Answer(body={"response": found})

    def set_price(self, call: Call) -> Answer:
        """Answer `PUT product-price/{id}/price-list`."""
        number, rows = int(call.params["ids"]), call.json()["priceLists"]
        known = part(self.prices.get(number), "1")
        self.prices.write(number, {"1": {**known, **{str(row["priceListId"]): str(row["quantityPrice"]["1"]) for row in rows}}})
        self._hooks.tell("product.modified", number)
        return Answer(body={})

    def availability(self, call: Call) -> Answer:
        """Answer `GET product-availability/{ids}`; what is not tracked is left out in silence."""
        tracked = [doc["id"] for doc in self.products.chosen(call.params["ids"]) if doc["stock"]["stockTracked"]]
        return Answer(body={"response": {str(number): self._availability(number) for number in tracked}})

    def stand(self, number: int, warehouse: int) -> Doc:
        """Return what is in stock of a product in a warehouse, and how much of that is allocated."""
        return self._account.store.get("stock", f"{number}@{warehouse}") or {**NO_STOCK, "product": number, "warehouse": warehouse}

    def move(self, number: int, warehouse: int, in_stock: int = 0, allocated: int = 0) -> None:
        """Add to what a warehouse has of a product, and tell where that changes what is on hand."""
        before = self.stand(number, warehouse)
        self._write(number, warehouse, {"inStock": before["inStock"] + in_stock, "allocated": before["allocated"] + allocated})
        if in_stock != allocated:
            self._hooks.tell("product.modified.on-hand-modified", number)

    def by_sku(self, sku: str) -> Doc:
        """Return a product; raises Refusal(404)."""
        found = self.products.all([("_sku", "=", sku.casefold())])
        if not found:
            raise missing("product", sku)
        return found[0]

    def _write(self, number: int, warehouse: int, doc: Doc) -> None:
        self._account.store.put("stock", f"{number}@{warehouse}", {**doc, "product": number, "warehouse": warehouse})

    def _availability(self, number: int) -> dict[str, Any]:
        rows = {str(doc["warehouse"]): figures(doc) for doc in self._account.store.find("stock", [("product", "=", number)])}
        return {"total": {name: sum(row[name] for row in rows.values()) for name in figures(NO_STOCK)}, "warehouses": rows}


def figures(stand: Doc) -> dict[str, int]:
    """Return stock as Brightpearl shows it: numbers, where on hand is what is not allocated."""
    return {"inStock": stand["inStock"], "onHand": stand["inStock"] - stand["allocated"], "allocated": stand["allocated"], "inTransit": 0}


def named(name: str) -> Doc:
    """Return the sales channel that holds a product's name."""
    text = {"languageCode": "en", "text": "", "format": "HTML_FRAGMENT"}
    channel = {"salesChannelName": "Brightpearl", "productName": name, "productCondition": "new", "categories": [{"categoryCode": "296"}]}
    return {"salesChannels": [{**channel, "description": text, "shortDescription": text}]}
