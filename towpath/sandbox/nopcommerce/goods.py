"""The calls that make products and describe them by specification attributes: an attribute, its options, and which of them a product has."""

from __future__ import annotations

from typing import Final

from towpath.sandbox.kit.messages import Answer, Call, Endpoint, Handler, Refusal
from towpath.sandbox.kit.store import Doc, Store
from towpath.sandbox.nopcommerce.api import BASE
from towpath.sandbox.nopcommerce.fields import row
from towpath.sandbox.nopcommerce.query import identifier, page
from towpath.sandbox.nopcommerce.shop import Shop
from towpath.sandbox.nopcommerce.status import broken

FIRST: Final = 10_000
"""Where the numbers of products begin that are made by the API."""
OWNERS: Final = {
    "specification_attribute": {},
    "specification_attribute_option": {"specification_attribute_id": "specification_attribute"},
    "product_specification_attribute": {"product_id": "product", "specification_attribute_option_id": "specification_attribute_option"},
}


class Goods:
    """The catalogue's calls of one shop. Nothing is unique but ids: neither SKUs nor names of attributes or options."""

    def __init__(self, store: Store, shop: Shop) -> None:
        self._store, self._shop = store, shop

    def endpoints(self) -> list[Endpoint]:
        """Return the paths."""
        return [
            Endpoint("POST", f"{BASE}/Product/Create", self.create, write=True),
            Endpoint("GET", f"{BASE}/SpecificationAttribute/GetAll", lambda call: page(self._store, "specification_attribute", [], call)),
            Endpoint("POST", f"{BASE}/SpecificationAttribute/Create", self._adding("specification_attribute"), write=True),
            Endpoint(
                "GET",
                f"{BASE}/SpecificationAttributeOption/GetSpecificationAttributeOptionsBySpecificationAttribute/{{specificationAttributeId}}",
                self.options,
            ),
            Endpoint("POST", f"{BASE}/SpecificationAttributeOption/Create", self._adding("specification_attribute_option"), write=True),
            Endpoint("GET", f"{BASE}/ProductSpecificationAttribute/GetAll", self.described),
            Endpoint("POST", f"{BASE}/ProductSpecificationAttribute/Create", self._adding("product_specification_attribute"), write=True),
            Endpoint("PUT", f"{BASE}/ProductSpecificationAttribute/Update", self.redescribe, write=True),
            Endpoint("DELETE", f"{BASE}/ProductSpecificationAttribute/Delete/{{id}}", self.undescribe, write=True),
        ]

    def create(self, call: Call) -> Answer:
        """Answer `POST Product/Create` with the new row, as it was given but for its id: a second one of the same SKU is a second product."""
        given = {**row("product", call), "id": FIRST + self._store.add("id/product")}
        self._shop.inventory.write(given, "Product/Create")
        return Answer(body=given)

    def options(self, call: Call) -> Answer:
        """Answer with the options of an attribute."""
        number = identifier(call.params["specificationAttributeId"], "specificationAttributeId")
        return Answer(body=self._store.find("specification_attribute_option", [("specification_attribute_id", "=", number)]))

    def described(self, call: Call) -> Answer:
        """Answer with what describes a product."""
        number = identifier(call.query.get("productId", ""), "productId")
        return Answer(body=self._store.find("product_specification_attribute", [("product_id", "=", number)]))

    def redescribe(self, call: Call) -> Answer:
        """Answer `PUT ProductSpecificationAttribute/Update`."""
        given = row("product_specification_attribute", call)
        self._shop.need("product_specification_attribute", given["id"], f"Product specification attribute Id={given['id']} is not found")
        self._put("product_specification_attribute", given)
        return Answer()

    def undescribe(self, call: Call) -> Answer:
        """Answer `DELETE ProductSpecificationAttribute/Delete/{id}`."""
        number = identifier(call.params["id"], "id")
        self._shop.need("product_specification_attribute", number, f"Product specification attribute Id={number} is not found")
        self._store.delete("product_specification_attribute", number)
        return Answer()

    def _adding(self, kind: str) -> Handler:
        def add(call: Call) -> Answer:
            given = {**row(kind, call), "id": self._store.add(f"id/{kind}")}
            if not given.get("name", "-"):
                raise Refusal(400, "invalid", "name: is required", field="name")
            self._put(kind, given)
            return Answer(body=given)

        return add

    def _put(self, kind: str, given: Doc) -> None:
        for field, owner in OWNERS[kind].items():
            if self._store.get(owner, given[field]) is None:
                raise broken(f"The statement conflicted with the FOREIGN KEY constraint of {owner}.")
        self._store.put(kind, given["id"], given)
