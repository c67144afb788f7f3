"""The calls of the official backend API that are read-only."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from towpath.sandbox.kit.clock import stamp
from towpath.sandbox.kit.messages import Answer, Call, Endpoint, Handler, Refusal
from towpath.sandbox.kit.store import Condition, Doc, Store
from towpath.sandbox.nopcommerce.shop import Shop

BASE: Final = "/api-backend"
EVERYTHING: Final = 2147483647
BY_ID: Final = {
    "Order": "order",
    "OrderItem": "order_item",
    "Address": "address",
    "Customer": "customer",
    "Product": "product",
    "Country": "country",
    "StateProvince": "state_province",
}
EQUAL: Final = {"customerId": "customer_id", "storeId": "store_id", "paymentMethodSystemName": "payment_method_system_name"}
ANY_OF: Final = {"osIds": "order_status_id", "psIds": "payment_status_id", "ssIds": "shipping_status_id"}


def endpoints(shop: Shop, store: Store) -> list[Endpoint]:
    """Return the paths over this shop."""

    def get(path: str, handle: Handler) -> Endpoint:
        return Endpoint("GET", f"{BASE}/{path}", handle)

    return [
        *(get(f"{name}/GetById/{{id}}", _by_id(shop, kind)) for name, kind in BY_ID.items()),
        get("Order/Search", lambda call: _search(store, call)),
        get("Order/GetByIds/{ids}", lambda call: Answer(body=_known(store, "order", _ids(call.params["ids"])))),
        get("Order/GetByGuid", _first(store, "order", "guid", "order_guid")),
        get("Order/GetByCustomOrderNumber", _first(store, "order", "customOrderNumber", "custom_order_number")),
        get("OrderItem/GetOrderItems/{orderId}", _all(store, "order_item", "orderId", "order_id")),
        get("Customer/GetCustomerByEmail", _first(store, "customer", "email", "email")),
        get("Product/GetProductBySku", _first(store, "product", "sku", "sku")),
        get("Country/GetAllCountries", lambda _call: Answer(body=store.find("country"))),
        get("Country/GetCountryByTwoLetterIsoCode", _first(store, "country", "twoLetterIsoCode", "two_letter_iso_code")),
        get("StateProvince/GetAll", lambda _call: Answer(body=store.find("state_province"))),
        get("StateProvince/GetStateProvincesByCountryId/{countryId}", _all(store, "state_province", "countryId", "country_id")),
        get("GenericAttribute/GetAttributesForEntity/{entityId}", lambda call: _attributes(store, call)),
    ]


def _by_id(shop: Shop, kind: str) -> Handler:
    return lambda call: Answer(body=shop.need(kind, _id(call.params["id"], "id")))


def _first(store: Store, kind: str, parameter: str, name: str) -> Callable[[Call], Answer]:
    def handle(call: Call) -> Answer:
        wanted = call.query.get(parameter, "")
        found = store.find(kind, [(name, "=", wanted)], limit=1) if wanted else []
        if not found:
            raise Refusal(404, "not_found", f"{kind.title()} by {parameter}={wanted} not found")
        return Answer(body=found[0])

    return handle


def _all(store: Store, kind: str, parameter: str, name: str) -> Handler:
    return lambda call: Answer(body=store.find(kind, [(name, "=", _id(call.params[parameter], parameter))]))


def _known(store: Store, kind: str, numbers: list[int]) -> list[Doc]:
    return [doc for number in numbers if (doc := store.get(kind, number)) is not None]


def _attributes(store: Store, call: Call) -> Answer:
    where: list[Condition] = [("entity_id", "=", _id(call.params["entityId"], "entityId")), ("key_group", "=", call.query.get("keyGroup", ""))]
    return Answer(body=store.find("generic_attribute", where))


def _search(store: Store, call: Call) -> Answer:
    """Answer with the newest orders first, as the real shop: pages shift while orders come in."""
    where: list[Condition] = []
    for name, value in call.query.items():
        if name in {"createdFromUtc", "createdToUtc"} and value:
            where.append(("created_on_utc", ">=" if name == "createdFromUtc" else "<=", _moment(name, value)))
        elif name in EQUAL and value:
            where.append((EQUAL[name], "=", _id(value, name) if name != "paymentMethodSystemName" else value))
        elif name in ANY_OF and value:
            where.append((ANY_OF[name], "in", _ids(value)))
    index, size = _number(call, "pageIndex", 0), _number(call, "pageSize", EVERYTHING) or EVERYTHING
    total = store.count("order", where)
    only_count = call.query.get("getOnlyTotalCount", "").lower() == "true"
    items = [] if only_count else store.find("order", where, limit=size, offset=index * size, newest_first=True)
    pages = math.ceil(total / size)
    body = {"total_count": total, "total_pages": pages, "has_previous_page": index > 0, "has_next_page": index + 1 < pages}
    return Answer(body={**body, "items": items, "page_index": index, "page_size": size})


def _number(call: Call, name: str, default: int) -> int:
    text = call.query.get(name, str(default))
    if not (text.isascii() and text.isdigit()):
        raise Refusal(400, "invalid", f"{name}: not a valid number", field=name)
    return int(text)


def _id(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) == 0:
        raise Refusal(400, "invalid", f"{name}: not a valid identifier", field=name)
    return int(text)


def _ids(text: str) -> list[int]:
    return [_id(part.strip(), "ids") for part in text.replace(",", ";").split(";") if part.strip()]


def _moment(name: str, text: str) -> str:
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
    except ValueError:
        raise Refusal(400, "invalid", f"{name}: not a valid date", field=name) from None
    return stamp(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
