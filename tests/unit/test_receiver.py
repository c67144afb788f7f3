from __future__ import annotations

import asyncio
import gzip
import hashlib
import hmac
import inspect
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from io import BytesIO

import aiohttp
import pytest
from aiohttp import web

from producers import receiver as module
from producers.receiver import Receiver, doors, runner_of
from towpath.acked import AckedProducer
from towpath.config import Config
from towpath.errors import ConfigError, DataError, RetryableError
from towpath.metrics import Metrics
from towpath.testing.clock import STARTS_AT, VirtualClock, settled
from towpath.testing.producer import FakeProducer

KEY = b"k" * 32
SECRET = "whsec_" + b64encode(KEY).decode()
LARGEST = 4096
ORDER = b'{"type": "order.placed", "id": "msg_1", "occurredAt": "2026-11-21T12:00:00Z", "data": {"entity": "order", "entityId": 1001}}'


class Shop:
    """A receiver on a real socket, in front of a producer in memory, and a sender that signs."""

    def __init__(self, *, rate: float | None = None) -> None:
        self.clock, self.producer, self.metrics = VirtualClock(), FakeProducer(), Metrics()
        connection = {"system": "nopcommerce", "url": "http://shop.example", "credentials": {}, "webhook_secret": "env:SHOP_SECRET"}
        plain = {name: value for name, value in connection.items() if name != "webhook_secret"}
        settings = {"max_body_bytes": LARGEST, "requests_per_second": rate}
        config = Config.model_validate({"connections": {"shop": connection, "other": connection, "silent": plain}, "receiver": settings})
        self.runner = runner_of(Receiver(doors(config), self.producer, config, self.clock, self.metrics))
        self.url = ""
        self.session = aiohttp.ClientSession()

    async def open(self) -> None:
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0).start()
        host, port = self.runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/hooks/"

    async def close(self) -> None:
        await self.session.close()
        await self.runner.cleanup()

    def signed(self, body: bytes, *, webhook_id: str = "msg_1", at: float | None = None) -> dict[str, str]:
        sent_at = str(int(STARTS_AT.timestamp() if at is None else at))
        digest = hmac.new(KEY, f"{webhook_id}.{sent_at}.".encode() + body, hashlib.sha256).digest()
        return {"webhook-id": webhook_id, "webhook-timestamp": sent_at, "webhook-signature": "v1," + b64encode(digest).decode()}

    async def post(self, body: bytes = ORDER, *, to: str = "shop", headers: Mapping[str, str] | None = None) -> aiohttp.ClientResponse:
        sent = {**self.signed(body), "Content-Type": "application/json", **(headers or {})}
        async with self.session.post(self.url + to, data=BytesIO(body), headers={**sent, "Content-Length": str(len(body))}) as response:
            await response.read()
            return response

    async def raw(self, method: str, path: str, version: str, *headers: str, body: bytes = ORDER) -> bytes:
        """Return the head of the answer to a request written by hand, after that of a 100 where it has one; the body waits for that."""
        reader, writer = await asyncio.open_connection("127.0.0.1", int(self.url.split(":")[2].split("/")[0]))
        signed = (f"{name}: {value}" for name, value in self.signed(body).items())
        writer.write("\r\n".join((f"{method} {path} HTTP/{version}", "Host: x", *headers, *signed, f"Content-Length: {len(body)}", "", "")).encode())
        is_asked = version == "1.1" and any(header.startswith("Expect: 100") for header in headers)
        answers = await reader.readuntil(b"\r\n\r\n") if is_asked else b""
        writer.write(body)
        answers += await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        writer.close()
        return answers

    def refusals(self, reason: int) -> float:
        return self.metrics.registry.get_sample_value("towpath_refused_total", {"connection": "shop", "reason": str(reason)}) or 0


@pytest.fixture
async def shop(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shop]:
    monkeypatch.setenv("SHOP_SECRET", SECRET)
    shop = Shop()
    await shop.open()
    yield shop
    await shop.close()


def test_the_producer_of_these_tests_is_called_as_the_real_one_is() -> None:
    for name in ("send", "flush", "close"):
        assert inspect.signature(getattr(AckedProducer, name)) == inspect.signature(getattr(FakeProducer, name))


async def test_a_webhook_is_stored_as_it_came_under_the_key_of_its_entity(shop: Shop) -> None:
    assert 204 == (await shop.post()).status
    [stored] = shop.producer.sent
    assert ("inbox.shop", b"order/1001", ORDER) == (stored.topic, stored.key, stored.value)
    headers = dict(stored.headers)
    assert (b"webhook", b"msg_1") == (headers["towpath-kind"], headers["webhook-id"])
    assert STARTS_AT.isoformat().encode() == headers["towpath-received-at"]
    assert 1 == shop.metrics.registry.get_sample_value("towpath_received_total", {"connection": "shop", "via": "webhook"})


async def test_a_webhook_sent_again_is_stored_again_with_the_same_trace(shop: Shop) -> None:
    assert [204, 204] == [(await shop.post()).status for _ in range(2)]
    first, second = (dict(output.headers)["traceparent"] for output in shop.producer.sent)
    assert first == second
    assert [2, 32, 16, 2] == [len(part) for part in first.split(b"-")]


async def test_2xx_is_answered_only_after_kafka_has_the_record(shop: Shop) -> None:
    asked, acknowledged = asyncio.Event(), asyncio.Event()

    async def slow(_topic: str) -> None:
        asked.set()
        await acknowledged.wait()

    shop.producer.before = slow
    posting = asyncio.create_task(shop.post())
    await asked.wait()
    await settled()
    assert not posting.done()
    acknowledged.set()
    assert 204 == (await posting).status


async def test_when_kafka_does_not_take_it_the_sender_is_asked_to_come_again(shop: Shop) -> None:
    async def down(_topic: str) -> None:
        raise RetryableError("no broker", system_wide=True)

    shop.producer.before = down
    response = await shop.post()
    assert (503, "5") == (response.status, response.headers["Retry-After"])
    assert [] == shop.producer.sent
    assert 1 == shop.refusals(503)


async def test_while_as_many_wait_for_kafka_as_may_the_next_is_asked_to_come_again(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_STORING", 2)
    answers, waiting = asyncio.Event(), asyncio.Semaphore(0)

    async def wait(_topic: str) -> None:
        waiting.release()
        await answers.wait()

    shop.producer.before = wait
    first = [asyncio.create_task(shop.post()) for _ in range(2)]
    for _ in first:
        await waiting.acquire()
    refused = await shop.post()
    assert (503, "1") == (refused.status, refused.headers["Retry-After"])
    other = asyncio.create_task(shop.post(to="other"))
    await waiting.acquire()
    answers.set()
    assert [204, 204, 204] == [answer.status for answer in await asyncio.gather(*first, other)]
    assert 204 == (await shop.post()).status


async def test_what_kafka_finds_too_large_is_refused_for_good(shop: Shop) -> None:
    async def too_large(_topic: str) -> None:
        raise DataError("too large", field="value")

    shop.producer.before = too_large
    assert 413 == (await shop.post()).status


@pytest.mark.parametrize(
    "change",
    [{"webhook-signature": "v1,AAAA"}, {"webhook-id": "msg_2"}, {"webhook-timestamp": "1"}, {"webhook-signature": ""}, {"webhook-id": "x" * 300}],
)
async def test_what_is_not_authentic_is_not_stored(shop: Shop, change: dict[str, str]) -> None:
    response = await shop.post(headers=change)
    assert 401 == response.status
    assert [] == shop.producer.sent
    assert 1 == shop.refusals(401)


@pytest.mark.parametrize(("minutes", "status"), [(-6, 401), (-4, 204), (4, 204), (6, 401)])
async def test_a_webhook_from_another_time_is_not_authentic(shop: Shop, minutes: int, status: int) -> None:
    assert status == (await shop.post(headers=shop.signed(ORDER, at=STARTS_AT.timestamp() + minutes * 60))).status


@pytest.mark.parametrize("connection", ["nobody", "silent", "..%2fshop", "shop%00"])
async def test_a_connection_that_takes_no_webhooks_is_404(shop: Shop, connection: str) -> None:
    assert 404 == (await shop.post(to=connection)).status
    assert [] == shop.producer.sent


async def test_only_post_is_answered(shop: Shop) -> None:
    async with shop.session.get(shop.url + "shop") as response:
        assert 405 == response.status


@pytest.mark.parametrize(
    ("method", "path", "answer"),
    [
        ("POST", "/", b"404 Not Found"),
        ("GET", "/hooks", b"404 Not Found"),
        ("POST", "/hooks/", b"404 Not Found"),
        ("POST", "/hooks/shop/", b"404 Not Found"),
        ("GET", "/hooks/shop/more", b"404 Not Found"),
        ("POST", "/hooks/%7Bshop%7D", b"404 Not Found"),
        ("OPTIONS", "*", b"404 Not Found"),
        ("PUT", "/hooks/nobody", b"405 Method Not Allowed"),
        ("POST", "/hooks/%73hop?a=b#c", b"204 No Content"),
        ("POST", "http://elsewhere/hooks/shop", b"204 No Content"),
    ],
)
async def test_a_webhook_is_posted_to_its_connections_address_however_that_is_written(shop: Shop, method: str, path: str, answer: bytes) -> None:
    answered = await shop.raw(method, path, "1.1")
    assert b"HTTP/1.1 " + answer == answered.split(b"\r\n")[0]
    assert (b"Allow: POST\r\n" in answered) == answer.startswith(b"405")
    assert answer.startswith(b"204") == bool(shop.producer.sent)


@pytest.mark.parametrize(
    ("version", "expects", "answers"),
    [
        ("1.1", "100-Continue", [b"HTTP/1.1 100 Continue", b"HTTP/1.1 204 No Content"]),
        ("1.0", "100-continue", [b"HTTP/1.0 204 No Content"]),
        ("1.1", "", [b"HTTP/1.1 204 No Content"]),
        ("1.1", "more", [b"HTTP/1.1 417 Expectation Failed"]),
    ],
)
async def test_a_sender_that_expects_to_be_asked_for_the_body_is(shop: Shop, version: str, expects: str, answers: list[bytes]) -> None:
    answered = await shop.raw("POST", "/hooks/shop", version, f"Expect: {expects}")
    assert answers == [line for line in answered.split(b"\r\n") if line.startswith(b"HTTP/")]


@pytest.mark.parametrize("connection", [[], ["Connection: close"]])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_the_answer_that_is_made_beforehand_is_the_one_aiohttp_makes(shop: Shop, version: str, connection: list[str]) -> None:
    async def made(_request: web.BaseRequest) -> web.Response:
        return web.Response(status=204)

    ours = await shop.raw("POST", "/hooks/shop", version, *connection)
    await shop.runner.cleanup()
    shop.runner = web.ServerRunner(web.Server(made))
    await shop.open()
    theirs = await shop.raw("POST", "/hooks/shop", version, *connection)
    assert undated(theirs) == undated(ours)


def undated(answer: bytes) -> list[bytes]:
    """Return an answer's lines with the time cut off from its date."""
    return [line.partition(b",")[0] if line.startswith(b"Date: ") else line for line in answer.split(b"\r\n")]


async def test_a_body_of_the_largest_size_is_taken_and_one_byte_more_is_not(shop: Shop) -> None:
    assert 204 == (await shop.post(b"x" * LARGEST)).status
    assert 413 == (await shop.post(b"x" * (LARGEST + 1))).status
    assert 1 == shop.refusals(413)


async def test_a_large_body_sees_its_refusal_and_not_a_reset(shop: Shop) -> None:
    assert 413 == (await shop.post(b"x" * 2 * 2**20)).status


async def test_an_endless_body_is_cut_off_in_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_SECRET", SECRET)
    monkeypatch.setattr(module, "LINGER_SECONDS", 0.1)
    shop = Shop()
    await shop.open()
    reader, writer = await asyncio.open_connection("127.0.0.1", int(shop.url.split(":")[2].split("/")[0]))
    head = "".join(f"{name}: {value}\r\n" for name, value in shop.signed(b"").items())
    writer.write(f"POST /hooks/shop HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n{head}\r\n".encode())

    async def pour() -> None:
        while True:
            writer.write(b"400\r\n" + b"x" * 1024 + b"\r\n")
            await writer.drain()

    pouring = asyncio.create_task(pour())
    assert b"HTTP/1.1 413" in await asyncio.wait_for(reader.readline(), 5)
    with pytest.raises(ConnectionError):
        await asyncio.wait_for(pouring, 5)
    writer.close()
    assert [] == shop.producer.sent
    await shop.close()


@pytest.mark.parametrize("headers", [{"Content-Encoding": "gzip"}, {"Content-Encoding": "br"}, {"Content-Type": "multipart/form-data; boundary=x"}])
async def test_compressed_and_multipart_bodies_are_refused_unread(shop: Shop, headers: dict[str, str]) -> None:
    body = gzip.compress(ORDER)
    assert 415 == (await shop.post(body, headers=headers)).status
    assert [] == shop.producer.sent


async def test_a_flood_at_one_door_is_429_and_the_other_door_stays_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_SECRET", SECRET)
    shop = Shop(rate=3)
    await shop.open()
    responses = [await shop.post() for _ in range(5)]
    assert [204, 204, 204, 429, 429] == [response.status for response in responses]
    assert "1" == responses[-1].headers["Retry-After"]
    assert 204 == (await shop.post(to="other")).status
    await shop.clock.advance(1)
    assert 204 == (await shop.post()).status
    await shop.close()


BODIES = {
    "no JSON": b"<order/>",
    "empty": b"",
    "no UTF-8": b"\xff\xfe\x00\xd8",
    "NUL": b"\0" * 10,
    "deep": b"[" * 4000,
    "huge integer": b'{"data": {"entity": "order", "entityId": ' + b"9" * 4000 + b"}}",
    "NaN": b'{"data": {"entity": "order", "entityId": NaN}}',
    "other shape": b'{"data": {"entity": ["order"], "entityId": true}}',
    "null": b"null",
    "repeated keys": b'{"data": 1, "data": 2}',
}


@pytest.mark.parametrize("name", BODIES)
async def test_an_authentic_body_is_stored_whatever_it_is_under_the_webhooks_id(shop: Shop, name: str) -> None:
    assert 204 == (await shop.post(BODIES[name])).status
    [stored] = shop.producer.sent
    assert (b"msg_1", BODIES[name]) == (stored.key, stored.value)


@pytest.mark.parametrize("entity", ["x" * 3000, "\\ud800", "a\\u0000b"])
async def test_a_strange_entity_makes_a_key_that_kafka_takes(shop: Shop, entity: str) -> None:
    assert 204 == (await shop.post(f'{{"data": {{"entity": "{entity}", "entityId": 5}}}}'.encode())).status
    assert shop.producer.sent[0].key is not None
    assert len(shop.producer.sent[0].key) <= 300


async def test_card_data_never_reaches_kafka(shop: Shop) -> None:
    order = json.loads(ORDER) | {"card_number": "4111111111111111", "card_cvv2": "987"}
    assert 204 == (await shop.post(json.dumps(order).encode())).status
    assert 204 == (await shop.post(b"card 4111 1111 1111 1111")).status
    written = b"".join(output.value or b"" for output in shop.producer.sent)
    assert b"4111" not in written
    assert b"987" not in written


async def test_a_sender_that_is_too_slow_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_SECRET", SECRET)
    monkeypatch.setattr(module, "READ_SECONDS", 0.05)
    monkeypatch.setattr(module, "LINGER_SECONDS", 0.05)
    other = Shop()
    await other.open()
    reader, writer = await asyncio.open_connection("127.0.0.1", int(other.url.split(":")[2].split("/")[0]))
    writer.write(b"POST /hooks/shop HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    answer = await asyncio.wait_for(reader.read(), 5)
    assert answer.startswith(b"HTTP/1.1 408")
    assert 1 == other.refusals(408)
    writer.close()
    await other.close()


async def test_a_sender_that_hangs_up_in_the_middle_stores_nothing_and_harms_nobody(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", int(shop.url.split(":")[2].split("/")[0]))
    writer.write(b"POST /hooks/shop HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    await writer.drain()
    await settled()
    writer.close()
    await writer.wait_closed()
    assert 204 == (await shop.post()).status
    await settled()
    assert 1 == len(shop.producer.sent)
    assert [] == [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("body", [ORDER, b"not json"])
async def test_no_refusal_shows_the_body_or_the_secret(shop: Shop, body: bytes) -> None:
    for headers in ({"webhook-signature": "v1,AAAA"}, {"Content-Encoding": "gzip"}, {"webhook-timestamp": "1"}):
        async with shop.session.post(shop.url + "shop", data=body, headers={**shop.signed(body), **headers}) as response:
            text = await response.text()
        assert SECRET not in text
        assert "order" not in text
        assert "not json" not in text


def test_a_secret_that_cannot_sign_is_named_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAD_SECRET", "whsec_not base64!")
    connection = {"system": "nopcommerce", "url": "http://shop.example", "credentials": {}, "webhook_secret": "env:BAD_SECRET"}
    with pytest.raises(ConfigError, match=r"connections\.shop\.webhook_secret") as raised:
        doors(Config.model_validate({"connections": {"shop": connection}}))
    assert "not base64!" not in str(raised.value)
