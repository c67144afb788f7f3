"""The registry role as others see it: confluent-kafka's own client, serializer and deserializer, as they are, over a real Kafka."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import uuid
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, topic_record_subject_name_strategy
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext

from towpath.broker.ports import free_port
from towpath.codec import HEADER, default_codec, id_of
from towpath.kafka import KafkaSettings, make_producer
from towpath.testing.events import an_order
from towpath.testing.registry import RegistryProcess
from towpath.topic_setup import ensure
from towpath.topics import TopicSpec


def content(*more: dict[str, Any], name: str = "Order") -> str:
    fields = [{"name": "number", "type": "string"}, {"name": "total", "type": "double", "default": 0.0}, *more]
    return json.dumps({"type": "record", "name": name, "fields": fields})


NOTE = {"name": "note", "type": ["null", "string"], "default": None}
PLAIN, LONGER, BREAKING = Schema(content(), "AVRO"), Schema(content(NOTE), "AVRO"), Schema(content({"name": "sku", "type": "string"}), "AVRO")


@pytest.fixture(scope="module")
def process(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> RegistryProcess:
    return RegistryProcess(tmp_path_factory.mktemp("registry"), kafka, free_port())


@pytest.fixture
async def registry(process: RegistryProcess) -> AsyncIterator[RegistryProcess]:
    """Give the one registry of this file, started where it does not run."""
    if process.process is None or process.process.poll() is not None:
        await process.start()
    yield process
    process.leave()


@pytest.fixture(scope="module", autouse=True)
def _ended(process: RegistryProcess) -> Any:  # noqa: ANN401 - a generator
    yield
    process.kill()


@pytest.fixture
def client(registry: RegistryProcess) -> SchemaRegistryClient:
    return registry.client()


@pytest.fixture
def subject() -> str:
    return f"s-{uuid.uuid4().hex[:8]}/value of ours"


def refusal(ask: Callable[[], object]) -> tuple[int, int, str]:
    """Return the status, error code and message of what is refused."""
    with pytest.raises(SchemaRegistryError) as caught:
        ask()
    return caught.value.http_status_code, caught.value.error_code, caught.value.error_message


def test_a_schema_has_one_id_and_a_version_per_subject_however_often_it_is_registered(client: SchemaRegistryClient, subject: str) -> None:
    ids = {client.register_schema(name, schema) for name in (subject, f"{subject}-2") for schema in (PLAIN, Schema(f" {PLAIN.schema_str} ", "AVRO"))}
    assert ({id_of(json.loads(content()))}, [1], [1]) == (ids, client.get_versions(subject), client.get_versions(f"{subject}-2"))


def test_what_is_registered_is_found_by_id_by_version_as_the_latest_and_by_its_content(registry: RegistryProcess, subject: str) -> None:
    first = registry.client().register_schema(subject, PLAIN)
    second = registry.client().register_schema(subject, LONGER)
    client = registry.client()
    assert json.loads(content()) == json.loads(client.get_schema(first).schema_str or "")
    assert (1, first) == ((one := client.get_version(subject, 1)).version, one.schema_id)
    assert (2, second) == ((latest := client.get_latest_version(subject)).version, latest.schema_id)
    assert (2, second) == ((found := client.lookup_schema(subject, LONGER)).version, found.schema_id)
    assert subject in client.get_subjects()
    assert [subject] == client.get_subjects(subject_prefix=subject)
    assert [subject] == [one.subject for one in client.get_schema_versions(second) if one.subject == subject]
    assert subject in client.get_subjects_by_schema_id(second)
    assert [2] == client.get_versions(subject, offset=1, limit=5)


def test_a_schema_that_breaks_a_reader_is_refused_with_the_field(client: SchemaRegistryClient, subject: str) -> None:
    client.register_schema(subject, PLAIN)
    status, code, message = refusal(lambda: client.register_schema(subject, BREAKING))
    assert (409, 409) == (status, code)
    assert "field sku: it is missing there and has no default here" in message
    assert [1] == client.get_versions(subject)


def test_a_candidate_can_be_tried_without_being_registered(client: SchemaRegistryClient, subject: str) -> None:
    client.register_schema(subject, PLAIN)
    tried = [client.test_compatibility(subject, LONGER), client.test_compatibility(subject, BREAKING, version=1)]
    assert [True, False] == tried
    assert not client.test_compatibility_all_versions(subject, BREAKING, verbose=True)
    assert client.test_compatibility_all_versions(f"{subject}-new", BREAKING)
    assert [1] == client.get_versions(subject)


def test_a_level_holds_for_a_subject_or_for_all_that_have_none(client: SchemaRegistryClient, subject: str) -> None:
    assert "FULL_TRANSITIVE" == client.get_compatibility()
    assert 40408 == refusal(lambda: client.get_compatibility(subject))[1]
    client.register_schema(subject, PLAIN)
    client.set_compatibility(subject, "NONE")
    assert "NONE" == client.get_compatibility(subject)
    client.register_schema(subject, BREAKING)
    assert [1, 2] == client.get_versions(subject)
    client.delete_config(subject)
    assert 40408 == refusal(lambda: client.get_compatibility(subject))[1]


def test_what_is_deleted_is_no_version_any_more_and_yet_read_by_its_id(registry: RegistryProcess, subject: str) -> None:
    client = registry.client()
    own = Schema(content(name=f"N{uuid.uuid4().hex}"), "AVRO")
    schema_id = client.register_schema(subject, own)
    client.register_schema(subject, Schema((own.schema_str or "").replace('"total"', '"sum"'), "AVRO"))
    assert 1 == client.delete_version(subject, 1)
    assert ([2], [1, 2], [1]) == tuple(client.get_versions(subject, **how) for how in ({}, {"deleted": True}, {"deleted_only": True}))
    assert [2] == client.delete_subject(subject)
    assert 40401 == refusal(lambda: client.get_versions(subject))[1]
    assert json.loads(own.schema_str or "") == json.loads(registry.client().get_schema(schema_id).schema_str or "")
    assert schema_id == registry.client().register_schema(subject, own)
    assert [3] == client.get_versions(subject)


def test_nothing_is_deleted_for_good(client: SchemaRegistryClient, subject: str) -> None:
    client.register_schema(subject, PLAIN)
    assert (422, 42205) == refusal(lambda: client.delete_subject(subject, permanent=True))[:2]
    assert (422, 42205) == refusal(lambda: client.delete_version(subject, 1, permanent=True))[:2]
    assert [1] == client.get_versions(subject)


CODES: dict[str, tuple[Callable[[SchemaRegistryClient, str], object], tuple[int, int]]] = {
    "a subject that is not there": (lambda client, subject: client.get_versions(subject), (404, 40401)),
    "the latest of a subject that is not there": (lambda client, subject: client.get_latest_version(subject), (404, 40401)),
    "a subject to be deleted that is not there": (lambda client, subject: client.delete_subject(subject), (404, 40401)),
    "a content in a subject that is not there": (lambda client, subject: client.lookup_schema(subject, PLAIN), (404, 40401)),
    "a version that is not there": (lambda client, _: client.get_version("there", 9), (404, 40402)),
    "an id that is not there": (lambda client, _: client.get_schema(7), (404, 40403)),
    "an id of more than 31 bits": (lambda client, _: client.get_schema(1 << 40), (404, 40403)),
    "a content that is not there": (lambda client, _: client.lookup_schema("there", BREAKING), (404, 40403)),
    "no Avro": (lambda client, subject: client.register_schema(subject, Schema("{", "AVRO")), (422, 42201)),
    "no Avro to try": (lambda client, subject: client.test_compatibility_all_versions(subject, Schema("{", "AVRO")), (422, 42201)),
    "another kind of schema": (lambda client, subject: client.register_schema(subject, Schema("{}", "JSON")), (422, 42201)),
    "a version that is no number": (lambda client, _: client.get_version("there", "first"), (422, 42202)),  # type: ignore[arg-type]
    "version 0": (lambda client, _: client.get_version("there", 0), (422, 42202)),
    "a level that is none": (lambda client, subject: client.set_compatibility(subject, "SOME"), (422, 42203)),
    "a mode": (lambda client, subject: client.update_mode(subject, "READONLY"), (422, 42205)),
}


@pytest.mark.parametrize(("ask", "expected"), CODES.values(), ids=list(CODES))
def test_refusals_have_confluents_codes(
    client: SchemaRegistryClient, subject: str, ask: Callable[[SchemaRegistryClient, str], object], expected: tuple[int, int]
) -> None:
    client.register_schema("there", PLAIN)
    assert expected == refusal(lambda: ask(client, subject))[:2]


def test_what_the_serializer_writes_the_deserializer_reads(registry: RegistryProcess, subject: str) -> None:
    at = SerializationContext(subject, MessageField.VALUE)
    data = AvroSerializer(registry.client(), content())({"number": "1001", "total": 34.56}, at)
    assert data is not None
    assert (0, id_of(json.loads(content()))) == HEADER.unpack_from(data)
    assert {"number": "1001", "total": 34.56} == AvroDeserializer(registry.client())(data, at)
    newer = AvroDeserializer(registry.client(), content(NOTE))
    assert {"number": "1001", "total": 34.56, "note": None} == newer(data, at)


def test_an_event_of_ours_is_read_by_the_deserializer_and_one_of_the_serializers_by_us(registry: RegistryProcess) -> None:
    schema = default_codec().by_name["OrderPlaced"]
    subject = f"orders-towpath.{schema.name}"
    assert schema.id == registry.client().register_schema(subject, Schema(schema.text, "AVRO"))
    at = SerializationContext("orders", MessageField.VALUE)
    assert an_order() == AvroDeserializer(registry.client())(default_codec().encode(schema.name, an_order()), at)
    own = {"auto.register.schemas": False, "subject.name.strategy": topic_record_subject_name_strategy}
    data = AvroSerializer(registry.client(), schema.text, conf=own)(an_order(), at)
    assert (schema.name, an_order()) == default_codec().decode(data)


async def test_killed_and_started_again_it_has_the_same_ids_and_versions(registry: RegistryProcess, subject: str) -> None:
    client = registry.client()
    ids = [client.register_schema(subject, schema) for schema in (PLAIN, LONGER)]
    client.set_compatibility(subject, "BACKWARD")
    registry.kill()
    await registry.start()
    client = registry.client()
    assert [(1, ids[0]), (2, ids[1])] == [((one := client.get_version(subject, version)).version, one.schema_id) for version in (1, 2)]
    assert ("BACKWARD", ids) == (client.get_compatibility(subject), [client.register_schema(subject, schema) for schema in (PLAIN, LONGER)])


async def test_killed_while_it_registers_it_keeps_all_that_it_answered_for(registry: RegistryProcess, subject: str) -> None:
    answered: dict[str, int] = {}

    def register() -> None:
        client = registry.client()
        for number in range(10_000):
            schema = Schema(content(name=f"N{subject[2:10]}x{number}"), "AVRO")
            try:
                answered[f"{subject}-{number}"] = client.register_schema(f"{subject}-{number}", schema)
            except (httpx2.TransportError, SchemaRegistryError):
                return

    registering = asyncio.create_task(asyncio.to_thread(register))
    while len(answered) < 5:  # noqa: ASYNC110 - another thread fills it
        await asyncio.sleep(0.01)
    registry.kill()
    await registering
    await registry.start()
    client = registry.client()
    assert answered == {name: client.get_latest_version(name).schema_id for name in answered}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/subjects/a/versions", b"", 400),
        ("POST", "/subjects/a/versions", b"\xff\xfe{", 400),
        ("POST", "/subjects/a/versions", b"[" * 100_000, 400),
        ("POST", "/subjects/a/versions", b"[]", 400),
        ("POST", "/subjects/a/versions", b"{}", 422),
        ("POST", "/subjects/a/versions", b'{"schema": 5}', 422),
        ("POST", "/subjects/a/versions", b'{"schema": "\\"string\\"", "references": [{"name": "a", "subject": "b", "version": 1}]}', 422),
        ("POST", "/subjects/a/versions", b'{"schema": "' + b" " * 2_000_000 + b'"}', 413),
        ("POST", "/subjects/%20/versions", b'{"schema": "\\"string\\""}', 422),
        ("POST", "/subjects/a%00b/versions", b'{"schema": "\\"string\\""}', 422),
        ("POST", "/subjects/" + "a" * 500 + "/versions", b'{"schema": "\\"string\\""}', 422),
        ("PUT", "/config", b'{"compatibility": null}', 422),
        ("PUT", "/config", b"null", 400),
        ("GET", "/schemas/ids/abc", b"", 404),
        ("GET", "/schemas/ids/" + "9" * 5_000, b"", 404),
        ("GET", "/schemas/ids/-1", b"", 404),
        ("GET", "/subjects?limit=many", b"", 400),
        ("GET", "/nothing/here", b"", 404),
        ("PATCH", "/subjects", b"", 405),
        ("GET", "/associations/resources/-/orders", b"", 404),
    ],
)  # fmt: skip
def test_rubbish_is_answered_in_confluents_shape(registry: RegistryProcess, method: str, path: str, body: bytes, status: int) -> None:
    answer = httpx2.request(method, f"{registry.url}{path}", content=body)
    told = answer.json()
    assert (status, str(status)) == (answer.status_code, str(told["error_code"])[:3])
    assert told["message"]


def test_a_form_of_a_web_page_registers_nothing(registry: RegistryProcess, subject: str) -> None:
    content_type = {"Content-Type": "text/plain"}
    answer = httpx2.post(f"{registry.url}/subjects/{quote(subject, safe='')}/versions", content=b'{"schema": "\\"string\\""}', headers=content_type)
    assert (415, 415) == (answer.status_code, answer.json()["error_code"])


def test_two_that_register_at_once_are_told_the_same(registry: RegistryProcess, subject: str) -> None:
    schemas = [PLAIN, LONGER] * 8
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda schema: registry.client().register_schema(subject, schema), schemas))
    assert (2, [1, 2]) == (len(set(ids)), registry.client().get_versions(subject))


def kcat_without_avro() -> str | None:
    """Return why kcat cannot decode Avro here, None where it can."""
    kcat = shutil.which("kcat")
    if kcat is None:
        return "kcat is not installed"
    told = subprocess.run([kcat, "-V"], capture_output=True, text=True, check=False).stdout
    return None if "avro" in told.lower() else f"this kcat was built without Avro: {told.strip()}"


@pytest.mark.skipif(kcat_without_avro() is not None, reason=kcat_without_avro() or "")
def test_kcat_decodes_what_stands_in_a_topic(registry: RegistryProcess, kafka_settings: KafkaSettings, topic_name: Callable[[str], str]) -> None:
    schema, topic = default_codec().by_name["OrderPlaced"], topic_name("orders")
    registry.client().register_schema("orders-towpath.OrderPlaced", Schema(schema.text, "AVRO"))
    ensure(kafka_settings, [TopicSpec(topic, 1, "delete", 3_600_000)])
    producer = make_producer(kafka_settings)
    producer.produce(topic, default_codec().encode("OrderPlaced", an_order()))
    assert 0 == producer.flush(10)
    command = ["kcat", "-C", "-b", kafka_settings.bootstrap_servers, "-t", topic, "-s", "value=avro", "-r", registry.url, "-e", "-q"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert "1001" == json.loads(printed)["order_number"]
