"""How to talk to BNG: credentials, what its statuses mean, and its calls (contract: schemas/http/bng.yaml)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import aiohttp
from pydantic import BaseModel, ConfigDict, Field, model_validator

from towpath.authorisers import BearerToken, HeaderKey, fetch_token
from towpath.config import Connection
from towpath.config.secret import Credential
from towpath.delivery.tokens import Token
from towpath.dialect import USUAL, Dialect, Refusal, refusal_of
from towpath.errors import DataError, RetryableError
from towpath.http import Answer, ApiClient, Authoriser

BASE = "/api/v1"
CANCELLED: Final = 90
"""The status of a sales order that was cancelled."""
Record = Mapping[str, Any]

ERRORS = USUAL


class Credentials(BaseModel):
    """Either an API key, or OAuth 2.0 client credentials."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    api_key: Credential | None = None
    client_id: str | None = None
    client_secret: Credential | None = Field(default=None)

    @model_validator(mode="after")
    def _one_way(self) -> Credentials:
        if (self.api_key is None) == (self.client_id is None or self.client_secret is None):
            raise ValueError("give either api_key, or client_id and client_secret")
        return self


class Options(BaseModel):
    """BNG needs no options."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def refusal(status: int, text: str) -> Refusal:
    """Return what BNG's error body says: its code and message, and the field at fault."""
    try:
        error = json.loads(text)["error"]
        return Refusal(f"{error['code']}: {error['message']}", str(error.get("field") or ""))
    except (ValueError, KeyError, TypeError, RecursionError):
        return refusal_of(status, text)


DIALECT = Dialect(ERRORS, refusal)

PROBE = (f"{BASE}/customers", {"externalId": "towpath-check"})
"""A read that shows whether our credentials are accepted."""

BLANKED: Sequence[str] = ()
"""No field of BNG's holds card data."""
IDS: Final = {
    "inventory": "SKU",
    "sales_order": "SalesOrderID",
    "shipment": "ShipmentID",
    "invoice": "InvoiceID",
    "product": "ProductID",
    "customer": "CustomerID",
}
"""The entities that are read, and the field that names one; inventory is that of a SKU, in whichever warehouse."""
TYPES: Final = {
    "inventory_updated": "inventory",
    "order_status_changed": "sales_order",
    "shipment_created": "shipment",
    "invoice_created": "invoice",
    "product_updated": "product",
    "customer_updated": "customer",
}
"""The webhooks that are read, and the entity that each carries whole."""
LONGEST_ID: Final = 200


class Named(NamedTuple):
    """What a webhook is about."""

    entity: str
    id: str


def entity_of(body: bytes) -> Named | None:
    """Return what a webhook is about, None for a type that no flow can use; raises DataError with the field that is wrong."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise DataError(f"the webhook's body is not JSON: {error}", field="body", value=body[:40].decode("utf-8", "replace")) from error
    kind = content.get("type") if isinstance(content, dict) else None
    if not isinstance(kind, str):
        raise DataError("the webhook's type is no text", field="type", value=repr(kind))
    if kind not in TYPES:
        return None
    data = content.get("data")
    if not isinstance(data, dict):
        raise DataError("the webhook has no object `data`", field="data")
    return Named(TYPES[kind], id_of(data, IDS[TYPES[kind]], "data."))


def id_of(record: Mapping[str, Any], field: str, where: str = "") -> str:
    """Return an id or SKU; raises DataError naming the field, after `where` it stands, for what is none: ids become keys, and parts of paths."""
    value = record.get(field)
    if not isinstance(value, str) or not value.strip() or len(value) > LONGEST_ID or not value.isprintable():
        raise DataError(f"{where}{field} is no id", field=f"{where}{field}", value=repr(value))
    return value


def key_of(body: bytes) -> str | None:
    """Return `entity/id` of a webhook, None where it cannot be read."""
    try:
        named = entity_of(body)
    except DataError:
        return None
    return None if named is None else f"{named.entity}/{named.id}"


def authoriser(connection: Connection) -> Authoriser:
    """Return what adds this connection's credentials to a call: `X-API-Key`, or a bearer token by OAuth 2.0."""
    if "api_key" in connection.credentials:
        return HeaderKey("X-API-Key", lambda: connection.credential("api_key"))

    async def fetch(session: aiohttp.ClientSession) -> Token:
        form = {
            "grant_type": "client_credentials",
            "client_id": connection.credential("client_id").get_secret_value(),
            "client_secret": connection.credential("client_secret").get_secret_value(),
        }
        return await fetch_token(session, "bng: POST /oauth/token", f"{connection.url}/oauth/token", "access_token", data=form)

    return BearerToken(fetch)


class Bng:
    """BNG's calls as Towpath needs them; `api` is what sends them."""

    def __init__(self, api: ApiClient) -> None:
        self.api = api

    async def find_customer(self, external_id: str) -> Record | None:
        """Return the oldest customer with this ExternalID, None where there is none."""
        return await self._find("/customers", {"externalId": external_id}, "ExternalID", "CustomerID")

    async def find_customer_by_email(self, email: str) -> Record | None:
        """Return the oldest customer with this e-mail address, compared without regard to case, None where there is none."""
        return await self._find("/customers", {"email": email}, "Email", "CustomerID")

    async def customers_by_email(self, email: str) -> list[Record]:
        """Return every customer with this e-mail address, the oldest first."""
        return await self._list("/customers", {"email": email}, "Email", "CustomerID")

    async def customer(self, customer_id: str) -> Record:
        """Return a customer; raises DataError where there is none."""
        if customer_id in {".", ".."}:
            raise DataError(f"{customer_id} is no id", field="CustomerID", value=customer_id)
        answer = await self.api.get(f"{BASE}/customers/{quote(customer_id, safe='')}")
        if answer.status == 404:  # noqa: PLR2004 - not found
            raise DataError(f"customer {customer_id} does not exist at {self.api.name}", field="CustomerID", value=customer_id)
        return _record(answer, "CustomerID")

    async def change_customer(self, customer_id: str, change: Record) -> Record:
        """Change these fields of a customer and return it."""
        return _record(await self.api.write("PATCH", f"{BASE}/customers/{quote(customer_id, safe='')}", change), "CustomerID")

    async def create_customer(self, document: Record) -> Record:
        """Create a customer and return it."""
        return _record(await self.api.write("POST", f"{BASE}/customers", document), "CustomerID")

    async def find_sales_order(self, external_id: str) -> Record | None:
        """Return the oldest order with this ExternalOrderID, None where there is none."""
        return await self._find("/sales-orders", {"externalOrderId": external_id}, "ExternalOrderID", "SalesOrderID")

    async def create_sales_order(self, document: Record) -> Record:
        """Create a sales order, which allocates stock, and return it."""
        return _record(await self.api.write("POST", f"{BASE}/sales-orders", document), "SalesOrderID")

    async def sales_order(self, order_id: str) -> Record:
        """Return a sales order; raises DataError where there is none."""
        return _record(await read_sales_order(self.api, order_id), "SalesOrderID")

    async def change_sales_order(self, order_id: str, change: Record) -> Record:
        """Change these fields of a sales order and return it."""
        return _record(await self.api.write("PATCH", f"{BASE}/sales-orders/{quote(order_id, safe='')}", change), "SalesOrderID")

    async def customers(self, external_id: str) -> list[Record]:
        """Return every customer with this ExternalID, the oldest first."""
        return await self._list("/customers", {"externalId": external_id}, "ExternalID", "CustomerID")

    async def sales_orders(self, external_id: str) -> list[Record]:
        """Return every order with this ExternalOrderID, the oldest first."""
        return await self._list("/sales-orders", {"externalOrderId": external_id}, "ExternalOrderID", "SalesOrderID")

    async def shipments(self, order_id: str) -> list[Record]:
        """Return every shipment of a sales order, the oldest first."""
        return await self._list("/shipments", {"salesOrderId": order_id}, "SalesOrderID", "ShipmentID")

    async def invoices(self, order_id: str) -> list[Record]:
        """Return every invoice of a sales order, the oldest first."""
        return await self._list("/invoices", {"salesOrderId": order_id}, "SalesOrderID", "InvoiceID")

    async def gl_entries(self, reference: str) -> list[Record]:
        """Return every entry of the general ledger with this Reference, the oldest first."""
        return await self._list("/gl-entries", {"reference": reference}, "Reference", "GlEntryID")

    async def create_gl_entry(self, document: Record) -> Record:
        """Post an entry to the general ledger and return it."""
        return _record(await self.api.write("POST", f"{BASE}/gl-entries", document), "GlEntryID")

    async def credit_memos(self, order_id: str) -> list[Record]:
        """Return every credit memo against a sales order, the oldest first."""
        return await self._list("/credit-memos", {"salesOrderId": order_id}, "SalesOrderID", "CreditMemoID")

    async def create_credit_memo(self, document: Record) -> Record:
        """Create a credit memo and return it."""
        return _record(await self.api.write("POST", f"{BASE}/credit-memos", document), "CreditMemoID")

    async def _find(self, path: str, query: Mapping[str, str], reference: str, id_field: str) -> Record | None:
        return next(iter(await self._list(path, query, reference, id_field)), None)

    async def _list(self, path: str, query: Mapping[str, str], reference: str, id_field: str) -> list[Record]:
        answer = await self.api.get(f"{BASE}{path}", query)
        if answer.status == 404:  # noqa: PLR2004 - not found: a list always exists
            raise RetryableError(f"{self.api.name}: GET {BASE}{path}: 404; is this connection's url that of BNG?", system_wide=True)
        content = answer.json()
        items = content.get("items") if isinstance(content, dict) else None
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise answer.unreadable("it has no list of items")
        wanted = {value.strip().casefold() for value in query.values()}
        if not all(str(item.get(reference)).strip().casefold() in wanted for item in items):
            raise answer.unreadable(f"it lists records of another {reference} than asked for")
        return [_record(answer, id_field, item) for item in items]  # a list begins with the oldest


async def read_sales_order(api: ApiClient, order_id: str) -> Answer:
    """Return the answer that has a sales order; raises DataError where there is none, or the id would be another path."""
    if order_id in {".", ".."}:
        raise DataError(f"{order_id} is no id", field="SalesOrderID", value=order_id)
    answer = await api.get(f"{BASE}/sales-orders/{quote(order_id, safe='')}")
    if answer.status == 404:  # noqa: PLR2004 - not found
        raise DataError(f"sales order {order_id} does not exist at {api.name}", field="SalesOrderID", value=order_id)
    return answer


def _record(answer: Answer, field: str, record: Record | None = None) -> Record:
    content = answer.json() if record is None else record
    found = content.get(field) if isinstance(content, Mapping) else None
    if not isinstance(found, str) or not found:
        raise answer.unreadable(f"it has no {field}")
    return dict(content)
