"""The catalogue's calls: saving a product by its SKU, attribute sets, and attributes with their options (Magento_Catalog, Magento_Eav)."""

from __future__ import annotations

from typing import Any, Final

from towpath.sandbox.kit.messages import Answer, Call, Endpoint
from towpath.sandbox.kit.store import Doc
from towpath.sandbox.magento.auth import BASE
from towpath.sandbox.magento.goods import SOURCES, number
from towpath.sandbox.magento.search import Lists
from towpath.sandbox.magento.shop import Shop
from towpath.sandbox.magento.wording import Worded, no_such

FIRST: Final = 10_000
"""Where the ids of products begin that are made by the API."""
SETS: Final = {4: "Default", 9: "Apparel", 10: "Home"}
ATTRIBUTES: Final = {
    "color": ("select", ("Black", "Blue", "Red"), (4, 9, 10)),
    "size": ("select", ("S", "M", "L"), (9,)),
    "fabric": ("text", (), (9, 10)),
    "washable": ("boolean", (), (9,)),
}
"""Each attribute with its kind, the labels of its options, and the sets that it is in; any other is unknown."""
SAVED: Final = ("name", "attribute_set_id", "price", "status", "visibility", "weight")


class Catalog:
    """The catalogue of one shop. An option's value is its id as a text, and what is in no attribute of the product's set is dropped in silence."""

    def __init__(self, shop: Shop, lists: Lists) -> None:
        self._shop, self._store, self._lists = shop, shop.store, lists

    def fill(self) -> None:
        """Put the attribute sets and attributes in, once."""
        if self._store.count("attribute_set"):
            return
        for place, (set_id, name) in enumerate(SETS.items()):
            row = {"attribute_set_id": set_id, "attribute_set_name": name, "sort_order": place, "entity_type_id": 4}
            self._store.put("attribute_set", set_id, row)
        for code, (kind, labels, _) in ATTRIBUTES.items():
            self._store.put("attribute", code, {"attribute_id": self._store.add("id/attribute"), "attribute_code": code, "frontend_input": kind})
            for label in labels:
                self._add_option(code, label)

    def endpoints(self) -> list[Endpoint]:
        """Return the paths."""
        return [
            Endpoint("POST", f"{BASE}products", self.save, write=True),
            Endpoint("PUT", f"{BASE}products/{{sku}}", self.save, write=True),
            Endpoint("GET", f"{BASE}products/attribute-sets/sets/list", lambda call: self._lists.page("attribute_set", call)),
            Endpoint("GET", f"{BASE}products/attributes/{{code}}", lambda call: Answer(body=self._attribute(call))),
            Endpoint("POST", f"{BASE}products/attributes/{{code}}/options", self.add_option, write=True),
        ]

    def save(self, call: Call) -> Answer:
        """Answer with the product: a known SKU is updated in what is given, an unknown one is made, which needs a name, a set and a price."""
        given = _part(call, "product")
        sku = call.params.get("sku") or given.get("sku")
        if not isinstance(sku, str) or not sku:
            raise _required("sku")
        known = next(iter(self._store.find("product", [("sku", "=", sku)], limit=1)), None)
        product: Doc = known or {"id": 0, "sku": sku, "type_id": "simple", "status": 1, "visibility": 4, "custom_attributes": []}
        product |= {name: given[name] for name in SAVED if name in given}
        for name in ("name", "attribute_set_id", "price"):
            if product.get(name) is None:
                raise _required(name)
        if product["attribute_set_id"] not in SETS:
            raise no_such("attributeSetId", product["attribute_set_id"])
        product["price"] = number(product["price"])
        self._describe(product, given.get("custom_attributes") or [])
        now = self._shop.now()
        product |= {"updated_at": now, "created_at": product.get("created_at", now), "id": product["id"] or FIRST + self._store.add("id/product")}
        self._store.put("product", product["id"], product)
        if known is None:
            self._shop.inventory.put({"sku": sku, "source_code": SOURCES[0], "quantity": 0, "status": 0}, "begin")
        return Answer(body=product)

    def add_option(self, call: Call) -> Answer:
        """Answer `POST …/options` with what the value is called until it is read; a second one of the same label is a second option."""
        attribute, given = self._attribute(call), _part(call, "option")
        if not str(given.get("label") or "").strip():
            raise Worded(400, "Empty option label")
        return Answer(body=f"id_{self._add_option(attribute['attribute_code'], given['label'])}")

    def _add_option(self, code: str, label: str) -> int:
        option = self._store.add("id/option")
        self._store.put("option", option, {"attribute_code": code, "label": label, "value": str(option)})
        return option

    def _attribute(self, call: Call) -> dict[str, Any]:
        code = call.params["code"]
        found = self._store.get("attribute", code)
        if found is None:
            raise no_such("attributeCode", code)
        options = [{"label": row["label"], "value": row["value"]} for row in self._store.find("option", [("attribute_code", "=", code)])]
        return {**found, "options": [{"label": " ", "value": ""}, *options] if found["frontend_input"] == "select" else []}

    def _describe(self, product: Doc, given: list[dict[str, Any]]) -> None:
        values = {row["attribute_code"]: row["value"] for row in product["custom_attributes"]}
        for row in given:
            code, value = row.get("attribute_code"), row.get("value")
            kind, _, sets = ATTRIBUTES.get(str(code), ("", (), ()))
            if product["attribute_set_id"] not in sets:
                continue
            known = {one["value"] for one in self._store.find("option", [("attribute_code", "=", code)])}
            if kind == "select" and value and value not in known:
                raise Worded(400, "Attribute %1 has no option with value %2.", [code, value])
            values[str(code)] = value
        product["custom_attributes"] = [{"attribute_code": code, "value": value} for code, value in values.items() if value not in {"", None}]


def _part(call: Call, name: str) -> Doc:
    body = call.json()
    found = body.get(name) if isinstance(body, dict) else None
    if not isinstance(found, dict):
        raise _required(name)
    return found


def _required(field: str) -> Worded:
    return Worded(400, '"%fieldName" is required. Enter and try again.', {"fieldName": field})
