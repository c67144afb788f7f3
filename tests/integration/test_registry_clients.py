"""What Towpath itself asks of a registry: the start of its roles at one that gives ids of its own, and `towpath schemas`."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from cryptography.hazmat.primitives.serialization import Encoding

from towpath.broker.ports import HOST, free_port
from towpath.codec import HEADER, Codec, default_codec
from towpath.config import Config, SchemaRegistry, SecretRef
from towpath.errors import ConfigError, DataError, RetryableError
from towpath.kafka import KafkaSettings, make_admin, reach
from towpath.metrics import Metrics
from towpath.registry.client import RegistryClient
from towpath.registry.codec import ready_codec
from towpath.registry.log import TOPIC, SchemaLog
from towpath.registry.store import Registered
from towpath.registry.subjects import subjects
from towpath.runtime.health import Health
from towpath.runtime.role import RoleContext
from towpath.startup import in_daemon
from towpath.testing.command import ran
from towpath.testing.events import an_order
from towpath.testing.kafka import kafka_for_tests
from towpath.testing.registry import RegistryProcess
from towpath.testing.secured_kafka import _authority, _broker_certificate
from towpath.testing.waiting import until
from towpath.topics import load_topics

SUBJECT = "orders-towpath.OrderPlaced"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture(scope="module")
def own_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give a Kafka whose `_schemas` is this file's alone."""
    with kafka_for_tests("", tmp_path_factory.mktemp("kafka")) as address:
        yield address


@pytest.fixture
async def process(own_kafka: str, tmp_path: Path) -> AsyncIterator[RegistryProcess]:
    """Give a registry that is not started and knows nothing."""
    settings = KafkaSettings(bootstrap_servers=own_kafka)
    admin = make_admin(settings)
    if TOPIC in reach(settings).topics:
        admin.delete_topics([TOPIC])[TOPIC].result(10)

    async def gone() -> bool:
        return TOPIC not in reach(settings).topics

    await until(gone, seconds=20)
    found = RegistryProcess(tmp_path / "registry", own_kafka, free_port())
    yield found
    found.leave()
    found.kill()


def write(kafka: str, *rows: Registered) -> None:
    """Write versions into a registry's topic, as another registry would have."""
    log = SchemaLog(KafkaSettings(bootstrap_servers=kafka))
    log.prepare()
    log.write(lambda _: [row.row() for row in rows])
    log.close()


def towpath(url: str, folder: Path, *arguments: str) -> tuple[int, str]:
    """Return the exit code of `towpath schemas …` and all that it prints."""
    file = folder / "towpath.yaml"
    file.write_text(yaml.safe_dump({"schema_registry": {"url": url}}), encoding="utf-8")
    done = ran("schemas", *arguments, TOWPATH_CONFIG=str(file), COLUMNS="500")
    return done.returncode, done.stdout + done.stderr


def starting(**settings: Any) -> tuple[asyncio.Task[Codec], RoleContext]:  # noqa: ANN401 - of the section
    """Return the start of a role's codec, and what the role was given."""
    config = Config(schema_registry=SchemaRegistry(**settings))
    context = RoleContext(config, Metrics(), asyncio.Event(), Health())
    return asyncio.create_task(ready_codec(config, context)), context


async def test_a_role_waits_for_a_registry_that_gives_ids_and_writes_with_them(process: RegistryProcess) -> None:
    text = default_codec().by_name["OrderPlaced"].text
    write(process.kafka, Registered(SUBJECT, 1, 7, text))
    start, context = starting(url=process.url)

    async def waits() -> bool:
        check = context.health.ready.get("schemas")
        return check is not None and not check.ok and "does not answer" in check.detail

    await until(waits, seconds=20)
    assert not start.done()
    await process.start()
    codec = await asyncio.wait_for(start, 30)
    assert context.health.ready["schemas"].ok
    assert (0, 7) == HEADER.unpack_from(codec.encode("OrderPlaced", an_order()))
    assert ("OrderPlaced", an_order()) == codec.decode(codec.encode("OrderPlaced", an_order()))
    assert ("OrderPlaced", an_order()) == codec.decode(default_codec().encode("OrderPlaced", an_order()))
    assert set(subjects(codec, load_topics())) == set(process.client().get_subjects())


async def test_where_roles_do_not_register_a_missing_schema_is_told_with_the_remedy(process: RegistryProcess) -> None:
    await process.start()
    with pytest.raises(ConfigError, match=r"does not know the schema of .*; run `towpath schemas push`"):
        await starting(url=process.url, auto_register=False)[0]
    assert [] == process.client().get_subjects()


async def test_a_schema_that_the_registry_refuses_stops_the_start_with_the_field(process: RegistryProcess) -> None:
    text = default_codec().by_name["Receipt"].text.replace('"outcome"', '"result"')
    write(process.kafka, Registered("towpath.Receipt", 1, 7, text))
    await process.start()
    with pytest.raises(ConfigError, match=r"towpath\.Receipt.*incompatible.*field outcome"):
        await starting(url=process.url)[0]


async def test_at_our_own_registry_no_start_waits_and_all_is_registered_in_the_end(process: RegistryProcess) -> None:
    start, _ = starting(port=process.port)
    codec = await asyncio.wait_for(start, 5)
    assert default_codec().encode("OrderPlaced", an_order()) == codec.encode("OrderPlaced", an_order())
    await process.start()
    wanted, client = {subject: codec.by_name[name].id for subject, name in subjects(codec, load_topics()).items()}, process.client()

    async def there() -> bool:
        return set(wanted) == set(await in_daemon(client.get_subjects))

    await until(there, seconds=20)
    assert wanted == {subject: client.get_version(subject, 1).schema_id for subject in wanted}


async def test_a_schema_that_our_own_registry_refuses_makes_the_role_unready_with_the_field(process: RegistryProcess) -> None:
    text = default_codec().by_name["Receipt"].text.replace('"outcome"', '"result"')
    write(process.kafka, Registered("towpath.Receipt", 1, 7, text))
    await process.start()
    start, context = starting(port=process.port)
    await start

    async def told() -> bool:
        check = context.health.ready.get("schemas")
        return check is not None and not check.ok and "field outcome" in check.detail

    await until(told, seconds=30)


async def test_schemas_are_pushed_once_and_then_nothing_differs(process: RegistryProcess, tmp_path: Path) -> None:
    await process.start()
    code, told = towpath(process.url, tmp_path, "diff")
    assert (1, True) == (code, f"{SUBJECT}: not registered" in told)
    code, told = towpath(process.url, tmp_path, "push")
    assert (0, True) == (code, f"{SUBJECT}: registered, id {default_codec().by_name['OrderPlaced'].id}" in told)
    code, told = towpath(process.url, tmp_path, "push")
    assert (0, 0, len(subjects(default_codec(), load_topics()))) == (code, told.count(": registered"), told.count("was there"))
    assert (0, "the registry has what this version has\n") == towpath(process.url, tmp_path, "diff")
    assert (0, True) == ((found := towpath(process.url, tmp_path, "check"))[0], "no problem found" in found[1])


async def test_what_breaks_is_told_by_check_push_and_diff(process: RegistryProcess, tmp_path: Path) -> None:
    text = default_codec().by_name["Receipt"].text.replace('"outcome"', '"result"')
    write(process.kafka, Registered("towpath.Receipt", 1, 7, text))
    await process.start()
    code, told = towpath(process.url, tmp_path, "check")
    assert (1, True) == (code, "towpath.Receipt: it cannot read records of version 1: field outcome: it is missing there" in told)
    code, told = towpath(process.url, tmp_path, "push")
    assert (1, True) == (code, "registering towpath.Receipt" in told and "field outcome" in told)
    code, told = towpath(process.url, tmp_path, "diff")
    assert (1, True) == (code, '-   "name": "result",' in told and '+   "name": "outcome",' in told)


def test_a_registry_that_is_away_ends_a_command_with_2_but_not_the_check_of_the_files(tmp_path: Path) -> None:
    url = f"http://{HOST}:{free_port()}"
    for command in ("check", "push", "diff"):
        code, told = towpath(url, tmp_path, command)
        assert (2, True) == (code, f"the schema registry at {url} does not answer" in told)
    assert 0 == towpath(url, tmp_path, "check", "--offline")[0]


@asynccontextmanager
async def answering(handler: Handler, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Give the address of a server that answers every request so."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, HOST, 0, ssl_context=context)
    await site.start()
    try:
        yield f"{'http' if context is None else 'https'}://{HOST}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def text_of(settings: SchemaRegistry) -> str | None:
    """Return what a registry has for an id."""

    def ask() -> str | None:
        with closing(RegistryClient(settings)) as client:
            return client.text(5)

    return await in_daemon(ask)


def refusal(status: int, code: int, message: str) -> Handler:
    async def refuse(_: web.Request) -> web.StreamResponse:
        return web.json_response({"error_code": code, "message": message}, status=status)

    return refuse


async def page(_: web.Request) -> web.StreamResponse:
    return web.Response(text="<html>Welcome</html>", content_type="text/html")


async def nothing(_: web.Request) -> web.StreamResponse:
    return web.json_response(None)


ANSWERS: dict[str, tuple[Handler, type[Exception], str]] = {
    "no password": (refusal(401, 401, "Unauthorized"), ConfigError, "refuses us .401.; correct username and password"),
    "not allowed": (refusal(403, 40301, "Forbidden"), ConfigError, "does not allow it .403."),
    "no such path": (refusal(404, 404, "HTTP 404 Not Found"), ConfigError, "is it a schema registry"),
    "a web page": (page, ConfigError, "is no schema registry; correct the address"),
    "null": (nothing, ConfigError, "is no schema registry; correct the address"),
    "busy": (refusal(503, 503, "later"), RetryableError, "answers 503: later"),
    "too many": (refusal(429, 429, "slower"), RetryableError, "answers 429: slower"),
    "broken": (refusal(500, 50001, "no Kafka"), RetryableError, "answers 500: no Kafka"),
}


@pytest.mark.parametrize(("handler", "error", "reason"), ANSWERS.values(), ids=list(ANSWERS))
async def test_what_a_registry_answers_says_what_happens_next(handler: Handler, error: type[Exception], reason: str) -> None:
    async with answering(handler) as url:
        with pytest.raises(error, match=reason):
            await text_of(SchemaRegistry(url=url))


async def test_a_refused_schema_is_a_data_error() -> None:
    async with answering(refusal(409, 409, "field total is gone")) as url:
        with closing(RegistryClient(SchemaRegistry(url=url))) as client, pytest.raises(DataError, match="field total is gone"):
            await in_daemon(lambda: client.register("a", '"string"'))


async def test_a_password_and_an_authority_of_ones_own_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, authority = _authority("the registry's authority")
    ca, own = tmp_path / "ca.pem", tmp_path / "own.pem"
    ca.write_bytes(authority.public_bytes(Encoding.PEM))
    own.write_bytes(_broker_certificate(key, authority))
    monkeypatch.setenv("REGISTRY_PASSWORD", "canary:with:colons")

    async def answer(request: web.Request) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").removeprefix("Basic ")
        right = base64.b64decode(given) == b"towpath:canary:with:colons"
        return web.json_response({"schema": '"string"'}) if right else await refusal(401, 401, "no")(request)

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(own)
    signed_in = {"username": "towpath", "password": SecretRef("env", "REGISTRY_PASSWORD")}
    async with answering(answer, context) as url:
        assert '"string"' == await text_of(SchemaRegistry(url=url, ca_file=ca, **signed_in))
        with pytest.raises(ConfigError, match="refuses us"):
            await text_of(SchemaRegistry(url=url, ca_file=ca))
        with pytest.raises(RetryableError, match="certificate verify failed"):
            await text_of(SchemaRegistry(url=url, **signed_in))
        with pytest.raises(ConfigError, match=r"schema_registry\.ca_file: .* cannot be read"):
            await text_of(SchemaRegistry(url=url, ca_file=tmp_path / "none.pem"))
