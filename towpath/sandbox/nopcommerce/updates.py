"""The calls that write orders, products and stock as they are: no check, no mail, no stock that follows, as the API does it."""

from __future__ import annotations

from towpath.sandbox.kit.messages import Answer, Call, Endpoint
from towpath.sandbox.kit.store import Store
from towpath.sandbox.nopcommerce.api import BASE
from towpath.sandbox.nopcommerce.fields import row
from towpath.sandbox.nopcommerce.query import change, identifier
from towpath.sandbox.nopcommerce.shop import Shop


class Updates:
    """The whole-row updates of one shop."""

    def __init__(self, store: Store, shop: Shop) -> None:
        self._store, self._shop = store, shop

    def endpoints(self) -> list[Endpoint]:
        """Return the paths."""
        warehouse = f"{BASE}/ProductWarehouse"
        return [
            Endpoint("PUT", f"{BASE}/Order/Update", self.order, write=True),
            Endpoint("PUT", f"{BASE}/Product/Update", self.product, write=True),
            Endpoint("POST", f"{BASE}/Product/AdjustInventory/{{productId}}", self.adjust, write=True),
            Endpoint("GET", f"{warehouse}/GetAllProductWarehouseInventoryRecords/{{productId}}", self.warehouses),
            Endpoint("POST", f"{warehouse}/Create", self.add_warehouse, write=True),
            Endpoint("PUT", f"{warehouse}/Update", self.warehouse, write=True),
        ]

    def order(self, call: Call) -> Answer:
        """Answer `PUT Order/Update`: the row is overwritten, whatever the status means; the plugin sees an update and sends `order.changed`."""
        given = row("order", call)
        self._shop.need("order", given["id"], "Order is not found")
        self._store.put("order", given["id"], given)
        self._shop.tell("order.changed", "order", given["id"])
        return Answer()

    def product(self, call: Call) -> Answer:
        """Answer `PUT Product/Update`: the absolute `stock_quantity` overwrites what was sold since the product was read."""
        given = row("product", call)
        self._shop.need("product", given["id"], f"Product Id={given['id']} is not found")
        self._shop.inventory.write(given, "Product/Update")
        return Answer()

    def adjust(self, call: Call) -> Answer:
        """Answer `POST Product/AdjustInventory/{id}`: a difference, applied as often as it is asked for; the API drops its `message`."""
        number, difference = identifier(call.params["productId"], "productId"), change(call, "quantityToChange")
        product = self._shop.need("product", number, f"Product Id={number} is not found")
        self._shop.inventory.adjust(product, difference, "Product/AdjustInventory")
        return Answer()

    def warehouses(self, call: Call) -> Answer:
        """Answer with the rows of a product that is in several warehouses."""
        return Answer(body=self._store.find("product_warehouse", [("product_id", "=", identifier(call.params["productId"], "productId"))]))

    def add_warehouse(self, call: Call) -> Answer:
        """Answer `POST ProductWarehouse/Create` with the new row."""
        given = {**row("product_warehouse", call), "id": self._store.add("id/product_warehouse")}
        self._shop.inventory.write_row(given, "ProductWarehouse/Create")
        return Answer(body=given)

    def warehouse(self, call: Call) -> Answer:
        """Answer `PUT ProductWarehouse/Update`, absolute as well."""
        given = row("product_warehouse", call)
        self._shop.need("product_warehouse", given["id"], f"Product warehouse inventory Id={given['id']} is not found")
        self._shop.inventory.write_row(given, "ProductWarehouse/Update")
        return Answer()
