"""How to talk to BNG: credentials, what its statuses mean, and its calls (contract: schemas/http/bng.yaml)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import aiohttp
from pydantic import BaseModel, ConfigDict, Field, model_validator

from towpath.config import Connection
from towpath.config.secret import Credential
from towpath.errors import RetryableError
from towpath.http import ApiClient, Dialect, Outcome, Refusal

BASE = "/api/v1"

ERRORS = (
    (range(401, 402), Outcome.SYSTEM),
    (range(403, 404), Outcome.SYSTEM),
    (range(404, 405), Outcome.MISSING),
    (range(429, 430), Outcome.THROTTLED),
    (range(400, 500), Outcome.DATA),
    (range(503, 504), Outcome.RETRY),
    (range(500, 600), Outcome.UNKNOWN),
)
"""BNG refuses with 503 before it does anything; after any other 5xx it may have committed."""


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


class BngAuthoriser:
    """Adds `X-API-Key`, or a bearer token fetched once and again when it was refused."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._token: str | None = None
        self._fetching = asyncio.Lock()

    async def headers(self, session: aiohttp.ClientSession) -> Mapping[str, str]:
        """Return the header of the configured credentials."""
        if "api_key" in self._connection.credentials:
            return {"X-API-Key": self._connection.credential("api_key").get_secret_value()}
        async with self._fetching:  # many calls wait for one token
            if self._token is None:
                self._token = await self._fetch(session)
        return {"Authorization": f"Bearer {self._token}"}

    def forget(self) -> None:
        """Drop the token."""
        self._token = None

    async def _fetch(self, session: aiohttp.ClientSession) -> str:
        form = {
            "grant_type": "client_credentials",
            "client_id": self._connection.credential("client_id").get_secret_value(),
            "client_secret": self._connection.credential("client_secret").get_secret_value(),
        }
        async with session.post(f"{self._connection.url}/oauth/token", data=form) as response:
            if response.status != 200:  # noqa: PLR2004 - OK
                raise RetryableError(f"bng: POST /oauth/token: {response.status}: the credentials were refused", system_wide=True)
            token: str = (await response.json())["access_token"]
            return token


def refusal(_status: int, text: str) -> Refusal:
    """Return what BNG's error body says: its code and message, and the field at fault."""
    try:
        error = json.loads(text)["error"]
        return Refusal(f"{error['code']}: {error['message']}"[:300], str(error.get("field") or ""))
    except (ValueError, KeyError, TypeError):
        return Refusal(" ".join(text.split())[:300])


DIALECT = Dialect(ERRORS, refusal)


def authoriser(connection: Connection) -> BngAuthoriser:
    """Return what adds this connection's credentials to a call."""
    return BngAuthoriser(connection)


class Bng:
    """BNG's calls as Towpath needs them; `api` is what sends them."""

    def __init__(self, api: ApiClient) -> None:
        self.api = api

    async def find_customer(self, external_id: str) -> str | None:
        """Return the CustomerID of the oldest customer with this ExternalID, None where there is none."""
        return await self._find("/customers", {"externalId": external_id}, "CustomerID")

    async def create_customer(self, document: Mapping[str, Any]) -> str:
        """Create a customer and return its CustomerID."""
        created = (await self.api.write("POST", f"{BASE}/customers", document)).json()
        return str(created["CustomerID"])

    async def find_sales_order(self, external_id: str) -> str | None:
        """Return the SalesOrderID of the oldest order with this ExternalOrderID, None where there is none."""
        return await self._find("/sales-orders", {"externalOrderId": external_id}, "SalesOrderID")

    async def create_sales_order(self, document: Mapping[str, Any]) -> str:
        """Create a sales order, which allocates stock, and return its SalesOrderID."""
        created = (await self.api.write("POST", f"{BASE}/sales-orders", document)).json()
        return str(created["SalesOrderID"])

    async def _find(self, path: str, query: Mapping[str, str], id_field: str) -> str | None:
        items = (await self.api.get(f"{BASE}{path}", query)).json()["items"]
        return str(items[0][id_field]) if items else None  # a list begins with the oldest
