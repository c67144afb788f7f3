from __future__ import annotations

import json
from typing import Any

import pytest

from towpath.codec import default_codec, id_of
from towpath.registry.schema import AvroSchema, parse
from towpath.registry.store import LARGEST_ID, Registered, Store, level_row


def schema(name: str = "Order", **more: Any) -> AvroSchema:  # noqa: ANN401 - any JSON
    return parse(json.dumps({"type": "record", "name": name, "fields": [], **more}))


def stored(*versions: Registered) -> Store:
    store = Store()
    for one in versions:
        store.apply(*one.row())
    return store


def test_a_schema_has_the_id_that_its_content_gives() -> None:
    for name in ("OrderPlaced", "Delivery"):
        own = default_codec().by_name[name]
        assert own.id == Store().next("any", parse(own.text)).id


def test_another_wording_is_another_version_with_the_next_free_id() -> None:
    first = Store().next("orders", schema())
    second = stored(first).next("orders", schema(doc="Worded better."))
    assert ((1, id_of(schema().content)), (2, first.id + 1)) == ((first.version, first.id), (second.version, second.id))


@pytest.mark.parametrize(("given", "expected"), [(LARGEST_ID, 2), (0, 2), (5, 5)])
def test_an_id_stays_within_31_bits_and_is_never_0(monkeypatch: pytest.MonkeyPatch, given: int, expected: int) -> None:
    store = stored(*(Registered(f"s{number}", 1, number, schema(f"S{number}").text) for number in (LARGEST_ID, 1)))
    monkeypatch.setattr("towpath.registry.store.id_of", lambda _: given)
    assert expected == store.next("orders", schema()).id


def test_the_same_content_has_one_id_in_every_subject_whatever_order_its_attributes_have() -> None:
    first = Registered("orders", 1, 7, schema().text)
    turned = parse('{"fields": [], "name": "Order", "type": "record"}')
    assert (7, first) == (stored(first).next("stock", turned).id, stored(first).find("orders", turned))


def test_a_version_that_is_gone_is_never_given_again() -> None:
    store = stored(Registered("orders", 1, 7, schema().text), Registered("orders", 2, 8, schema("B").text, deleted=True))
    assert (3, [1]) == (store.next("orders", schema("C")).version, list(store.versions("orders")))


def test_the_topic_told_twice_says_the_same() -> None:
    rows = [Registered("orders", 1, 7, schema().text).row(), level_row("orders", "NONE"), level_row(None, "FULL"), level_row("orders", None)]
    once, twice = Store(), Store()
    for row in rows:
        once.apply(*row)
    for row in [*rows, *rows]:
        twice.apply(*row)
    assert (once.subjects, once.texts, "FULL") == (twice.subjects, twice.texts, twice.level("orders"))


def test_what_confluents_registry_wrote_is_read() -> None:
    store = Store()
    value = {"subject": "orders-value", "version": 1, "id": 3, "md5": "x", "schema": schema().text, "deleted": False, "schemaType": "AVRO"}
    store.apply(b'{"keytype":"SCHEMA","subject":"orders-value","version":1,"magic":1}', json.dumps(value).encode())
    store.apply(b'{"keytype":"NOOP","magic":0}', None)
    assert (3, [1]) == (store.next("x", schema()).id, list(store.versions("orders-value")))
    store.apply(b'{"keytype":"DELETE_SUBJECT","subject":"orders-value","magic":0}', b'{"subject":"orders-value","version":1}')
    assert ([], [1]) == (list(store.versions("orders-value")), list(store.versions("orders-value", deleted=True)))
    store.apply(b'{"keytype":"SCHEMA","subject":"orders-value","version":1,"magic":1}', None)
    assert ([], schema().text) == (list(store.versions("orders-value", deleted=True)), store.texts[3])


RUBBISH: list[tuple[bytes | None, bytes | None]] = [
    (None, None),
    (b"", b""),
    (b"\xff", b"\xff"),
    (b"[]", b"{}"),
    (b"5", b"5"),
    (b'{"keytype":"SCHEMA"}', b"{}"),
    (b'{"keytype":"SCHEMA","subject":["a"],"version":1}', b'{"id":1,"schema":"5"}'),
    (b'{"keytype":"SCHEMA","subject":"a","version":"one"}', b'{"id":1,"schema":"5"}'),
    (b'{"keytype":"SCHEMA","subject":"a","version":1}', b'{"id":"one","schema":"5"}'),
    (b'{"keytype":"SCHEMA","subject":"a","version":1}', b'{"id":1,"schema":5}'),
    (b'{"keytype":"SCHEMA","subject":"a","version":1}', b'{"id":1,"schema":"syntax = \\"proto3\\";"}'),
    (b'{"keytype":"CONFIG","subject":null}', b'{"compatibilityLevel":"SOME"}'),
    (b'{"keytype":"CONFIG","subject":["a"]}', b'{"compatibilityLevel":"FULL"}'),
    (b'{"keytype":"DELETE_SUBJECT"}', b"{}"),
    (b"[" * 100_000, b"[" * 100_000),
]


@pytest.mark.parametrize(("key", "value"), RUBBISH)
def test_rubbish_in_the_topic_is_passed_over(key: bytes | None, value: bytes | None) -> None:
    store = Store()
    store.apply(key, value)
    store.apply(*Registered("orders", 1, 7, schema().text).row())
    assert (["orders"], {7: schema().text}, "FULL_TRANSITIVE") == (list(store.subjects), store.texts, store.level())
