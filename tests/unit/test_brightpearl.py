"""What Brightpearl's answers mean, and how its two kinds of app prove who they are."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import ValidationError
from structlog.testing import capture_logs

from towpath.config import Connection, SecretRef
from towpath.dialect import Outcome, Pace
from towpath.errors import ConfigError, DataError, OutcomeUnknownError, RetryableError, TowpathError
from towpath.http import Answer, ApiClient
from towpath.metrics import Metrics
from towpath.systems.base import connect
from towpath.systems.brightpearl import DIALECT, Credentials, content_of, created_id, entity_of, pace, search
from towpath.testing.clock import VirtualClock
from towpath.vault import KeyPlace, Vault

TOO_MANY = '{"response":"You have sent too many requests. Please wait before sending another request"}'
COLUMNS = [{"name": "orderId"}, {"name": "customerRef"}]


@pytest.mark.parametrize(
    ("status", "text", "write", "outcome"),
    [
        (503, TOO_MANY, True, Outcome.THROTTLED),
        (429, TOO_MANY, True, Outcome.THROTTLED),
        (503, "<html>", True, Outcome.UNKNOWN),
        (503, "<html>", False, Outcome.RETRY),
        (500, '{"errors":[{"code":"CMNC-018","message":"x"}]}', True, Outcome.DATA),
        (500, '{"errors":[{"code":"CMNC-044","message":"x"}]}', False, Outcome.DATA),
        (500, '{"errors":[{"code":"CMNU-003","message":"x"}]}', True, Outcome.UNKNOWN),
        (500, '{"errors":[{"code":"CMNC-018"},{"code":"CMNU-003"}]}', True, Outcome.UNKNOWN),
        (500, '{"errors":[]}', True, Outcome.UNKNOWN),
        (500, "[]", True, Outcome.UNKNOWN),
        (401, '{"response":"Invalid instance token: s3cr3t"}', True, Outcome.SYSTEM),
        (400, '{"errors":[{"code":"ORDC-005","message":"x"}]}', True, Outcome.DATA),
    ],
)
def test_an_answer_means_what_its_status_and_body_say_together(status: int, text: str, write: bool, outcome: str) -> None:  # noqa: FBT001 - a case
    assert outcome == DIALECT.outcome(status, write=write, text=text)


def test_the_period_is_in_milliseconds_and_rubbish_is_nothing() -> None:
    assert Pace(0, 14.164) == pace({"brightpearl-requests-remaining": "0", "brightpearl-next-throttle-period": "14164"})
    for rubbish in ("", "-1", "1e9", "soon", "²", "9" * 400):
        assert Pace() == pace({"brightpearl-requests-remaining": rubbish, "brightpearl-next-throttle-period": rubbish})


def test_a_refusal_tells_codes_and_never_what_stands_in_response() -> None:
    assert "ORDC-005: no type" == DIALECT.refusal(400, '{"errors":[{"code":"ORDC-005","message":"no type"}]}').message
    assert "" == DIALECT.refusal(401, '{"response":"Invalid instance token: s3cr3t"}').message


@pytest.mark.parametrize("text", ["[]", "5", '{"errors":[]}', TOO_MANY, "<html>"])
def test_a_2xx_without_an_envelope_is_unknown_after_a_write_and_repeatable_after_a_read(text: str) -> None:
    with pytest.raises(OutcomeUnknownError):
        content_of(Answer(200, text, write=True))
    with pytest.raises(RetryableError):
        content_of(Answer(200, text))


@pytest.mark.parametrize("response", ["true", "null", '"322"', '"Duplicate order"', "{}", "[1,2]", "0", "-4", "1.5"])
def test_only_a_number_is_an_id(response: str) -> None:
    with pytest.raises(OutcomeUnknownError):
        created_id(Answer(200, f'{{"response":{response}}}', write=True))


def test_an_id_is_read_alone_or_from_a_list_of_one() -> None:
    assert [322, 7] == [created_id(Answer(200, text, write=True)) for text in ('{"response":322}', '{"response":[7]}')]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"app_ref": "a"},
        {"app_ref": "a", "dev_ref": "d"},
        {"app_ref": "a", "account_token": "t", "refresh_token": "r"},
        {"app_ref": "a", "client_id": "c", "refresh_token": "r"},
        {"app_ref": "a", "account_token": "t", "other": "x"},
    ],
)
def test_credentials_are_of_one_kind_of_app(given: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Credentials.model_validate(given)


class Vendor:
    """A server that answers as the test says, and notes what it was sent."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.forms: list[dict[str, list[str]]] = []
        self.headers: list[dict[str, str]] = []
        self.refused = ""
        self.sent: dict[str, str] = {}
        self.text = '{"response":[]}'
        app = web.Application()
        app.router.add_post("/token/acme", self._token)
        app.router.add_get("/public-api/acme/{path:.*}", self._answer)
        self.server = TestServer(app)

    def client(self, **credentials: str | SecretRef) -> ApiClient:
        options = {"token_url": str(self.server.make_url("/token"))} if "refresh_token" in credentials else {}
        content = {"system": "brightpearl", "url": str(self.server.make_url("/public-api/acme")), "credentials": credentials, "options": options}
        return connect("erp", Connection.model_validate(content), self.clock, Metrics())

    async def _token(self, request: web.Request) -> web.Response:
        self.forms.append(parse_qs(await request.text()))
        number = len(self.forms)
        return web.json_response({"access_token": f"access-{number}+/=", "refresh_token": f"refresh-{number}+/=", "expires_in": 537227})

    async def _answer(self, request: web.Request) -> web.Response:
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        if self.refused and self.refused in request.headers.get("Authorization", ""):
            return web.json_response({"response": "Authorization token expired"}, status=401)
        return web.Response(text=self.text, headers=self.sent)


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    vendor = Vendor()
    await vendor.server.start_server()
    yield vendor
    await vendor.server.close()


@pytest.fixture
async def instance(vendor: Vendor) -> AsyncIterator[ApiClient]:
    async with AsyncExitStack() as stack:
        api = vendor.client(app_ref="acme_app", dev_ref="dev", client_id="c", client_secret="cs", refresh_token="refresh-0+/=")
        stack.push_async_callback(api.close)
        yield api


async def test_an_instance_app_sends_its_references_and_a_token_that_a_form_has_brought(vendor: Vendor, instance: ApiClient) -> None:
    await instance.get("/order-service/order/1")
    (form,), (sent,) = vendor.forms, vendor.headers
    assert {"grant_type": ["refresh_token"], "refresh_token": ["refresh-0+/="], "client_id": ["c"], "client_secret": ["cs"]} == form
    assert ("acme_app", "dev", "Bearer access-1+/=") == tuple(sent[name] for name in ("brightpearl-app-ref", "brightpearl-dev-ref", "authorization"))


async def test_the_refresh_token_that_came_with_a_token_is_the_one_used_next(vendor: Vendor, instance: ApiClient) -> None:
    await instance.get("/order-service/order/1")
    vendor.refused = "access-1"
    with pytest.raises(TowpathError):
        await vendor.clock.run(instance.get("/order-service/order/1"))
    await vendor.clock.run(instance.get("/order-service/order/1"))
    assert ["refresh-0+/=", "refresh-1+/="] == [form["refresh_token"][0] for form in vendor.forms]
    assert "Bearer access-2+/=" == vendor.headers[-1]["authorization"]


async def test_a_refresh_token_of_the_vault_is_exchanged_there_for_the_next_start(vendor: Vendor, tmp_path: Path) -> None:
    vault = Vault(tmp_path / "vault", KeyPlace("file", str(tmp_path / "vault.key")))
    vault.make()
    vault.set("erp-refresh", "refresh-0+/=", datetime(2026, 1, 31, tzinfo=UTC))
    reference = SecretRef("vault", "erp-refresh", vault)
    for number in (1, 2):
        api = vendor.client(app_ref="acme_app", dev_ref="dev", client_id="c", refresh_token=reference)
        await api.get("/order-service/order/1")
        await api.close()
        assert f"refresh-{number}+/=" == vault.held("erp-refresh").value
    assert ["refresh-0+/=", "refresh-1+/="] == [form["refresh_token"][0] for form in vendor.forms]


async def test_a_refresh_token_that_the_vault_does_not_take_is_used_all_the_same_and_that_is_logged(
    vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = Vault(tmp_path / "vault", KeyPlace("file", str(tmp_path / "vault.key")))
    vault.make()
    vault.set("erp-refresh", "refresh-0+/=", datetime(2026, 1, 31, tzinfo=UTC))
    api = vendor.client(app_ref="acme_app", dev_ref="dev", client_id="c", refresh_token=SecretRef("vault", "erp-refresh", vault))

    def broken(*_: object, **__: object) -> None:
        raise ConfigError("the vault cannot be written")

    monkeypatch.setattr(Vault, "set", broken)
    with capture_logs() as logs:
        await api.get("/order-service/order/1")
    vendor.refused = "access-1"
    with pytest.raises(TowpathError):
        await vendor.clock.run(api.get("/order-service/order/1"))
    await vendor.clock.run(api.get("/order-service/order/1"))
    await api.close()
    assert ["refresh-0+/=", "refresh-1+/="] == [form["refresh_token"][0] for form in vendor.forms]
    (told,) = logs
    assert ("vault:erp-refresh", "the vault cannot be written") == (told["reference"], told["reason"])
    assert "refresh-1" not in str(logs)


async def test_a_private_app_sends_its_two_headers(vendor: Vendor) -> None:
    api = vendor.client(app_ref="acme_app", account_token="t+/=")
    await api.get("/order-service/order/1")
    await api.close()
    assert ("acme_app", "t+/=") == tuple(vendor.headers[0][f"brightpearl-{name}"] for name in ("app-ref", "account-token"))
    assert "authorization" not in vendor.headers[0]


async def test_a_spent_limit_holds_the_next_call_until_the_period_ends(vendor: Vendor) -> None:
    api = vendor.client(app_ref="a", account_token="t")
    vendor.sent = {"brightpearl-requests-remaining": "0", "brightpearl-next-throttle-period": "14164"}
    await api.get("/order-service/order/1")
    vendor.sent, began = {}, vendor.clock.monotonic()
    await vendor.clock.run(api.get("/order-service/order/1"))
    assert 14.1 < vendor.clock.monotonic() - began < 16
    await api.close()


async def test_positional_rows_are_read_by_the_names_of_their_columns(vendor: Vendor) -> None:
    api = vendor.client(app_ref="a", account_token="t")
    meta = {"resultsAvailable": 1, "morePagesAvailable": False}
    for columns in (COLUMNS, COLUMNS[::-1]):
        row = [7 if column["name"] == "orderId" else "SHOP-1" for column in columns]
        vendor.text = json.dumps({"response": {"results": [row], "metaData": {**meta, "columns": columns}}, "reference": {}})
        assert [{"orderId": 7, "customerRef": "SHOP-1"}] == (await search(api, "/order-service/order-search", {})).rows
    await api.close()


@pytest.mark.parametrize(
    "response",
    [
        [],
        {},
        {"results": [[1]], "metaData": {"columns": COLUMNS, "resultsAvailable": 1}},
        {"results": [], "metaData": {}},
        {"results": [], "metaData": {"columns": [], "resultsAvailable": "1"}},
    ],
)
async def test_a_search_whose_rows_and_columns_do_not_fit_is_tried_again(vendor: Vendor, response: Any) -> None:  # noqa: ANN401 - any JSON
    api = vendor.client(app_ref="a", account_token="t")
    vendor.text = json.dumps({"response": response})
    with pytest.raises(RetryableError):
        await search(api, "/order-service/order-search", {})
    await api.close()


def test_a_webhook_without_a_template_says_what_to_give() -> None:
    with pytest.raises(DataError, match="bodyTemplate"):
        entity_of(b'{"id": "5"}')
