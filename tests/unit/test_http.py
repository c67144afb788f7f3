from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from towpath.config.connections import Connection, system_names
from towpath.delivery.gate import OPENS_AFTER, Gate
from towpath.dialect import Outcome
from towpath.errors import DataError, FencedError, OutcomeUnknownError, RetryableError, TowpathError
from towpath.http import LARGEST_ANSWER, ApiClient
from towpath.metrics import Metrics
from towpath.systems.base import system_module
from towpath.systems.bng import Bng
from towpath.testing.clock import VirtualClock

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
SECRET = "canary-of-the-credentials"
CREDENTIALS: dict[str, dict[str, str]] = {
    "bng": {"client_id": "towpath", "client_secret": SECRET},
    "nopcommerce": {"username": "api@shop.example", "password": SECRET},
}
BRIGHTPEARL = {"app_ref": "acme_towpath", "dev_ref": "towpath", "client_id": "towpath", "refresh_token": SECRET}
CREDENTIALS["brightpearl"] = BRIGHTPEARL
CREDENTIALS["magento"] = {"access_token": SECRET}
CREDENTIALS["threepl"] = {"token": SECRET}
SIGNING_IN = [name for name in system_names() if name not in {"magento", "threepl"}]
"""The systems that are asked for a token; the others' is given."""
TOKENS = {"/oauth/token": "access_token", "/api-backend/Authenticate/GetToken": "token", "/token": "access_token"}


class Target:
    """A real HTTP server that answers as the test says, and a client of one connection to it."""

    def __init__(self) -> None:
        self.clock, self.metrics = VirtualClock(), Metrics()
        self.answer: Handler = self._ok
        self.answer_token: Handler | None = None
        self.seen: list[tuple[str, str]] = []
        self.tokens = 0
        self.authorization: list[str | None] = []
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._any)
        self.server = TestServer(app)
        self._clients: list[ApiClient] = []

    def client(self, system: str = "bng", *, timeout: float = 5, url: str | None = None) -> ApiClient:
        module = system_module(system)
        connection = Connection.model_validate(self._settings(system, url))
        gate = Gate(self.clock)
        client = ApiClient(
            "erp",
            connection.url,
            dialect=module.DIALECT,
            authoriser=module.authoriser(connection),
            gate=gate,
            timeout=timeout,
            metrics=self.metrics,
        )
        self._clients.append(client)
        return client

    def _settings(self, system: str, url: str | None) -> dict[str, Any]:
        options = {"token_url": str(self.server.make_url("/token"))} if system == "brightpearl" else {}
        return {"system": system, "url": url or str(self.server.make_url("/")), "credentials": CREDENTIALS[system], "options": options}

    async def error_of(self, work: Awaitable[Any]) -> TowpathError:
        """Return what `work` raises, letting just as much time pass as it sleeps."""
        with pytest.raises(TowpathError) as raised:
            await self.clock.run(work)
        return raised.value

    def figure(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, {"connection": "erp", **labels}) or 0

    def calls(self, answer: str) -> float:
        return self.figure("towpath_call_seconds_count", answer=answer)

    async def close(self) -> None:
        for client in self._clients:
            await client.close()
        await self.server.close()

    async def _any(self, request: web.Request) -> web.StreamResponse:
        self.seen.append((request.method, request.path))
        if (field := TOKENS.get(f"/{request.path.split('/')[1]}" if request.path.startswith("/token/") else request.path)) is not None:
            self.tokens += 1
            if self.answer_token is not None:
                return await self.answer_token(request)
            return web.json_response({field: f"token-{self.tokens}", "token_type": "Bearer", "expires_in": 60})
        self.authorization.append(request.headers.get("Authorization"))
        return await self.answer(request)

    async def _ok(self, _request: web.Request) -> web.StreamResponse:
        return web.json_response({"items": []})


@pytest.fixture
async def target() -> AsyncIterator[Target]:
    target = Target()
    await target.server.start_server()
    yield target
    await target.close()


def answering(status: int, text: str = "", headers: dict[str, str] | None = None) -> Handler:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text=text, headers=headers)

    return answer


ROWS = [(system, statuses, outcome) for system in system_names() for statuses, outcome in system_module(system).ERRORS]
EXPECTED: dict[str, tuple[type[TowpathError], type[TowpathError] | None]] = {  # of a write, of a read; None: an answer
    Outcome.DATA: (DataError, DataError),
    Outcome.RETRY: (RetryableError, RetryableError),
    Outcome.THROTTLED: (RetryableError, RetryableError),
    Outcome.SYSTEM: (RetryableError, RetryableError),
    Outcome.UNKNOWN: (OutcomeUnknownError, RetryableError),
    Outcome.MISSING: (DataError, None),
}


@pytest.mark.parametrize(("system", "statuses", "outcome"), ROWS, ids=lambda value: str(value).replace(" ", ""))
async def test_every_row_of_every_systems_table_means_what_it_says(target: Target, system: str, statuses: range, outcome: str) -> None:
    earlier = {status for name, row, _ in ROWS[: ROWS.index((system, statuses, outcome))] if name == system for status in row}
    own = [status for status in statuses if status not in earlier]
    assert own, "a row that others hide"
    for status in {own[0], own[-1]}:
        target.answer = answering(status, "no\nway")
        for write in (True, False):
            api = target.client(system)
            call = api.write("POST", "/things", {"a": 1}) if write else api.get("/things")
            expected = EXPECTED[outcome][0 if write else 1]
            if expected is None:
                assert (await call).status == status
                continue
            error = await target.error_of(call)
            assert expected is type(error), f"{status}, write={write}"
            assert f"erp: {'POST' if write else 'GET'} /things: {status}" in str(error)
            assert "\n" not in str(error)
            if isinstance(error, RetryableError):
                assert (outcome == Outcome.THROTTLED, outcome == Outcome.SYSTEM) == (error.throttled, error.system_wide)


@pytest.mark.parametrize("system", system_names())
@pytest.mark.parametrize("status", [300, 302, 307, 308, 399, 600, 999])
async def test_a_status_that_no_table_names_is_unknown_for_a_write_and_tried_again_for_a_read(target: Target, system: str, status: int) -> None:
    target.answer = answering(status, headers={"Location": "/elsewhere"})
    api = target.client(system)
    assert isinstance(await target.error_of(api.write("POST", "/things", {})), OutcomeUnknownError)
    assert isinstance(await target.error_of(api.get("/things")), RetryableError)
    assert ("GET", "/elsewhere") not in target.seen


@pytest.mark.parametrize("system", SIGNING_IN)
@pytest.mark.parametrize("status", [302, 307, 308])
async def test_credentials_are_sent_to_no_redirected_address(target: Target, system: str, status: int) -> None:
    target.answer_token = answering(status, headers={"Location": "/stolen"})
    error = await target.error_of(target.client(system).get("/things"))
    assert isinstance(error, RetryableError)
    assert error.system_wide
    assert 1 == len(target.seen)


async def test_nobody_listening_is_a_fault_of_the_whole_system_and_nothing_was_sent(target: Target) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    api = target.client(url=f"http://127.0.0.1:{port}")
    for call in (api.get("/things"), api.write("POST", "/things", {})):
        error = await target.error_of(call)
        assert isinstance(error, RetryableError)
        assert error.system_wide
        assert "cannot connect" in str(error)
    assert 2 == target.calls("none")


async def test_a_host_that_swallows_connections_is_a_fault_of_the_whole_system(target: Target) -> None:
    with socket.socket() as full:  # a full backlog: the kernel answers no further SYN
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.settimeout(0)
            filler.connect_ex(address)
        error = await target.error_of(target.client(url=f"http://127.0.0.1:{address[1]}", timeout=0.3).write("POST", "/things", {}))
        for filler in fillers:
            filler.close()
    assert isinstance(error, RetryableError)
    assert error.system_wide


@pytest.mark.parametrize("how", ["reset", "truncated", "hangs", "endless"])
async def test_an_answer_that_does_not_come_whole_leaves_a_write_unknown_and_a_read_repeatable(target: Target, how: str) -> None:
    done = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        if how == "hangs":
            await done.wait()
        if how == "endless":
            response = web.StreamResponse()
            await response.prepare(request)
            try:
                for _ in range(LARGEST_ANSWER // 2**20 + 20):
                    await response.write(b" " * 2**20)
            except ConnectionError:
                pass
            return response
        if how == "truncated":
            request.transport.write(b"HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{")
        request.transport.close()
        return web.Response()

    target.answer = answer
    api = target.client(timeout=0.3 if how == "hangs" else 20)
    unknown, repeatable = await target.error_of(api.write("POST", "/things", {})), await target.error_of(api.get("/things"))
    done.set()
    assert isinstance(unknown, OutcomeUnknownError)
    assert isinstance(repeatable, RetryableError)
    assert not repeatable.system_wide, "one slow call blames nobody"


async def test_an_answer_in_many_pieces_is_read_to_its_end(target: Target) -> None:
    async def in_pieces(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"items": [')
        for number in range(2000):
            await response.write(b"%d," % number)
            if number % 100 == 0:
                await asyncio.sleep(0)
        await response.write(b"0.10]}")
        return response

    target.answer = in_pieces
    items = (await target.client().get("/things")).json()["items"]
    assert 2001 == len(items)
    assert Decimal("0.10") == items[-1]
    assert "0.10" == str(items[-1]), "as it was sent"


@pytest.mark.parametrize("text", ["<html>", "", "[" * 200_000, '{"a": ' + "9" * 5000 + "}"])
async def test_a_success_that_is_no_json_leaves_a_write_unknown_and_a_read_repeatable(target: Target, text: str) -> None:
    target.answer = answering(200, text)
    api = target.client()
    for answer, expected in [(await api.write("POST", "/x", {}), OutcomeUnknownError), (await api.get("/x"), RetryableError)]:
        with pytest.raises(expected, match="cannot be read"):
            answer.json()


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7), ("0.5", 0.5), ("0", 0), ("999999", 3600), ("-3", None), ("nan", None), ("inf", None), ("1e3", None), ("1_0", None), ("soon", None),
     ("Sat, 21 Nov 2026 12:00:30 GMT", 30), ("Sat, 21 Nov 2026 11:00:00 GMT", 0), ("Mon, 99 Foo", None)],
)  # fmt: skip
async def test_retry_after_in_seconds_or_as_a_time(target: Target, header: str, seconds: float | None) -> None:
    target.answer = answering(503, headers={"Retry-After": header, "Date": "Sat, 21 Nov 2026 12:00:00 GMT"})
    error = await target.error_of(target.client().get("/things"))
    assert isinstance(error, RetryableError)
    assert seconds == error.retry_after


async def test_a_read_that_fails_for_a_moment_is_sent_again_soon_and_each_try_counts(target: Target) -> None:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.json_response({}, status=503 if len(target.authorization) < 3 else 200)

    target.answer = answer
    assert 200 == (await target.clock.run(target.client().get("/things"))).status
    assert (2, 1) == (target.calls("5xx"), target.calls("2xx"))
    assert 0 < target.clock.monotonic() < 0.5


async def test_a_read_that_keeps_failing_is_told_after_three_tries(target: Target) -> None:
    target.answer = answering(503)
    assert isinstance(await target.error_of(target.client().get("/things")), RetryableError)
    assert 3 == target.calls("5xx")


@pytest.mark.parametrize(("status", "headers"), [(429, {}), (401, {}), (503, {"Retry-After": "0"}), (404, {}), (422, {})])
async def test_a_read_that_is_refused_for_good_or_told_when_to_come_again_is_sent_once(target: Target, status: int, headers: dict[str, str]) -> None:
    target.answer = answering(status, headers=headers)
    with contextlib.suppress(TowpathError):
        await target.clock.run(target.client().get("/things"))
    assert 1 == len(target.authorization)


async def test_a_read_that_takes_its_time_to_fail_is_sent_once(target: Target) -> None:
    async def answer(_request: web.Request) -> web.StreamResponse:
        await target.clock.advance(5)
        return web.Response(status=503)

    target.answer = answer
    with pytest.raises(RetryableError):
        await target.client(timeout=5).get("/things")
    assert 1 == target.calls("5xx")


@pytest.mark.parametrize(("status", "error"), [(503, RetryableError), (500, OutcomeUnknownError)])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_write_is_sent_once_whatever_its_method(target: Target, method: str, status: int, error: type[Exception]) -> None:
    target.answer = answering(status)
    assert isinstance(await target.error_of(target.client().write(method, "/things", {})), error)
    assert 1 == target.calls("5xx")


@pytest.mark.parametrize(
    "body",
    [{"Name": "Zoë 北"}, {"Total": 10**30}, {"Name": "half a \ud83d surrogate"}, {"Weight": Decimal("113.280"), "Rate": Decimal("1E-7")}, {}],
    ids=["text", "large", "half", "exact", "empty"],
)
async def test_a_body_arrives_as_it_was_given(target: Target, body: dict[str, Any]) -> None:
    async def answer(request: web.Request) -> web.Response:
        assert "application/json" == request.content_type
        return web.Response(body=await request.read())

    target.answer = answer
    assert body == (await target.client().write("POST", "/things", body)).json()


async def broken(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "POST"])
async def test_a_write_whose_connection_breaks_is_not_sent_again_by_the_http_library(target: Target, method: str) -> None:
    target.answer = broken
    api = target.client()
    assert isinstance(await target.error_of(api.write(method, "/things")), OutcomeUnknownError)
    assert [(method, "/things")] == [call for call in target.seen if call[1] == "/things"]


async def test_a_read_whose_connection_breaks_is_sent_again_only_through_the_gate(target: Target) -> None:
    target.answer = broken
    api = target.client()
    for _ in range(OPENS_AFTER):
        await target.error_of(api.get("/things"))
    assert api.gate.is_open
    assert target.calls("none") == len([call for call in target.seen if call[1] == "/things"])


async def test_being_throttled_holds_every_call_of_the_connection_and_is_no_fault(target: Target) -> None:
    target.answer = answering(429, headers={"Retry-After": "30"})
    api = target.client()
    for _ in range(OPENS_AFTER + 1):
        await target.clock.advance(30)
        error = await target.error_of(api.get("/things"))
        assert isinstance(error, RetryableError)
        assert (True, 0.0) == (error.throttled, error.retry_after), "the gate waits, not the lane"
    assert not api.gate.is_open
    before = len(target.seen)
    call = asyncio.create_task(api.get("/things"))
    await target.clock.advance(29)
    assert before == len(target.seen)
    await target.error_of(call)
    assert OPENS_AFTER + 2 == target.figure("towpath_throttled_total") == target.calls("4xx")


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_an_outage_opens_the_circuit_and_then_blames_no_record(target: Target, status: int) -> None:
    target.answer = answering(status)
    api = target.client()
    blamed = []
    for _ in range(3):
        error = await target.error_of(api.get("/things"))
        assert isinstance(error, RetryableError)
        blamed.append(not error.system_wide)
    assert [True, False, False] == blamed
    assert OPENS_AFTER + 1 == target.calls("5xx"), "three tries, two until it opened, and one probe"
    assert (True, 1) == (api.gate.is_open, target.figure("towpath_circuit_open"))
    target.answer = answering(200, "{}")
    await target.clock.run(api.get("/things"))
    assert (False, 0) == (api.gate.is_open, target.figure("towpath_circuit_open"))


async def test_one_record_that_breaks_the_target_does_not_open_the_circuit_while_others_are_answered(target: Target) -> None:
    api = target.client()
    for _ in range(OPENS_AFTER * 2):
        target.answer = answering(500)
        assert isinstance(await target.error_of(api.write("POST", "/things", {})), OutcomeUnknownError)
        target.answer = answering(200, "{}")
        await api.get("/things")
    assert not api.gate.is_open


@pytest.mark.parametrize("system", SIGNING_IN)
async def test_one_token_serves_all_and_a_refused_one_is_fetched_anew(target: Target, system: str) -> None:
    api = target.client(system)
    await asyncio.gather(*(api.get("/things") for _ in range(10)))
    assert 1 == target.tokens
    target.answer = answering(401)
    errors = await asyncio.gather(*(target.error_of(api.get("/things")) for _ in range(4)))
    assert [True] * 4 == [isinstance(error, RetryableError) and error.system_wide for error in errors]
    target.answer = answering(200, "{}")
    await target.clock.run(api.get("/things"))
    assert 2 == target.tokens
    assert "Bearer token-2" == target.authorization[-1]


@pytest.mark.parametrize("system", SIGNING_IN)
async def test_a_late_refusal_of_an_old_token_keeps_the_new_one(target: Target, system: str) -> None:
    api = target.client(system)
    await api.get("/things")
    api._authoriser.forget({"Authorization": "Bearer old"})
    await api.get("/things")
    assert 1 == target.tokens
    api._authoriser.forget({"Authorization": "Bearer token-1"})
    await api.get("/things")
    assert 2 == target.tokens


@pytest.mark.parametrize("system", SIGNING_IN)
@pytest.mark.parametrize("text", ["<html>", "{}", "[]", '{"token": 5, "access_token": 5}', '{"token": "a\\nb", "access_token": "a\\nb"}'])
async def test_a_token_answer_that_holds_no_token_pauses_the_connection_and_blames_no_record(target: Target, system: str, text: str) -> None:
    target.answer_token = answering(200, text)
    error = await target.error_of(target.client(system).write("POST", "/things", {}))
    assert isinstance(error, RetryableError)
    assert error.system_wide


@pytest.mark.parametrize("system", system_names())
async def test_no_error_shows_a_secret_or_a_body_of_ours(target: Target, system: str) -> None:
    api = target.client(system)
    body = {"note": "canary-of-the-body"}
    for status in (302, 400, 401, 404, 418, 422, 429, 500, 503):
        await target.clock.advance(20)
        target.answer = answering(status, "refused")
        text = repr(await target.error_of(api.write("POST", "/things", body)))
        assert "canary" not in text
        assert "token-" not in text
    target.answer_token = answering(400, "no")
    api = target.client(system)
    assert "canary" not in repr(await target.error_of(api.get("/things")))


async def test_bngs_refusal_names_its_field_on_one_line(target: Target) -> None:
    target.answer = answering(422, '{"error": {"code": "unknown_sku", "message": "unknown\\nSKU A-7\\u001b[2J", "field": "Lines[0].SKU"}}')
    error = await target.error_of(target.client().write("POST", "/things", {}))
    assert isinstance(error, DataError)
    assert error.field == "Lines[0].SKU"
    assert "erp: POST /things: 422 unknown_sku: unknown SKU A-7 [2J" == str(error)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"Type": null, "Title": "Bad", "Status": 400, "Detail": "stock_quantity: no int"}', "stock_quantity: no int"),
        ('{"title": "One or more validation errors"}', "One or more validation errors"),
        ('{"message": "Cannot do cancel for order.", "stack_trace": ""}', "Cannot do cancel for order."),
        ("Order is not found", "Order is not found"),
        ('{"Detail": "card_number: 4929420573595709 is no text"}', "card_number: **************** is no text"),
        ("card_number: 4929420573595709", "card_number: ****************"),
        ('{"Detail": "half \\ud800"}', "half ?"),
    ],
)
async def test_a_shops_refusal_is_told_in_its_own_words_without_card_numbers(target: Target, text: str, told: str) -> None:
    target.answer = answering(400, text)
    error = await target.error_of(target.client("nopcommerce").write("POST", "/things", {}))
    assert f"erp: POST /things: 400 {told}" == str(error)


@pytest.mark.parametrize("text", ["", "<h1>no</h1>", "[]", '{"error": "x"}', '{"error": {"code": 1}}', "[" * 100_000, "x" * 10**6])
async def test_a_refusal_in_any_shape_is_still_a_refusal(target: Target, text: str) -> None:
    target.answer = answering(422, text)
    error = await target.error_of(target.client().write("POST", "/things", {}))
    assert isinstance(error, DataError)
    assert error.field == "document"
    assert len(str(error)) < 400


async def test_a_fence_that_falls_stops_the_write_and_holds_up_no_read(target: Target) -> None:
    async def fallen() -> None:
        raise FencedError("theirs")

    api = target.client().fenced(fallen)
    await api.get("/things")
    assert isinstance(await target.error_of(api.write("POST", "/things", {})), FencedError)
    assert "POST" not in [method for method, path in target.seen if path == "/things"]


async def test_a_ledger_that_is_away_is_no_fault_of_the_system(target: Target) -> None:
    async def away() -> None:
        raise RetryableError("database: it does not answer", system_wide=True)

    api = target.client()
    for _ in range(OPENS_AFTER):
        assert isinstance(await target.error_of(api.fenced(away).write("POST", "/things", {})), RetryableError)
    assert not api.gate.is_open


async def test_views_of_one_client_share_its_connections(target: Target) -> None:
    async def fence() -> None:
        return

    api = target.client()
    await api.fenced(fence).write("POST", "/things", {})
    await api.get("/things")
    assert 2 == target.calls("2xx")
    assert 1 == len(api._sessions)


@pytest.mark.parametrize(
    "text",
    ["{}", "[]", '{"items": {}}', '{"items": [1]}', '{"items": [{"ExternalOrderID": "SHOP-1001"}]}',
     '{"items": [{"ExternalOrderID": "SHOP-1002", "SalesOrderID": "SO-1"}]}'],
)  # fmt: skip
async def test_bng_finds_no_order_in_an_answer_about_something_else(target: Target, text: str) -> None:
    target.answer = answering(200, text)
    assert isinstance(await target.error_of(Bng(target.client()).find_sales_order("SHOP-1001")), RetryableError)


@pytest.mark.parametrize("text", ["{}", "[]", '{"SalesOrderID": null}', '{"SalesOrderID": ""}', '{"SalesOrderID": 5}'])
async def test_an_order_that_bng_made_without_telling_its_id_is_an_unknown_outcome(target: Target, text: str) -> None:
    target.answer = answering(201, text)
    assert isinstance(await target.error_of(Bng(target.client()).create_sales_order({})), OutcomeUnknownError)


async def test_a_wrong_address_pauses_the_connection_and_makes_no_dead_letters(target: Target) -> None:
    target.answer = answering(404, "nginx")
    error = await target.error_of(Bng(target.client()).find_customer("SHOP-7"))
    assert isinstance(error, RetryableError)
    assert error.system_wide
    assert "url" in str(error)


async def test_the_systems_own_time_is_that_of_its_latest_answer_that_tells_one(target: Target) -> None:
    api, times = target.client(), list[datetime | None]()
    for date in ("Sun, 01 Mar 2026 12:00:00 GMT", "yesterday", "Mon, 01 Jan 1601 00:00:00 GMT", "Sun, 01 Mar 2026 11:50:00 -0000"):
        target.answer = answering(200, "{}", {"Date": date})
        await api.get("/things")
        times.append(api.source_time)
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert [noon, noon, noon, noon - timedelta(minutes=10)] == times


def test_aiohttp_tells_a_failed_connection_from_a_lost_answer() -> None:
    assert not issubclass(aiohttp.SocketTimeoutError, aiohttp.ConnectionTimeoutError)
