"""The calls of the official backend API that are read-only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from towpath.sandbox.kit.messages import Answer, Call, Endpoint, Handler, Refusal
from towpath.sandbox.kit.store import Condition, Doc, Store
from towpath.sandbox.nopcommerce.query import created, flag, identifier, identifiers, page
from towpath.sandbox.nopcommerce.shop import Shop

BASE: Final = "/api-backend"
BY_ID: Final = {
    "Order": "order",
    "OrderItem": "order_item",
    "Address": "address",
    "Customer": "customer",
    "Product": "product",
    "Country": "country",
    "StateProvince": "state_province",
    "Warehouse": "warehouse",
    "SpecificationAttribute": "specification_attribute",
    "SpecificationAttributeOption": "specification_attribute_option",
}
EQUAL: Final = {"customerId": "customer_id", "storeId": "store_id", "paymentMethodSystemName": "payment_method_system_name"}
ANY_OF: Final = {"osIds": "order_status_id", "psIds": "payment_status_id", "ssIds": "shipping_status_id"}
THERE: Final[Condition] = ("deleted", "=", False)


def endpoints(shop: Shop, store: Store) -> list[Endpoint]:
    """Return the paths over this shop."""

    def get(path: str, handle: Handler) -> Endpoint:
        return Endpoint("GET", f"{BASE}/{path}", handle)

    return [
        *(get(f"{name}/GetById/{{id}}", _by_id(shop, kind)) for name, kind in BY_ID.items()),
        get("Order/Search", lambda call: _search(store, call)),
        get("Order/GetByIds/{ids}", lambda call: Answer(body=_known(store, "order", identifiers(call.params["ids"])))),
        get("Order/GetByGuid", _first(store, "order", "guid", "order_guid")),
        get("Order/GetByCustomOrderNumber", _first(store, "order", "customOrderNumber", "custom_order_number")),
        get("OrderItem/GetOrderItems/{orderId}", _all(store, "order_item", "orderId", "order_id")),
        get("Customer/GetAll", lambda call: page(store, "customer", [THERE, *created(call)], call)),
        get("Customer/GetCustomerByGuid", _first(store, "customer", "guid", "customer_guid")),
        get("Customer/GetCustomerByEmail", _first(store, "customer", "email", "email")),
        get("Product/GetAll", lambda call: page(store, "product", _shown(call), call, newest_first=False)),
        get("Product/GetProductBySku", _first(store, "product", "sku", "sku")),
        get("Product/GetProductsBySku", lambda call: Answer(body=_by_skus(store, call))),
        get("Country/GetAllCountries", lambda _call: Answer(body=store.find("country"))),
        get("Country/GetCountryByTwoLetterIsoCode", _first(store, "country", "twoLetterIsoCode", "two_letter_iso_code")),
        get("StateProvince/GetAll", lambda _call: Answer(body=store.find("state_province"))),
        get("StateProvince/GetStateProvincesByCountryId/{countryId}", _all(store, "state_province", "countryId", "country_id")),
        get("GenericAttribute/GetAttributesForEntity/{entityId}", lambda call: _attributes(store, call)),
        get("Warehouse/GetAll", lambda _call: Answer(body=store.find("warehouse"))),
    ]


def _by_id(shop: Shop, kind: str) -> Handler:
    return lambda call: Answer(body=shop.need(kind, identifier(call.params["id"], "id")))


def _first(store: Store, kind: str, parameter: str, name: str) -> Callable[[Call], Answer]:
    def handle(call: Call) -> Answer:
        wanted = call.query.get(parameter, "")
        found = store.find(kind, [(name, "=", wanted)], limit=1) if wanted else []
        if not found:
            message = "Order is not found" if kind == "order" else f"{kind.title()} {parameter}={wanted} not found"
            raise Refusal(404, "not_found", message)
        return Answer(body=found[0])

    return handle


def _all(store: Store, kind: str, parameter: str, name: str) -> Handler:
    return lambda call: Answer(body=store.find(kind, [(name, "=", identifier(call.params[parameter], parameter))]))


def _known(store: Store, kind: str, numbers: list[int]) -> list[Doc]:
    return [doc for number in numbers if (doc := store.get(kind, number)) is not None]


def _by_skus(store: Store, call: Call) -> list[Doc]:
    return store.find("product", [("sku", "in", call.query.get("skuArray", "").split(";")), THERE])


def _shown(call: Call) -> list[Condition]:
    """Return what the list of products holds: published ones, unless `showHidden` asks for all or `overridePublished` for some."""
    if not flag(call, "showHidden", default=False):
        return [THERE, ("published", "=", True)]
    return [THERE, ("published", "=", flag(call, "overridePublished"))] if call.query.get("overridePublished") else [THERE]


def _attributes(store: Store, call: Call) -> Answer:
    where: list[Condition] = [
        ("entity_id", "=", identifier(call.params["entityId"], "entityId")),
        ("key_group", "=", call.query.get("keyGroup", "")),
    ]
    return Answer(body=store.find("generic_attribute", where))


def _search(store: Store, call: Call) -> Answer:
    """Answer with the newest orders first, as the real shop: pages shift while orders come in. It cannot filter by the time of a change."""
    where: list[Condition] = [THERE, *created(call)]
    for name, value in call.query.items():
        if name in EQUAL and value not in {"", "0"}:
            where.append((EQUAL[name], "=", identifier(value, name) if name != "paymentMethodSystemName" else value))
        elif name in ANY_OF and value:
            where.append((ANY_OF[name], "in", identifiers(value)))
    return page(store, "order", where, call)
