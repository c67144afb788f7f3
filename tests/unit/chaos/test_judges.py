"""What each fault is judged by beside the invariants is found where it is broken, and nothing where it holds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from towpath.chaos.evidence import Letter
from towpath.chaos.faults import clocks, disk_full, load, poison, schemas, slow_target
from towpath.chaos.webhooks import Answered

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def arena(**notes: object) -> Any:  # noqa: ANN401 - as much of an arena as a judge needs
    config = SimpleNamespace(kafka=None)
    return SimpleNamespace(notes=notes, stack=SimpleNamespace(config=lambda: config))


def found(monkeypatch: pytest.MonkeyPatch, module: Any, *lost: str) -> None:  # noqa: ANN401 - a module of faults
    async def not_stored(_arena: object, answers: Sequence[Answered]) -> list[str]:
        return [one.webhook_id for one in answers if one.webhook_id in lost]

    monkeypatch.setattr(module, "not_stored", not_stored)


async def test_a_webhook_out_of_its_time_that_is_taken_is_found() -> None:
    right = dict(clocks.WEBHOOKS)
    assert [] == await clocks.only_timely_webhooks(arena(answers=right))
    six = timedelta(minutes=6)
    assert ["a webhook from 0:06:00 away was answered 204, not 401"] == await clocks.only_timely_webhooks(arena(answers=right | {six: 204}))


async def test_a_registry_that_takes_what_breaks_its_readers_is_found() -> None:
    assert [[], 1] == [await schemas.broken_one_refused(arena(refused=True)), len(await schemas.broken_one_refused(arena(refused=False)))]


def letter(number: int, at: float, *, state: str = "dead", offset: int = 5, key: str = "", connection: str = "shop") -> Letter:
    told = {"dead_letter_id": f"l{number}", "state": state, "first_at": NOON + timedelta(seconds=at), "business_key": key, "connection": connection}
    return Letter({**told, "topic": "inbox.shop", "partition": 0, "offset": offset}, None)


@pytest.mark.parametrize(
    ("letters", "wrong"),
    [
        ([letter(1, 3)], []),
        ([letter(1, 3), letter(1, 9)], []),
        ([], ["NaN: 0 dead letters, where there must be one"]),
        ([letter(1, 3), letter(2, 3, offset=9, key="shop/order/1")], ["NaN: 2 dead letters, where there must be one"]),
        ([letter(1, 31)], ["NaN: told after 0:00:31"]),
        ([letter(1, 3, offset=6)], ["NaN: 0 dead letters, where there must be one"]),
    ],
)
async def test_poison_that_is_not_one_dead_letter_soon_is_found(monkeypatch: pytest.MonkeyPatch, letters: list[Letter], wrong: list[str]) -> None:
    async def gather(_arena: object) -> object:
        return SimpleNamespace(letters=letters)

    monkeypatch.setattr(poison, "gather", gather)
    one = poison.Poisoned("NaN", "shop/order/1", ("inbox.shop", 0, 5), NOON)
    assert wrong == await poison.each_dead_once(arena(poison=[one]))


@pytest.mark.parametrize(("parked", "wrong"), [(True, 0), (False, 1)])
async def test_a_follower_of_what_was_refused_that_did_not_park_is_found(monkeypatch: pytest.MonkeyPatch, *, parked: bool, wrong: int) -> None:
    async def gather(_arena: object) -> object:
        return SimpleNamespace(letters=[letter(1, 1), *([letter(2, 1, state="parked", offset=9, key="k", connection="erp")] if parked else [])])

    monkeypatch.setattr(poison, "gather", gather)
    one = poison.Poisoned(poison.REFUSED, "k", ("inbox.shop", 0, 5), NOON)
    assert wrong == len(await poison.each_dead_once(arena(poison=[one])))


@pytest.mark.parametrize(
    ("slow", "members", "wrong"),
    [(1.0, {"a", "b"}, 0), (1.4, {"a", "b"}, 0), (1.6, {"a", "b"}, 1), (1.0, {"a"}, 1)],
)
async def test_others_that_suffer_with_a_slow_target_are_found(monkeypatch: pytest.MonkeyPatch, slow: float, members: set[str], wrong: int) -> None:
    rounds = [slow_target.Round(bool(number % 2), *(NOON + timedelta(seconds=20 * number + end) for end in (0, 10))) for number in range(6)]
    waits = [(one.began + timedelta(seconds=1), slow if one.slow else 1.0 + number * 0.1) for number, one in enumerate(rounds)]
    monkeypatch.setattr(slow_target, "_waits", lambda _kafka: waits)
    groups = ({"sink.shop": frozenset({"a", "b"})}, {"sink.shop": frozenset(members)})
    assert wrong == len(await slow_target.others_unharmed(arena(rounds=rounds, members=groups)))


@pytest.mark.parametrize(
    ("statuses", "seconds", "most", "lost", "wrong"),
    [
        ((204, 503), 0.9, 115, "", 0),
        ((204, 503), 1.1, 115, "", 1),
        ((204, 500), 0.9, 115, "", 1),
        ((204, 0), 0.9, 115, "", 1),
        ((204, 204), 0.9, 125, "", 1),
        ((204, 204), 0.9, 115, "w1", 1),
    ],
)
async def test_an_overload_that_does_harm_is_found(
    monkeypatch: pytest.MonkeyPatch, statuses: tuple[int, int], seconds: float, most: int, lost: str, wrong: int
) -> None:
    found(monkeypatch, load, lost)
    rising = [Answered(f"w{number}", status, seconds) for number, status in enumerate(statuses)]
    memory = SimpleNamespace(before={"sink": 100}, most={"sink": most}, grown=lambda: {"sink": most / 100})
    notes = {"watching": SimpleNamespace(cancel=lambda: None), "rising": rising, "answers": rising, "memory": memory}
    assert wrong == len(await load.bounded(arena(**notes)))


@pytest.mark.parametrize(("status", "lost", "wrong"), [(503, "", 0), (204, "", 1), (503, "w0", 1)])
async def test_what_was_taken_while_a_disk_was_full_and_is_lost_is_found(monkeypatch: pytest.MonkeyPatch, status: int, lost: str, wrong: int) -> None:
    found(monkeypatch, disk_full, lost)
    answers = {name: [Answered("w0", 204, 0.1), Answered("w1", status, 0.1)] for name in disk_full.DISKS}
    wrong += bool(lost)  # on either disk
    assert wrong == len(await disk_full.honest(arena(answers=answers)))
