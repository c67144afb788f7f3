"""What each fault is judged by beside the invariants is found where it is broken, and nothing where it holds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import URL

from towpath.chaos import strike
from towpath.chaos.arena import PAIR
from towpath.chaos.evidence import Fact, Letter
from towpath.chaos.fault import Run
from towpath.chaos.faults import clocks, disk_full, kills, load, poison, schemas, slow_target, systems, webhooks
from towpath.chaos.webhooks import BUSY, Answered
from towpath.config import parse_config
from towpath.config.connections import Limits
from towpath.config.model import Defaults
from towpath.delivery.database import make_tables, open_engine
from towpath.delivery.ledger import Effect, Ledger
from towpath.demo.pairs import configuration, find_pair
from towpath.testing.clock import VirtualClock

MIB = 2**20
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


def stock(*versions: int) -> list[Fact]:
    return [Fact("StockChanged", "A", "A", (version, 0), "d", ("stock", 0, offset)) for offset, version in enumerate(versions)]


@pytest.mark.parametrize(
    ("received", "public", "wrong"),
    [((1, 2, 1), (1, 2), 0), ((1, 2, 1), (1, 2, 1), 1), ((1, 2, 2), (1, 2), 1), ((1, 1, 2), (1, 2), 1)],
)
async def test_old_news_that_is_taken_or_does_not_come_is_found(
    monkeypatch: pytest.MonkeyPatch, received: Sequence[int], public: Sequence[int], wrong: int
) -> None:
    async def gather(_arena: object) -> object:
        return SimpleNamespace(received=stock(*received), public=stock(*public))

    monkeypatch.setattr(webhooks, "gather", gather)
    assert wrong == len(await webhooks.superseded(arena(old=1)))


@pytest.mark.parametrize(
    ("answers", "lost", "wrong"),
    [
        ([Answered("w0", 204, 0.1), Answered("w1", 503, 10.0, told_when=True)], "", 0),
        ([Answered("w0", 204, 0.1), Answered("w1", 503, 10.0, told_when=True)], "w0", 1),
        ([Answered("w0", 204, 0.1)], "", 1),
        ([Answered("w0", 503, 0.1)], "", 2),
        ([Answered("w0", 500, 0.1), Answered("w1", 0, 30.0)], "", 3),
    ],
)
async def test_a_webhook_that_is_lost_or_not_put_off_without_kafka_is_found(
    monkeypatch: pytest.MonkeyPatch, answers: list[Answered], lost: str, wrong: int
) -> None:
    found(monkeypatch, kills, lost)
    assert wrong == len(await kills.honest(arena(answers=answers)))


@pytest.mark.parametrize(("at", "wrong"), [((30, 80), 0), ((30, 91), 1), ((61,), 1), ((), 1), ((30, 80, 145), 1), ((30, 80, 125, 200), 0)])
async def test_a_stall_while_workers_come_and_go_is_found(monkeypatch: pytest.MonkeyPatch, at: Sequence[float], wrong: int) -> None:
    async def gather(_arena: object) -> object:
        times = {"erp": at, "shop": range(10, 120, 50)}
        told = [{"hop": "sink", "connection": name, "at": NOON + timedelta(seconds=one)} for name, several in times.items() for one in several]
        return SimpleNamespace(receipts=told)

    monkeypatch.setattr(kills, "gather", gather)
    assert wrong == len(await kills.no_stall(arena(moves=(NOON, NOON + timedelta(seconds=120)))))


@pytest.mark.parametrize(("attempts", "accepted", "wrong"), [(2, 1, 0), (1, 1, 1), (3, 0, 1)])
async def test_a_receiver_that_died_where_nobody_needed_it_is_found(attempts: int, accepted: int, wrong: int) -> None:
    async def rows(name: str, _entity: str) -> list[dict[str, int]]:
        return [{"attempts": 1, "accepted": 1}] if name == "shop" else [{"attempts": attempts, "accepted": accepted}]

    struck: Any = SimpleNamespace(rows=rows)
    assert wrong == len(await kills.sent_again(struck))


@pytest.mark.parametrize(
    ("copies", "order", "wrong"), [((1, 5, 2), (3, 1, 2), 0), ((1, 4, 2), (3, 1, 2), 1), ((2, 5, 2), (3, 1, 2), 1), ((1, 5, 2), (1, 2, 3), 1)]
)
async def test_webhooks_that_come_too_seldom_or_in_order_are_found(copies: Sequence[int], order: Sequence[int], wrong: int) -> None:
    async def rows(_name: str, _entity: str) -> list[dict[str, Any]]:
        told = [{"accepted": many, "delivered_at": f"2026-11-20T12:00:0{second}Z"} for many, second in zip(copies, order, strict=True)]
        return [*told, {"accepted": 0, "delivered_at": None}]

    struck: Any = SimpleNamespace(rows=rows, run=Run(100, 7))
    assert wrong == len(await webhooks.many_and_shuffled(struck))


def test_it_is_told_by_how_many_one_was_overtaken_at_most() -> None:
    assert [0, 0, 2, 4] == [webhooks.most_overtaken(told) for told in ("", "aab", "cab", "badcedacb")]


def calls(*spans: tuple[float, float, float]) -> list[systems.Called]:
    """Return calls that are answered, so many a second from one second to another."""
    return [systems.Called(NOON + timedelta(seconds=begin + n / rate), 200) for begin, end, rate in spans for n in range(int((end - begin) * rate))]


@pytest.mark.parametrize(
    ("took", "rate", "blamed"), [(59.0, 1, 59.0), (None, 20, None), (90.0, 20, 60.0), (90.0, 16, 60.0), (90.0, 15, 90.0), (90.0, 1, 90.0)]
)
async def test_a_recovery_is_late_unless_the_target_was_kept_busy_all_the_time(
    monkeypatch: pytest.MonkeyPatch, took: float | None, rate: float, blamed: float | None
) -> None:
    async def journal(_arena: object) -> list[systems.Called]:
        return calls((0, 10, 100), (10, 110, rate), (110, 120, 100))

    monkeypatch.setattr(systems, "_journal", journal)
    storm = arena(storm=(NOON, NOON + timedelta(seconds=10)))
    (fault,) = [one for one in systems.FAULTS if one.name == "F8"]
    assert blamed == await strike._to_blame(storm, fault, took)
    assert took == await strike._to_blame(storm, replace(fault, drained=None), took)


@pytest.mark.parametrize(
    ("made", "orders", "wrong"),
    [
        (calls((0, 10, 5), (10, 60, 20)), 833, 0),
        (calls((0, 10, 40), (10, 60, 20)), 833, 1),
        (calls((0, 10, 5), (12, 60, 15)), 833, 1),
        (calls((0, 10, 5)), 833, 1),
        (calls((0, 10, 5), (12, 60, 15)), 100, 0),
    ],
)
async def test_a_storm_that_is_made_worse_or_is_not_drained_is_found(
    monkeypatch: pytest.MonkeyPatch, made: list[systems.Called], orders: int, wrong: int
) -> None:
    async def journal(_arena: object) -> list[systems.Called]:
        return made

    monkeypatch.setattr(systems, "_journal", journal)
    struck = arena(storm=(NOON, NOON + timedelta(seconds=10)))
    struck.run = SimpleNamespace(orders=orders)
    assert wrong == len(await systems.within_the_limit(struck))


async def test_an_effect_that_the_ledger_does_not_know_the_end_of_is_found(tmp_path: Path) -> None:
    url, second = URL.create("sqlite", database=str(tmp_path / "towpath.db")), timedelta(seconds=1)
    ledger = Ledger(open_engine(url), VirtualClock(), "one")
    struck: Any = SimpleNamespace(stack=SimpleNamespace(config=lambda: SimpleNamespace(database_url=lambda: url)), call=journal([]))
    for number in (1, 2):
        await ledger.begin(Effect("shop", "create_shipment", str(number)), digest="", lease=second, settle=second)
    await ledger.complete(Effect("shop", "create_shipment", "1"), "7")
    assert ["the ledger does not know whether create_shipment 2 stands"] == await systems.told_by_the_ledger(struck)
    await ledger.refused(Effect("shop", "create_shipment", "2"))
    assert [] == await systems.told_by_the_ledger(struck)
    await ledger.close()


def journal(rows: Sequence[dict[str, Any]]) -> Callable[[str, str, str], Awaitable[dict[str, Any]]]:
    """Return what answers as a sandbox that got these calls."""

    async def call(_name: str, _method: str, path: str) -> dict[str, Any]:
        return {"items": rows if path.endswith("after=0") else [], "last": len(rows)}

    return call


@pytest.mark.parametrize(("fault", "count", "wrong"), [("unavailable", 20, 0), (None, 20, 1), (None, 19, 0)])
async def test_a_step_that_never_failed_is_found(tmp_path: Path, fault: str | None, count: int, wrong: int) -> None:
    url = URL.create("sqlite", database=str(tmp_path / "towpath.db"))
    make_tables(open_engine(url))
    a_call = {"time": NOON.isoformat(), "status": 200, "fault": None, "method": "POST"}
    there = {**a_call, "path": "/Shipment/Create", "fault": "unavailable"}
    ship = [{**a_call, "path": f"/Shipment/Ship/{number}", "fault": fault if number == 7 else None} for number in range(count)]
    late = [{**a_call, "path": "/Order/Update", "time": (NOON + timedelta(minutes=1)).isoformat()} for _ in range(count)]
    others = [{**a_call, "path": "/Authenticate/GetToken"}, {**a_call, "path": "/Order/Get", "method": "GET"}] * count
    stack = SimpleNamespace(config=lambda: SimpleNamespace(database_url=lambda: url))
    struck: Any = SimpleNamespace(stack=stack, call=journal([there, *ship, *others, *late]))
    assert ["POST /Shipment/Ship/# never failed"] * wrong == await systems.told_by_the_ledger(struck)


def test_lanes_run_out_of_patience_while_the_target_is_down() -> None:
    pair = find_pair(PAIR)
    content = configuration((pair,), dict.fromkeys(("kafka", "receiver", "registry", *pair.sandboxes), 1))
    systems.patient(content)
    config = parse_config(content, name="towpath.yaml", resolve=False)
    assert config.defaults.lane_retry_seconds < systems.OUTAGE_SECONDS - systems.OPENING_SECONDS
    assert config.defaults.lane_retry_seconds / Defaults().lane_retry_seconds == systems.PROBE_SECONDS / Limits().probe_seconds, "one scale"


@pytest.mark.parametrize(
    ("probes", "reason", "wrong"),
    [
        ((5.0, 6.0, 7.0), "waits for order shop/order/1, which is not at erp yet", 0),
        ((5.0, 5.5), "waits for order shop/order/1, which is not at erp yet", 1),
        ((), "waits for order shop/order/1, which is not at erp yet", 1),
        ((5.0,), "erp: POST /api/v1/sales-orders: cannot connect: Connection refused", 1),
    ],
)
async def test_a_target_that_is_down_and_asked_often_or_blamed_on_a_record_is_found(
    monkeypatch: pytest.MonkeyPatch, probes: Sequence[float], reason: str, wrong: int
) -> None:
    async def gather(_arena: object) -> object:
        return SimpleNamespace(letters=[Letter({"state": "parked", "business_key": "k", "reason": reason}, None)])

    monkeypatch.setattr(systems, "gather", gather)
    assert wrong == len(await systems.waited_for(arena(probes=list(probes))))


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
        return SimpleNamespace(letters=letters, open_letters=[])

    monkeypatch.setattr(poison, "gather", gather)
    one = poison.Poisoned("NaN", "shop/order/1", ("inbox.shop", 0, 5), NOON)
    assert wrong == await poison.each_dead_once(arena(poison=[one]))


@pytest.mark.parametrize(("other", "wrong"), [(letter(2, 3, offset=9, key="shop/order/1"), 0), (letter(2, 3, offset=9, key="shop/order/2"), 1)])
async def test_what_is_good_and_did_not_go_on_beside_poison_is_found(monkeypatch: pytest.MonkeyPatch, other: Letter, wrong: int) -> None:
    async def gather(_arena: object) -> object:
        return SimpleNamespace(letters=[letter(1, 3)], open_letters=[{**other.row, "reason": "why"}])

    monkeypatch.setattr(poison, "gather", gather)
    one = poison.Poisoned("NaN", "shop/order/1", ("inbox.shop", 0, 5), NOON)
    assert wrong == len(await poison.each_dead_once(arena(poison=[one])))


@pytest.mark.parametrize(("parked", "wrong"), [(True, 0), (False, 1)])
async def test_a_follower_of_what_was_refused_that_did_not_park_is_found(monkeypatch: pytest.MonkeyPatch, *, parked: bool, wrong: int) -> None:
    async def gather(_arena: object) -> object:
        letters = [letter(1, 1), *([letter(2, 1, state="parked", offset=9, key="k", connection="erp")] if parked else [])]
        return SimpleNamespace(letters=letters, open_letters=[one.row for one in letters])

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


async def test_a_round_with_nothing_to_compare_with_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = [slow_target.Round(bool(number % 2), *(NOON + timedelta(seconds=20 * number + end) for end in (0, 10))) for number in range(6)]
    monkeypatch.setattr(slow_target, "_waits", lambda _kafka: [(one.began, 9.0 if one.slow else 0.1) for one in rounds[1:]])
    assert 1 == len(await slow_target.others_unharmed(arena(rounds=rounds, members=({}, {}))))


@pytest.mark.parametrize(
    ("statuses", "seconds", "most", "lost", "wrong"),
    [
        ((204, 503), 0.9, 119, "", 0),
        ((204, 503), 1.1, 115, "", 1),
        ((204, 500), 0.9, 115, "", 1),
        ((204, 0), 0.9, 115, "", 1),
        ((204, 204), 0.9, 121, "", 1),
        ((204, 204), 0.9, 115, "w1", 1),
    ],
)
async def test_an_overload_that_does_harm_is_found(
    monkeypatch: pytest.MonkeyPatch, statuses: tuple[int, int], seconds: float, most: int, lost: str, wrong: int
) -> None:
    found(monkeypatch, load, lost)
    rising = [Answered(f"w{number}", status, seconds, status == BUSY) for number, status in enumerate(statuses)]
    memory = SimpleNamespace(before={"receiver": 400 * MIB, "sink": 100 * MIB}, most={"receiver": 400 * MIB, "sink": most * MIB})
    notes = {"watching": SimpleNamespace(cancel=lambda: None), "rising": rising, "answers": rising, "memory": memory}
    assert wrong == len(await load.bounded(arena(**notes)))


@pytest.mark.parametrize(("before", "most", "wrong"), [(20, 28, 0), (20, 29, 1), (200, 240, 0), (200, 241, 1)])
def test_a_small_role_may_grow_by_what_its_buffers_take_and_a_large_one_by_a_fifth(before: int, most: int, wrong: int) -> None:
    assert wrong == len(load.overgrown({"sink": before * MIB}, {"sink": most * MIB}))


@pytest.mark.parametrize(("anyway", "last"), [(0, 30), (5, 25)])
async def test_orders_are_sold_at_a_rate_that_rises_as_the_webhooks_do_less_what_is_sold_anyway(
    monkeypatch: pytest.MonkeyPatch, anyway: int, last: int
) -> None:
    shop: Any = SimpleNamespace(next_order=1001)
    sold = list[int]()

    async def sell(_arena: object, orders: int) -> None:
        sold.append(orders)
        shop.next_order += orders

    async def sleep(_seconds: float) -> None:
        shop.next_order += anyway

    monkeypatch.setattr(load, "sell", sell)
    monkeypatch.setattr("towpath.chaos.faults.load.asyncio.sleep", sleep)
    told = await load._selling(shop, 10.0, 20)
    assert (sum(sold) + 20 * anyway, 3, last) == (told, sold[0], sold[-1])


@pytest.mark.parametrize(("status", "lost", "wrong"), [(503, "", 0), (204, "", 1), (503, "w0", 1)])
async def test_what_was_taken_while_a_disk_was_full_and_is_lost_is_found(monkeypatch: pytest.MonkeyPatch, status: int, lost: str, wrong: int) -> None:
    found(monkeypatch, disk_full, lost)
    answers = {name: [Answered("w0", 204, 0.1), Answered("w1", status, 0.1)] for name in disk_full.DISKS}
    wrong += bool(lost)  # on either disk
    assert wrong == len(await disk_full.honest(arena(answers=answers)))
