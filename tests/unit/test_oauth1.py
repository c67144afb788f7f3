"""OAuth 1.0a signatures: RFC 5849's own example of what is signed, and a shop that checks them by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from pydantic import ValidationError

from towpath.clock import SystemClock
from towpath.config import Connection
from towpath.errors import DataError, RetryableError
from towpath.http import ApiClient
from towpath.metrics import Metrics
from towpath.oauth1 import base_string
from towpath.sandbox.kit.server import build
from towpath.sandbox.kit.system import load
from towpath.systems.base import connect
from towpath.systems.magento import DIALECT, Credentials, refusal, search

KEYS = {
    "access_token": "towpath-sandbox-token",
    "access_token_secret": "towpath-sandbox-token-secret",
    "consumer_key": "towpath-sandbox-consumer",
    "consumer_secret": "towpath-sandbox-consumer-secret",
}
QUERY = search(("sku", "eq", "A B&c=d+e/ü~*'(100%)"), pageSize=2)


def test_what_is_signed_is_what_the_rfc_says() -> None:
    """RFC 5849, 3.4.1.1."""
    header = {
        "oauth_consumer_key": "9djdj82h48djs9d2",
        "oauth_token": "kkk9d7dh3k39sjv7",
        "oauth_signature_method": "HMAC-SHA1",
        "oauth_timestamp": "137131201",
        "oauth_nonce": "7d8f3e4a",
    }
    body = [("c2", ""), ("a3", "2 q")]
    expected = (
        "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26c2%3D%26oauth_consumer_key%3D"
        "9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7"
    )
    assert expected == base_string("post", "http://EXAMPLE.COM:80/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b", [*body, *header.items()])


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """What starts a shop with settings, and gives its client with these credentials."""
    async with AsyncExitStack() as stack:

        async def start(credentials: dict[str, str], **settings: object) -> ApiClient:
            system = load("magento")
            app = build(system, tmp_path, system.settings.model_validate(settings))
            server = await stack.enter_async_context(TestClient(TestServer(app)))
            connection = Connection.model_validate({"system": "magento", "url": str(server.make_url("/")), "credentials": credentials})
            api = connect("shop", connection, SystemClock(), Metrics())
            stack.push_async_callback(api.close)
            return api

        yield start


async def test_a_signed_call_is_taken_where_a_bearer_is_not(shop: Callable[..., Any]) -> None:
    api = await shop(KEYS, bearer_allowed=False)
    for path, params in (("inventory/source-items", QUERY), ("products/BAG", None)):
        assert 200 == (await api.get(f"/rest/V1/{path}", params)).status
    for sku in ("A%20%C3%BC", "A%2FB%201"):
        assert 404 == (await api.get(f"/rest/V1/products/{sku}")).status, "signed, and no such product"
    body = {"sourceItems": [{"sku": "X", "source_code": "default", "quantity": 1, "status": 1}]}
    assert 200 == (await api.write("POST", "/rest/V1/inventory/source-items", body)).status


@pytest.mark.parametrize("name", sorted(KEYS))
async def test_one_wrong_key_is_refused_and_no_record_is_blamed(shop: Callable[..., Any], name: str) -> None:
    api = await shop({**KEYS, name: "wrong-secret"})
    with pytest.raises(RetryableError) as caught:
        await api.get("/rest/V1/products/BAG")
    assert caught.value.system_wide or "isn't authorized" in str(caught.value)
    assert "wrong-secret" not in str(caught.value)


async def test_a_bearer_is_refused_where_the_shop_wants_signatures(shop: Callable[..., Any]) -> None:
    api = await shop({"access_token": KEYS["access_token"]}, bearer_allowed=False)
    with pytest.raises(RetryableError):
        await api.get("/rest/V1/products/BAG")


async def test_no_permission_for_one_path_does_not_close_the_others(shop: Callable[..., Any]) -> None:
    api = await shop({"access_token": KEYS["access_token"]}, denied=["products"])
    with pytest.raises(RetryableError, match="isn't authorized to access products/BAG") as caught:
        await api.get("/rest/V1/products/BAG")
    assert not caught.value.system_wide
    assert 200 == (await api.get("/rest/V1/inventory/source-items", QUERY)).status


def test_credentials_are_a_token_or_all_four() -> None:
    assert Credentials.model_validate({"access_token": "t"}).consumer_key is None
    assert Credentials.model_validate(KEYS).consumer_key is not None
    for name in ("consumer_key", "consumer_secret", "access_token_secret"):
        with pytest.raises(ValidationError, match="to sign by OAuth"):
            Credentials.model_validate({one: value for one, value in KEYS.items() if one != name})
    with pytest.raises(ValidationError):
        Credentials.model_validate({})


@pytest.mark.parametrize(
    ("body", "message", "field"),
    [
        ('{"message": "Order %1 of %2", "parameters": ["7", 8]}', "Order 7 of 8", ""),
        (
            '{"message": "No such entity with %fieldName = %fieldValue", "parameters": {"fieldName": "sku", "fieldValue": "A"}}',
            "No such entity with sku = A",
            "sku",
        ),
        ('{"message": "%1 of %3 is 100% wrong", "parameters": ["7"]}', "7 of %3 is 100% wrong", ""),
        ('{"message": "Two:", "errors": [{"message": "%1!", "parameters": ["a"]}, {"message": "b!"}]}', "Two: a! b!", ""),
        ('{"messages": {"error": [{"code": 500, "message": "Fatal"}]}}', "Fatal", ""),
        ('{"message": "card 4929420573595709 was refused"}', "card 4929420573595709 was refused", ""),
        ("<html>Bad Gateway</html>", "<html>Bad Gateway</html>", ""),
        ("[]", "[]", ""),
        ('{"message": 3}', '{"message": 3}', ""),
        ("[" * 5000, "[" * 600, ""),
    ],
)
def test_a_refusal_is_its_message_with_the_parameters_filled_in(body: str, message: str, field: str) -> None:
    said = refusal(400, body)
    assert field == said.field
    assert message == said.message or "4929420573595709" not in said.message


@pytest.mark.parametrize(
    ("status", "write", "outcome"),
    [
        (400, True, "data"),
        (401, True, "system"),
        (404, False, "missing"),
        (405, True, "data"),
        (406, True, "data"),
        (429, True, "throttled"),
        (500, True, "unknown"),
        (500, False, "retry"),
        (503, True, "retry"),
    ],
)
def test_each_documented_status_means_what_the_table_says(status: int, outcome: str, *, write: bool) -> None:
    assert outcome == DIALECT.outcome(status, write=write)


async def test_a_refusal_by_name_is_told_with_its_field(shop: Callable[..., Any]) -> None:
    api = await shop(KEYS)
    with pytest.raises(DataError, match="searchCriteria") as caught:
        await api.get("/rest/V1/orders")
    assert "searchCriteria" == caught.value.field
