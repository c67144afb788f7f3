"""How to talk to BNG: credentials, what its statuses mean, and its calls (contract: schemas/http/bng.yaml)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import aiohttp
from pydantic import BaseModel, ConfigDict, Field, model_validator

from towpath.authorisers import BearerToken, HeaderKey, fetch_token
from towpath.config import Connection
from towpath.config.secret import Credential
from towpath.dialect import USUAL, Dialect, Refusal, refusal_of
from towpath.errors import RetryableError
from towpath.http import Answer, ApiClient, Authoriser

BASE = "/api/v1"

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


def authoriser(connection: Connection) -> Authoriser:
    """Return what adds this connection's credentials to a call: `X-API-Key`, or a bearer token by OAuth 2.0."""
    if "api_key" in connection.credentials:
        return HeaderKey("X-API-Key", lambda: connection.credential("api_key"))

    async def fetch(session: aiohttp.ClientSession) -> str:
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

    async def find_customer(self, external_id: str) -> str | None:
        """Return the CustomerID of the oldest customer with this ExternalID, None where there is none."""
        return await self._find("/customers", {"externalId": external_id}, "ExternalID", "CustomerID")

    async def find_customer_by_email(self, email: str) -> str | None:
        """Return the CustomerID of the oldest customer with this e-mail address, compared without regard to case, None where there is none."""
        return await self._find("/customers", {"email": email}, "Email", "CustomerID")

    async def create_customer(self, document: Mapping[str, Any]) -> str:
        """Create a customer and return its CustomerID."""
        return _id(await self.api.write("POST", f"{BASE}/customers", document), "CustomerID")

    async def find_sales_order(self, external_id: str) -> str | None:
        """Return the SalesOrderID of the oldest order with this ExternalOrderID, None where there is none."""
        return await self._find("/sales-orders", {"externalOrderId": external_id}, "ExternalOrderID", "SalesOrderID")

    async def create_sales_order(self, document: Mapping[str, Any]) -> str:
        """Create a sales order, which allocates stock, and return its SalesOrderID."""
        return _id(await self.api.write("POST", f"{BASE}/sales-orders", document), "SalesOrderID")

    async def _find(self, path: str, query: Mapping[str, str], reference: str, id_field: str) -> str | None:
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
        return _id(answer, id_field, items[0]) if items else None  # a list begins with the oldest


def _id(answer: Answer, field: str, record: Mapping[str, Any] | None = None) -> str:
    content = answer.json() if record is None else record
    found = content.get(field) if isinstance(content, Mapping) else None
    if not isinstance(found, str) or not found:
        raise answer.unreadable(f"it has no {field}")
    return found
