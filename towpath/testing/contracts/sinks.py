"""What every target promises: each effect once, whatever is lost, late, repeated or refused on the way; and its errors say what is next."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from typing import Any

import pytest

from sinks.base import Operation, Update, filled
from sinks.role import find_target
from towpath.dialect import Outcome
from towpath.errors import DataError, OutcomeUnknownError, RetryableError, TowpathError
from towpath.systems.base import system_module
from towpath.testing.contracts import wire
from towpath.testing.contracts.base import Contract
from towpath.testing.contracts.bench import Bench, Sink, gather
from towpath.testing.contracts.example import WAIT, Asked, Reply
from towpath.testing.contracts.odd import numbers, odd, with_unknown
from towpath.testing.contracts.reading import as_json

Json = Any
RUBBISH = ("", "<html>ok</html>", "null", "[]", "{}", '"You have sent a sentence"', '{"response": "a sentence"}', '{"id": ')
"""What a proxy, a plugin or a bug may say in an answer's place."""
NOTHING = ("null", "[]", "{}")
FEW_ODD: tuple[Json, ...] = (None, "", [], {"a": 1}, -1, "x" * 500)
EXPECTED = {
    Outcome.DATA: DataError,
    Outcome.MISSING: DataError,
    Outcome.RETRY: RetryableError,
    Outcome.THROTTLED: RetryableError,
    Outcome.SYSTEM: RetryableError,
    Outcome.UNKNOWN: OutcomeUnknownError,
}


class SinkContract(Contract):
    """The promises of a target."""

    def parameters(self) -> Mapping[str, list[Any]]:
        """Return the operations, the state-like ones among them, and the rows of the table of statuses."""
        operations = find_target(self.example.system).operations
        writes = [name for name in self.example.writes if name in operations]
        rows = [(row[0].start, row[1]) for row in system_module(self.example.system).DIALECT.table]
        return {"operation": writes, "state": [name for name in writes if isinstance(operations[name], Update)], "row": rows}

    async def test_every_operation_has_an_example(self) -> None:
        target = find_target(self.example.system)
        assert sorted(target.operations) == sorted(self.example.writes), "Example.writes and the target's operations differ"
        assert set(target.creates.values()) <= set(target.operations)
        assert {entity: f"create_{entity}" for entity in target.creates} == target.creates, "references are found by the name create_<entity>"

    async def test_writing_twice_makes_one_effect_and_the_second_time_no_call(self, bench: Bench, operation: str) -> None:
        key, asked = await self._asked(bench, operation)
        async with bench.sink() as sink:
            assert (await sink.insist(operation, key, asked)).outcome == "applied"
            bench.wire.calls.clear()
            assert (await sink.apply(operation, key, asked)).outcome == "unchanged"
        assert bench.wire.calls == []
        assert await self._count(bench, operation, asked) == 1

    async def test_what_stands_there_is_found_by_who_knows_nothing_of_it(self, bench: Bench, operation: str) -> None:
        if isinstance(found := find_target(self.example.system).operations[operation], Operation) and found.may_repeat is not None:
            pytest.skip("the target finds it itself, by an idempotency key")
        key, asked = await self._asked(bench, operation)
        async with bench.sink() as sink:
            first = await sink.insist(operation, key, asked)
            bench.wire.calls.clear()
            again = await sink.insist(operation, f"{key}/as-of-another-ledger", asked)
        if operation not in self.example.anew:
            assert first.external_id == again.external_id
            assert again.outcome == "found" or isinstance(found, Update), "what stands there was written once more"
            assert await self._count(bench, operation, asked) == 1

    @pytest.mark.parametrize("how", ["lost", "unsent", "late"])
    async def test_a_call_without_an_answer_makes_one_effect(self, bench: Bench, operation: str, how: str) -> None:
        async with bench.sink() as sink:
            for nth, call in enumerate(await self._calls(bench, sink, operation)):
                if how != "unsent" and not self._changes(call):
                    continue
                key, asked = await self._asked(bench, operation)
                late = wire.Late()
                act: wire.Act = {"lost": wire.lost, "unsent": wire.unsent}.get(how, late)
                with bench.wire.acting(wire.Once(act, nth)):
                    effected = await sink.insist(operation, key, asked, late=late)
                assert effected.external_id
                assert await self._count(bench, operation, asked) == 1, f"{call.method} {call.path} was {how}"

    async def test_an_answer_that_says_something_else_is_no_success_and_makes_one_effect(self, bench: Bench, operation: str) -> None:
        async with bench.sink() as sink:
            for nth, call in enumerate(await self._calls(bench, sink, operation)):
                for turn in range(3 if self._changes(call) else 1):
                    await self._rubbish(bench, sink, operation, nth, RUBBISH[(3 * nth + turn) % len(RUBBISH)])

    async def _rubbish(self, bench: Bench, sink: Sink, operation: str, nth: int, text: str) -> None:
        key, asked = await self._asked(bench, operation)
        with bench.wire.acting(wire.Once(wire.rubbish(text), nth)):
            try:
                effected = await sink.insist(operation, key, asked)
            except DataError as error:  # a read may well answer that there is nothing
                assert text in NOTHING, f"{text!r} in answer to call {nth} was taken for the record's fault: {error}"
                assert not self._changes(bench.wire.calls[-1]), f"{text!r} in answer to {bench.wire.calls[-1]} was taken for a refusal"
                effected = await sink.insist(operation, key, asked)
        assert effected.external_id
        assert "sentence" not in effected.external_id
        assert await self._count(bench, operation, asked) == 1, f"call {nth} was answered with {text!r}"

    async def test_two_processes_at_once_make_one_effect(self, bench: Bench, operation: str) -> None:
        key, asked = await self._asked(bench, operation)
        async with bench.sink("one") as one, bench.sink("two") as two:
            tried = await gather(one.apply(operation, key, asked), two.apply(operation, key, asked))
            assert [error for error in tried if isinstance(error, BaseException) and not isinstance(error, TowpathError)] == []
            await two.insist(operation, key, asked)
        assert await self._count(bench, operation, asked) == 1

    async def test_a_status_means_what_its_table_says(self, bench: Bench, row: tuple[int, str]) -> None:
        status, outcome = row
        for write in (True, False):
            async with bench.client() as api:
                with bench.wire.acting(wire.answers(Reply(status, {"message": "no"}))):
                    path = self.example.base.removeprefix(self.example.address.rstrip("/")) + "anything"
                    call = api.write("POST", path, {}) if write else api.get(path)
                    expected = EXPECTED[outcome] if write or outcome != Outcome.UNKNOWN else RetryableError
                    if outcome == Outcome.MISSING and not write:
                        assert status == (await bench.clock.run(call)).status
                        continue
                    with pytest.raises(expected) as caught:
                        await bench.clock.run(call)
            if isinstance(caught.value, RetryableError):
                assert (outcome == Outcome.THROTTLED) == caught.value.throttled
                assert caught.value.system_wide or outcome != Outcome.SYSTEM

    async def test_a_refusal_is_the_record_s_fault_and_leaves_nothing(self, bench: Bench, operation: str) -> None:
        key, asked = await self._asked(bench, operation)
        async with bench.sink() as sink:
            with bench.wire.acting(wire.Once(wire.answers(Reply(422, {"message": "no"})), count=_is_write)), suppress(DataError):
                await sink.insist(operation, key, asked)
            await sink.insist(operation, key, asked)
        assert await self._count(bench, operation, asked) == 1, "what was refused can be delivered again"

    async def test_an_outage_is_nobody_s_dead_letter(self, bench: Bench, operation: str) -> None:
        key, asked = await self._asked(bench, operation)
        for status in (401, 503):
            async with bench.sink() as sink:
                with bench.wire.acting(wire.answers(Reply(status, "down"))), pytest.raises((RetryableError, OutcomeUnknownError)):
                    await sink.apply(operation, key, asked)
                await bench.clock.advance(60)
        async with bench.sink() as sink:
            await sink.insist(operation, key, asked)
        assert await self._count(bench, operation, asked) == 1

    async def test_throttling_is_kept_and_fails_nothing(self, bench: Bench, operation: str) -> None:
        key, asked = await self._asked(bench, operation)
        began, calls = bench.clock.monotonic(), len(bench.wire.calls)
        once = wire.Once(wire.answers(self.example.throttled))
        async with bench.sink() as sink:
            with bench.wire.acting(once):
                with pytest.raises(RetryableError) as caught:
                    await sink.apply(operation, key, asked)
                assert caught.value.throttled
                assert calls + 1 == len(bench.wire.calls), "no other call follows one that was throttled"
                await sink.apply(operation, key, asked)
        assert WAIT - 0.001 <= bench.clock.monotonic() - began < 10 * WAIT
        assert await self._count(bench, operation, asked) == 1

    async def test_an_older_version_never_overwrites_a_newer_one(self, bench: Bench, state: str) -> None:
        newer = self.example.writes[state].newer
        assert newer is not None, f"Example.writes[{state!r}].newer does not say how a newer state differs"
        key, asked = await self._asked(bench, state)
        latest = Asked(newer(asked.document), asked.related)
        async with bench.sink() as sink:
            await sink.insist(state, key, latest, (2, 0))
            bench.wire.calls.clear()
            assert (await sink.apply(state, key, asked, (1, 0))).outcome == "superseded"
        assert bench.wire.calls == []
        assert await self._count(bench, state, latest) == 1

    async def test_a_newer_version_is_written(self, bench: Bench, state: str) -> None:
        newer = self.example.writes[state].newer
        assert newer is not None
        key, asked = await self._asked(bench, state)
        latest = Asked(newer(asked.document), asked.related)
        async with bench.sink() as sink:
            await sink.insist(state, key, asked, (1, 0))
            assert (await sink.insist(state, key, latest, (2, 0))).outcome == "applied"
        assert await self._count(bench, state, latest) == 1

    async def test_unknown_fields_in_answers_change_nothing(self, bench: Bench, operation: str) -> None:
        key, asked = await self._asked(bench, operation)
        async with bench.sink() as sink:
            with bench.wire.acting(wire.changed(lambda body: with_unknown(body, self.example.maps))):
                assert (await sink.insist(operation, key, asked)).outcome == "applied"
        assert await self._count(bench, operation, asked) == 1

    async def test_money_arrives_as_it_was(self, bench: Bench, operation: str) -> None:
        key, asked = await self._asked(bench, operation)
        async with bench.sink() as sink:
            bench.wire.calls.clear()
            await sink.insist(operation, key, asked)
        sent = [
            number
            for call in bench.wire.calls
            if call.body
            for one in numbers([as_json(call.body.decode())])
            if (number := _decimal(one)) is not None
        ]
        assert {Decimal(amount) for amount in asked.money} <= set(sent)
        assert [number for number in sent if -int(number.as_tuple().exponent) > 6] == [], "a number that binary fractions have spoilt"  # noqa: PLR2004

    async def test_a_wrong_document_is_refused_by_its_field(self, bench: Bench, operation: str) -> None:
        asked = await self.example.writes[operation].ask(bench, bench.next())
        target, document = find_target(self.example.system).operations[operation], filled(asked.document, _Ids())
        async with bench.client() as api:
            for name, changed in odd(document, FEW_ODD):
                work = target.put(api, changed, None) if isinstance(target, Update) else _find_and_write(target, api, changed)
                try:
                    await bench.clock.run(work)
                except DataError as error:
                    assert error.field, f"{name}: {error} names no field"
                except (RetryableError, OutcomeUnknownError) as error:
                    raise AssertionError(f"{operation} with {name} would be tried for ever: {error}") from error
                except Exception as error:
                    raise AssertionError(f"{operation} with {name}: {type(error).__name__}: {error}; raise DataError(…, field=…)") from error

    async def test_no_secret_is_ever_in_an_error(self, bench: Bench, operation: str) -> None:
        key, asked = await self._asked(bench, operation)
        for count in (_is_write, lambda _: True):
            async with bench.sink() as sink:
                with bench.wire.acting(wire.Once(wire.echo, count=count)), suppress(RetryableError, OutcomeUnknownError):
                    try:
                        await sink.apply(operation, key, asked)
                    except DataError as error:
                        self.has_no_secret(f"{error} {error!r} {error.field} {error.value}")

    async def _asked(self, bench: Bench, operation: str) -> tuple[str, Asked]:
        number = bench.next()
        return f"shop/{operation}/{number}", await self.example.writes[operation].ask(bench, number)

    async def _count(self, bench: Bench, operation: str, asked: Asked) -> int:
        """Return how often an effect stands; of those that nothing tells from the next, one more does no harm."""
        count = await self.example.writes[operation].count(bench, asked.document)
        return min(1, count) if operation in self.example.anew else count

    async def _calls(self, bench: Bench, sink: Sink, operation: str) -> list[wire.Called]:
        """Return the calls that an effect takes where all goes well."""
        key, asked = await self._asked(bench, operation)
        bench.wire.calls.clear()
        await sink.insist(operation, key, asked)
        return list(bench.wire.calls)

    def _changes(self, call: wire.Called) -> bool:
        return call.is_write or call.path.startswith(self.example.changing_gets or ("\0",))


class _Ids(dict[Any, str]):
    """An id for whatever a document refers to."""

    def __missing__(self, _reference: Any) -> str:  # noqa: ANN401 - a Reference
        return "1"


async def _find_and_write(operation: Operation, api: Any, document: Mapping[str, Json]) -> object:  # noqa: ANN401 - an ApiClient
    return await operation.find(api, document) or await operation.write(api, document)


def _is_write(request: Any) -> bool:  # noqa: ANN401 - a web.Request
    return request.method not in {"GET", "OPTIONS"}


def _decimal(value: object) -> Decimal | None:
    try:
        return Decimal(str(value)) if isinstance(value, int | str | Decimal) else None
    except InvalidOperation:
        return None
