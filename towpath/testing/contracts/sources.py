"""What every source promises: nothing is lost, nothing is twice, and what is wrong is one record's fault and named."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy.engine import URL

from producers.adapter import find_source
from producers.base import Fetch
from producers.polled import Inbox, PolledList
from towpath.blanking import blank
from towpath.codec import default_codec
from towpath.delivery.cursors import Cursors
from towpath.delivery.database import open_engine
from towpath.errors import DataError, RetryableError
from towpath.metrics import Metrics
from towpath.signatures import AddressVerifier, NotAuthenticError, Verifier
from towpath.systems.base import system_module
from towpath.testing.contracts import wire
from towpath.testing.contracts.base import Contract
from towpath.testing.contracts.bench import NAME, Bench, Hook, now
from towpath.testing.contracts.example import WAIT, Reply
from towpath.testing.contracts.odd import odd, with_unknown
from towpath.testing.contracts.reading import LONG_AGO, Reader, facts, leaves, read
from towpath.testing.producer import FakeProducer

Json = Any
NO_PAGES = ("", "<html>down for maintenance</html>", "null", "[]", "{}", '{"items": {}}', '{"response": "a sentence"}', '{"items": [{"id": 1}')
PASSING = (401, 403, 408, 429, 500, 502, 503, 504)


class SourceContract(Contract):
    """The promises of a source."""

    def parameters(self) -> Mapping[str, list[Any]]:
        """Return the entities, those that webhooks tell of, and those that have a list."""
        emits, polls = self.example.emits, _polls(self.example.system)
        return {
            "entity": list(emits),
            "named": [entity for entity, one in emits.items() if one.named],
            "hooked": [entity for entity, one in emits.items() if one.hooked],
            "listed": [entity for entity in emits if entity in polls],
            "changing": [entity for entity, one in emits.items() if one.change is not None],
        }

    async def test_every_list_has_an_example(self) -> None:
        assert set(_polls(self.example.system)) <= set(self.example.emits), "Example.emits lacks an entity that a poll reads"
        assert self.example.emits, "Example.emits names no entity"

    async def test_a_thing_read_twice_has_the_same_event_ids_and_says_the_same(self, bench: Bench, entity: str) -> None:
        async with bench.client() as api:
            reader = Reader(bench, api)
            wanted = await reader.any_of(entity, await reader.make(entity))
            first, again = await reader.events(wanted, read(1)), await reader.events(wanted, read(2))
        assert first, f"{entity} becomes no event"
        assert facts(first) == facts(again)
        assert len({event.meta["event_id"] for event in first}) == len(first), "two events of one read have one id"

    async def test_a_list_and_a_webhook_tell_of_the_same_events(self, bench: Bench, listed: str) -> None:
        if not self.example.emits[listed].hooked:
            pytest.skip(f"no webhook tells of {listed}")
        async with bench.client() as api:
            reader = Reader(bench, api)
            number = await reader.make(listed)
            told, polled = await reader.any_of(listed, number), await reader.listed(listed, number)
            assert facts(await reader.events(told)) == facts(await reader.events(polled))

    async def test_what_an_operator_names_is_read_by_its_id_alone(self, bench: Bench, named: str) -> None:
        async with bench.client() as api:
            reader = Reader(bench, api)
            number = await reader.make(named)
            told = facts(await reader.events(await reader.any_of(named, number)))
            read_again = facts(await reader.events(Fetch(named, number)))
        assert sorted(map(repr, told.values())) == sorted(map(repr, read_again.values())), "read at another time it may be another reading"

    async def test_a_change_is_told_and_never_as_an_older_version(self, bench: Bench, changing: str) -> None:
        change = self.example.emits[changing].change
        assert change is not None
        async with bench.client() as api:
            reader = Reader(bench, api)
            number = await reader.make(changing)
            before = await reader.events(await reader.any_of(changing, number), read(1))
            await change(bench, number)
            after = await reader.events(await reader.any_of(changing, number), read(2))
        assert {event.meta["event_id"] for event in after} - {event.meta["event_id"] for event in before}, "the change is no event of its own"
        versions = [[(event.meta["version"]["major"], event.meta["version"]["minor"]) for event in events] for events in (before, after)]
        assert max(versions[1]) > max(versions[0])

    async def test_every_event_can_be_written_and_read_back(self, bench: Bench, entity: str) -> None:
        async with bench.client() as api:
            reader = Reader(bench, api)
            for event in await reader.events(await reader.any_of(entity, await reader.make(entity))):
                assert (event.type, event.value) == default_codec().decode(default_codec().encode(event.type, event.value))
                assert event.meta["connection"] == NAME
                assert "/" in event.meta["key"]

    async def test_times_are_utc_and_none_is_of_the_reader_s_clock(self, bench: Bench, entity: str) -> None:
        async with bench.client() as api:
            reader = Reader(bench, api)
            wanted = await reader.any_of(entity, await reader.make(entity))
            for event in await reader.events(wanted):
                times = {name: value for name, value in leaves(event.value) if isinstance(value, datetime)}
                assert {timedelta(0)} == {time.utcoffset() for time in times.values()}
                assert LONG_AGO - timedelta(days=10_000) < event.meta["occurred_at"] < now() + timedelta(minutes=1)
                assert read(1).received_at not in {time for name, time in times.items() if name != "received_at"}

    async def test_money_is_decimal_and_has_its_currency(self, bench: Bench, entity: str) -> None:
        async with bench.client() as api:
            reader = Reader(bench, api)
            for event in await reader.events(await reader.any_of(entity, await reader.make(entity))):
                assert [name for name, value in leaves(event.value) if isinstance(value, float)] == []
                if any(isinstance(event.value.get(name), Decimal) for name in ("total", "price", "amount")):
                    assert str(event.value.get("currency")).isalpha(), f"{event.type} has an amount of no currency"

    async def test_unknown_fields_change_nothing(self, bench: Bench, entity: str) -> None:
        async with bench.client() as api:
            reader = Reader(bench, api)
            wanted = await reader.any_of(entity, await reader.make(entity))
            usual = facts(await reader.events(wanted))
            grown = wanted
            if wanted.payload:
                grown = wanted._replace(payload=json.dumps(with_unknown(json.loads(wanted.payload), self.example.maps)))
        async with bench.client() as api:  # what an older client has cached it need not read again
            with bench.wire.acting(wire.changed(lambda body: with_unknown(body, self.example.maps))):
                assert usual == facts(await Reader(bench, api).events(grown))

    async def test_whatever_is_wrong_with_what_was_fetched_is_one_dead_letter_that_names_a_field(self, bench: Bench, entity: str) -> None:
        async with bench.client() as api:
            reader = Reader(bench, api)
            text = await reader.text(await reader.any_of(entity, await reader.make(entity)))
        assert text is not None
        for name, changed in odd(json.loads(text)):
            try:
                reader.outcome(entity, json.dumps(changed))
            except Exception as error:
                raise AssertionError(f"{entity} with {name}: {type(error).__name__}: {error}; raise DataError(…, field=…)") from error
        for whole in ("", "nonsense", "null", "[]", "{}", '"x"', "[" * 50_000, text[: len(text) // 2], '{"a": NaN}', '{"a": 1, "a": 2}'):
            assert reader.outcome(entity, whole) != "events", f"{entity}: {whole[:20]} became events"

    async def test_whatever_is_wrong_with_a_webhook_is_named_and_its_key_is_asked_for_safely(self, bench: Bench, hooked: str) -> None:
        async with bench.client() as api:
            reader, key_of = Reader(bench, api), system_module(self.example.system).key_of
            number = await reader.make(hooked)
            await reader.any_of(hooked, number)
            body = next(hook.body for hook in reversed(bench.hooks) if any(str(one.id) == number for one in reader.wanted(hook.body)))
            wanted = reader.source.wanted(body)
            assert (f"{wanted.entity}/{wanted.id}" if isinstance(wanted, Fetch) else None) == key_of(body)
            for name, changed in odd(json.loads(body)):
                said = json.dumps(changed).encode()
                try:
                    reader.wanted(said)
                except DataError as error:
                    assert error.field, f"a webhook with {name}: {error} names no field"
                except Exception as error:
                    raise AssertionError(f"a webhook with {name}: {type(error).__name__}: {error}; raise DataError(…, field=…)") from error
                assert key_of(said) is None or isinstance(key_of(said), str)
            for whole in (b"", b"\xff\xfe", b"null", b"[]", b"[" * 50_000, body[:-5]):
                with pytest.raises(DataError):
                    reader.wanted(whole)
                assert key_of(whole) is None

    async def test_a_forged_webhook_is_refused_and_a_real_one_is_not(self, bench: Bench, hooked: str) -> None:
        async with bench.client() as api:
            reader = Reader(bench, api)
            await reader.any_of(hooked, await reader.make(hooked))
        kind: type[Verifier | AddressVerifier] = getattr(system_module(self.example.system), "verifier", Verifier)
        secret = self.example.webhook_query.partition("=")[2] or self.example.webhook_secret
        verifier, other = kind(secret, 300), kind(secret[:10] + secret[10:].swapcase(), 300)
        hook = bench.hooks[-1]
        assert verifier.verify(hook.body, hook.headers, now(), hook.query)
        forged = [(other, hook, now()), (verifier, Hook(hook.body, {}, {}), now())]
        if kind is not AddressVerifier:
            forged.append((verifier, hook._replace(body=hook.body + b" "), now()))
        if kind is Verifier:
            forged.append((verifier, hook, now() + timedelta(minutes=6)))
        for by, said, at in forged:
            with pytest.raises(NotAuthenticError):
                by.verify(said.body, said.headers, at, said.query)

    async def test_what_is_deleted_between_its_telling_and_its_fetching_stops_nobody(self, bench: Bench, entity: str) -> None:
        async with bench.client() as api:
            reader = Reader(bench, api)
            wanted = await reader.any_of(entity, await reader.make(entity))
            with bench.wire.acting(wire.answers(self.example.missing)):
                try:
                    found = await reader.text(wanted)
                except DataError as error:
                    assert error.field
                else:
                    assert found is None or reader.decoded(entity, found), "it was told whole, so nothing had to be fetched"

    async def test_a_passing_failure_is_nobody_s_dead_letter(self, bench: Bench, entity: str) -> None:
        async with bench.client() as api:
            reader = Reader(bench, api)
            wanted = await reader.any_of(entity, await reader.make(entity))
        for status in PASSING:
            bench.wire.calls.clear()
            async with bench.client() as api:
                with bench.wire.acting(wire.answers(Reply(status, {"message": "not now"}))):
                    try:
                        await Reader(bench, api).text(wanted)
                    except RetryableError:
                        continue
                assert not bench.wire.calls, f"{status} was taken for an answer"

    async def test_throttling_is_kept(self, bench: Bench, listed: str) -> None:
        async with bench.client() as api:
            reader = Reader(bench, api)
            number = await reader.make(listed)
            began, once = bench.clock.monotonic(), wire.Once(wire.answers(self.example.throttled))
            with bench.wire.acting(once):
                assert number in {str(item.id) for item in await reader.items(listed)}, "a list is read to its end although it was throttled"
        assert once.struck
        assert WAIT - 0.001 <= bench.clock.monotonic() - began < 10 * WAIT

    async def test_a_list_is_read_to_its_end(self, bench: Bench, listed: str, monkeypatch: pytest.MonkeyPatch) -> None:
        async with bench.client() as api:
            reader = Reader(bench, api)
            made = {await reader.make(listed) for _ in range(5)}
            assert self.example.pages, "Example.pages does not say whose PAGE_SIZE a poll asks for"
            monkeypatch.setattr(importlib.import_module(self.example.pages), "PAGE_SIZE", 2)
            assert made <= {str(item.id) for item in await reader.items(listed)}

    async def test_a_list_that_repeats_a_page_is_not_read_for_ever(self, bench: Bench, listed: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(importlib.import_module(self.example.pages), "PAGE_SIZE", 2)
        async with bench.client() as api:
            reader = Reader(bench, api)
            for _ in range(5):
                await reader.make(listed)
            with bench.wire.acting(wire.first_again()), pytest.raises(RetryableError, match="the same page"):
                await reader.items(listed)

    async def test_a_list_that_breaks_off_is_not_taken_for_read(self, bench: Bench, listed: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(importlib.import_module(self.example.pages), "PAGE_SIZE", 2)
        since = now() - timedelta(seconds=1)
        async with bench.client() as api:
            for _ in range(5):
                await Reader(bench, api).make(listed)
        for act in (wire.unsent, wire.answers(Reply(502, "bad gateway")), *(wire.answers(Reply(200, body)) for body in NO_PAGES)):
            for nth in (0, 1):
                async with bench.client() as api:
                    with bench.wire.acting(wire.from_nth(act, nth)), pytest.raises((RetryableError, DataError)):
                        await Reader(bench, api).items(listed, since)

    async def test_a_cursor_loses_nothing(self, bench: Bench, listed: str, tmp_path_factory: pytest.TempPathFactory) -> None:
        database = tmp_path_factory.mktemp("cursors") / "towpath.db"
        cursors = Cursors(open_engine(URL.create("sqlite", database=str(database))), bench.clock)
        async with bench.client() as api:
            reader, producer = Reader(bench, api), FakeProducer()
            poll, started = reader.poll(listed), now().replace(microsecond=0)
            assert poll is not None
            inbox = Inbox(NAME, reader.source, producer, bench.clock, Metrics())
            connection = bench.connection(poll_from=started.isoformat())
            polled = PolledList(NAME, connection, poll=poll, api=api, inbox=inbox, cursors=cursors, clock=bench.clock)
            first = await reader.make(listed)
            await bench.clock.run(polled.read())
            second = await reader.make(listed)
            with bench.wire.acting(wire.from_nth(wire.unsent, 0)), pytest.raises(RetryableError):
                await bench.clock.run(polled.read())
            third = await reader.make(listed)
            await bench.clock.run(polled.read())
            written = [(record.key or b"").decode().rpartition("/")[2] for record in producer.sent]
            assert {first, second, third} <= set(written), "what came while a read failed is read by the next"
            await bench.clock.run(polled.read())
            assert len(written) == len(producer.sent), "what did not change is not told again"
        await cursors.close()

    async def test_no_secret_is_ever_in_an_error(self, bench: Bench, entity: str) -> None:
        async with bench.client() as api:
            reader = Reader(bench, api)
            wanted = await reader.any_of(entity, await reader.make(entity))
            with bench.wire.acting(wire.echo):
                try:
                    await reader.text(wanted)
                except (DataError, RetryableError) as error:
                    self.has_no_secret(f"{error} {error!r} {getattr(error, 'value', '')}")

    async def test_no_event_needs_what_is_blanked(self, bench: Bench, entity: str) -> None:
        async with bench.client() as api:
            reader = Reader(bench, api)
            text = await reader.text(await reader.any_of(entity, await reader.make(entity)))
        assert text is not None
        blanked = blank(text.encode(), reader.source.blanked).decode()
        assert facts(reader.decoded(entity, text)) == facts(reader.decoded(entity, blanked))


def _polls(system: str) -> list[str]:
    source = find_source(system)
    return [] if source is None else [poll.entity for poll in source.polls]
