from __future__ import annotations

import asyncio
import functools
import json
import sys
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import URL

from towpath.clock import OFFSET_VARIABLE, SystemClock
from towpath.delivery.claims import Claim, Order, State
from towpath.delivery.committer import GroupCommitter
from towpath.delivery.database import open_engine
from towpath.delivery.ledger import Effect, Ledger
from towpath.errors import FencedError, RetryableError
from towpath.records import EPOCH
from towpath.testing.clock import VirtualClock

NOON, LATER = datetime(2026, 11, 20, 12, tzinfo=UTC), datetime(2026, 11, 20, 12, 0, 0, 7, tzinfo=UTC)
LEASE, SETTLE = timedelta(seconds=20), timedelta(seconds=5)
ORDER = Effect("erp", "create_order", "shop/order/1001")
STOCK = Effect("shop", "set_stock", "erp/stock/A-7")
Open = Callable[[str], Ledger]


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
async def ledger_of(database: URL, clock: VirtualClock) -> AsyncIterator[Open]:
    opened: list[Ledger] = []

    def open_as(owner: str) -> Ledger:
        opened.append(Ledger(open_engine(database), clock, owner))
        return opened[-1]

    yield open_as
    for ledger in opened:
        await ledger.close()


async def begin(ledger: Ledger, effect: Effect = ORDER, digest: str = "d1", version: Order | None = None) -> Claim:
    return await ledger.begin(effect, digest=digest, lease=LEASE, settle=SETTLE, version=version)


async def put(ledger: Ledger, version: Order) -> Claim:
    """Claim a state and note that it stands, where it is not done already; return the claim."""
    claim = await begin(ledger, STOCK, f"d{version}", version)
    if claim.mine:
        await ledger.complete(STOCK, "17", digest=f"d{version}", version=version)
    return claim


@pytest.mark.parametrize("tail", ["x" * 300, "\0", "\0" + "x" * 300, "y" * 300])
async def test_an_effect_of_any_key_is_done_once_and_has_its_dead_letters(ledger_of: Open, tail: str) -> None:
    effect, ledger = Effect("erp", "create_payment", f"shop/order/1001/payment/{tail}"), ledger_of("one")
    other = effect._replace(key=f"{effect.key}z")
    await ledger.blame(effect, "letter-1", at=NOON)
    assert {"letter-1"} == {*(await begin(ledger, effect)).dead_letters}
    await ledger.renew(effect, lease=LEASE, settle=SETTLE)
    await ledger.complete(effect, "P-1")
    assert (State.DONE, "P-1") == ((claim := await begin(ledger_of("other"), effect)).state, claim.external_id)
    assert (await begin(ledger, other)).fresh, "nor is it taken for another"


async def test_what_failed_for_an_operation_that_is_none_is_noted(ledger_of: Open) -> None:
    await ledger_of("one").blame(ORDER._replace(operation="create" * 20), "letter-1", at=NOON)


async def test_the_first_claim_is_fresh_and_nobody_elses(ledger_of: Open) -> None:
    one, other = ledger_of("one"), ledger_of("other")
    assert await one.peek(ORDER) is None
    assert Claim(State.PENDING, mine=True, fresh=True, wait=0) == await begin(one)
    claim = await begin(other, digest="d2")
    assert (claim.mine, claim.fresh, claim.wait, claim.digest) == (False, False, 25, "d1")


async def test_another_owner_takes_over_only_after_the_lease_and_the_settle_time(ledger_of: Open, clock: VirtualClock) -> None:
    one, other = ledger_of("one"), ledger_of("other")
    await begin(one)
    await clock.advance(24.9)
    early = await begin(other)
    assert (early.mine, round(early.wait, 3)) == (False, 0.1)
    await clock.advance(0.1)
    taken = await begin(other)
    assert (taken.mine, taken.fresh) == (True, False)
    assert not (await begin(one)).mine, "it is the other's now"


@pytest.mark.parametrize("ahead", [600, -600])
async def test_hosts_whose_clocks_differ_agree_on_how_long_a_claim_holds(database: URL, monkeypatch: pytest.MonkeyPatch, ahead: int) -> None:
    ledgers = []
    for owner, offset in (("one", ahead), ("other", -ahead)):
        monkeypatch.setenv(OFFSET_VARIABLE, str(offset))
        ledgers.append(Ledger(open_engine(database), SystemClock(), owner))
    one, other = ledgers
    try:
        await begin(one)
        claim = await begin(other)
        assert (False, True) == (claim.mine, 10 < claim.wait < 26)
        await one.settles_in(ORDER, 60)
        assert 45 < (await begin(other)).wait < 61
    finally:
        await one.close()
        await other.close()


async def test_what_is_gone_at_the_target_is_done_again_unless_another_id_stands_by_now(ledger_of: Open) -> None:
    one, other = ledger_of("one"), ledger_of("other")
    await begin(one)
    await one.gone(ORDER, "")
    assert not (await begin(other)).mine, "it is under way, not gone"
    await one.complete(ORDER, "SO-1")
    await other.gone(ORDER, "SO-0")
    assert State.DONE == (await begin(other)).state
    await other.gone(ORDER, "SO-1")
    claim = await begin(other, digest="d2")
    assert (claim.mine, claim.external_id) == (True, "SO-1")
    await other.complete(ORDER, "SO-2", digest="d2")
    await one.gone(ORDER, "SO-1")
    assert (State.DONE, "SO-2") == ((await begin(one)).state, (await begin(one)).external_id)


async def test_a_restarted_process_is_another_owner_and_the_same_process_waits_as_well(ledger_of: Open, clock: VirtualClock) -> None:
    one = ledger_of("one")
    await begin(one)
    assert not (await begin(one)).mine, "its own earlier call may still commit"
    await clock.advance(25)
    assert (await begin(one)).mine


async def test_a_call_that_ended_settles_from_its_end(ledger_of: Open, clock: VirtualClock) -> None:
    one, other = ledger_of("one"), ledger_of("other")
    await begin(one)
    await clock.advance(2)
    await one.settles_in(ORDER, 5)
    assert (await begin(other)).wait == pytest.approx(5, abs=0.001)
    await one.settles_in(ORDER, 0)
    assert (await begin(other)).mine


async def test_renewing_is_fenced_once_another_has_taken_over_or_finished(ledger_of: Open, clock: VirtualClock) -> None:
    one, other = ledger_of("one"), ledger_of("other")
    await begin(one)
    await clock.advance(15)
    await one.renew(ORDER, lease=LEASE, settle=SETTLE)
    await clock.advance(15)
    assert not (await begin(other)).mine, "renewed"
    await clock.advance(10)
    assert (await begin(other)).mine
    with pytest.raises(FencedError, match="create_order shop/order/1001 belongs to another process"):
        await one.renew(ORDER, lease=LEASE, settle=SETTLE)
    await other.complete(ORDER, "SO-1")
    with pytest.raises(FencedError):
        await other.renew(ORDER, lease=LEASE, settle=SETTLE)


async def test_a_zombie_can_neither_refuse_nor_release_what_another_owns(ledger_of: Open, clock: VirtualClock) -> None:
    one, other, third = ledger_of("one"), ledger_of("other"), ledger_of("third")
    await begin(one)
    await clock.advance(25)
    await begin(other)
    await one.refused(ORDER)
    await one.settles_in(ORDER, 0)
    assert (await begin(third)).wait == 25
    await other.complete(ORDER, "SO-1")
    await other.refused(ORDER)
    known = await one.peek(ORDER)
    assert known is not None
    assert (State.DONE, "SO-1") == (known.state, known.external_id)


async def test_what_is_done_stays_done_for_every_owner_and_at_any_time(ledger_of: Open, clock: VirtualClock) -> None:
    one, other = ledger_of("one"), ledger_of("other")
    await begin(one)
    await one.complete(ORDER, "SO-1", digest="d1")
    await clock.advance(10**8)
    assert Claim(State.DONE, mine=False, fresh=False, wait=0, external_id="SO-1", digest="d1") == await begin(other, digest="d2")


async def test_a_refused_effect_can_be_tried_again_at_once_with_other_content(ledger_of: Open) -> None:
    one, other = ledger_of("one"), ledger_of("other")
    await begin(one)
    await one.refused(ORDER)
    claim = await begin(other, digest="d2")
    assert (State.FAILED, True, False) == (claim.state, claim.mine, claim.fresh)
    known = await one.peek(ORDER)
    assert known is not None
    assert known.digest == "d2"


async def test_every_dead_letter_of_an_effect_is_kept_and_found_after_its_success_too(ledger_of: Open, clock: VirtualClock) -> None:
    one, other = ledger_of("one"), ledger_of("other")
    for ledger, letter, at in ((one, "letter-1", NOON), (other, "letter-2", NOON), (other, "letter-1", LATER)):
        await ledger.blame(ORDER, letter, at=at)
    assert {"letter-1": LATER, "letter-2": NOON} == (await begin(one)).closed_by(None)
    await one.complete(ORDER, "SO-1")
    await clock.advance(1)
    assert {"letter-1": LATER, "letter-2": NOON} == (await begin(other)).closed_by(None)
    await other.forgive(ORDER, ["letter-1"])
    assert {"letter-2": NOON} == (await begin(other)).closed_by(None)


async def test_a_dead_letter_of_a_newer_version_is_not_closed_by_an_older_one(ledger_of: Open) -> None:
    one = ledger_of("one")
    for letter, version in (("older", (1, 9)), ("same", (2, 0)), ("newer", (2, 1)), ("newest", (10, 0))):
        await one.blame(STOCK, letter, version, at=NOON)
    await one.blame(STOCK, "of-before-versions", at=NOON)
    claim = await one.peek(STOCK)
    assert claim is not None
    assert {"older", "same", "of-before-versions"} == {*claim.closed_by((2, 0))}
    assert {"older", "same", "newer", "newest", "of-before-versions"} == {*claim.closed_by((10, 0))}


async def test_what_an_older_towpath_noted_is_closed_as_of_any_time(ledger_of: Open, database: URL) -> None:
    one = ledger_of("one")
    await one.blame(STOCK, "letter", (2, 0), at=NOON)
    engine = open_engine(database)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE effects SET dead_letters = 'older@2.0 oldest'"))
    engine.dispose()
    claim = await one.peek(STOCK)
    assert claim is not None
    assert ({"oldest": EPOCH}, {"older": EPOCH, "oldest": EPOCH}) == (claim.closed_by((1, 0)), claim.closed_by((2, 0)))


@pytest.mark.parametrize("forged", ["two words", "line\nbreak", "nul\0", "naïve", "at@1.0"])
async def test_a_forged_dead_letter_id_is_not_noted(ledger_of: Open, forged: str) -> None:
    one = ledger_of("one")
    await one.blame(ORDER, forged, at=NOON)
    assert await one.peek(ORDER) is None


async def test_of_many_at_once_exactly_one_claims(ledger_of: Open) -> None:
    ledgers = [ledger_of(f"owner-{number}") for number in range(4)]
    claims = await asyncio.gather(*(begin(ledger) for ledger in ledgers for _ in range(10)))
    assert 1 == sum(claim.mine for claim in claims)


async def test_rows_taken_in_opposite_orders_lock_nobody_out(ledger_of: Open) -> None:
    one, other = ledger_of("one"), ledger_of("other")
    keys = [Effect("erp", "create_order", str(number)) for number in range(200)]

    async def claim(ledger: Ledger, effects: list[Effect]) -> list[bool]:
        return [claim.mine for claim in await asyncio.gather(*(begin(ledger, effect) for effect in effects))]

    first, second = await asyncio.gather(claim(one, keys), claim(other, keys[::-1]))
    assert [True] * 200 == [mine != theirs for mine, theirs in zip(first, second[::-1], strict=True)]


async def test_the_tables_are_made_once_by_whoever_comes_first(database: URL, clock: VirtualClock) -> None:
    with ThreadPoolExecutor(6) as threads:
        ledgers = list(threads.map(lambda owner: Ledger(open_engine(database), clock, str(owner)), range(6)))
    claims = await asyncio.gather(*(begin(ledger) for ledger in ledgers))
    assert 1 == sum(claim.mine for claim in claims)
    for ledger in ledgers:
        await ledger.close()


async def test_what_stands_at_the_target_is_found_by_its_id_there(ledger_of: Open) -> None:
    ledger = ledger_of("one")
    customer = Effect("erp", "create_customer", "shop/customer/7")
    for effect, external_id in ((ORDER, "SO-1"), (customer, "C-1"), (Effect("erp", "create_customer", "shop/customer/6"), "C-1")):
        await begin(ledger, effect)
        await ledger.complete(effect, external_id)
    assert "shop/order/1001" == await ledger.key_of("erp", "create_order", "SO-1")
    assert "shop/customer/6" == await ledger.key_of("erp", "create_customer", "C-1"), "the same of two at every time"
    others = [("erp", "create_order", "SO-2"), ("erp", "create_order", ""), ("erp", "create_customer", "SO-1"), ("other", "create_order", "SO-1")]
    assert [None] * 4 == [await ledger.key_of(*other) for other in others]


async def test_what_is_under_way_or_gone_is_not_found_by_its_id(ledger_of: Open) -> None:
    ledger = ledger_of("one")
    await begin(ledger)
    assert None is await ledger.key_of("erp", "create_order", "")
    await ledger.complete(ORDER, "SO-1")
    await ledger.gone(ORDER, "SO-1")
    assert None is await ledger.key_of("erp", "create_order", "SO-1")


async def test_who_only_reads_waits_for_no_writer_and_holds_none_up(database: URL, clock: VirtualClock, ledger_of: Open) -> None:
    writer = ledger_of("one")
    await begin(writer)
    await writer.complete(ORDER, "SO-1")
    reader = Ledger(open_engine(database, reading=True), clock, "reader")
    writing = open_engine(database)
    with writing.begin() as connection:
        connection.exec_driver_sql("UPDATE effects SET external_id = 'SO-2'")
        assert "shop/order/1001" == await asyncio.wait_for(reader.key_of("erp", "create_order", "SO-1"), 5)
    assert None is await reader.key_of("erp", "create_order", "SO-1")
    await reader.close()
    writing.dispose()


async def test_a_state_is_done_where_its_version_or_a_newer_one_stands_and_only_there(ledger_of: Open) -> None:
    one, other = ledger_of("one"), ledger_of("other")
    first = await put(one, (5, 0))
    assert (True, True, None) == (first.mine, first.fresh, first.version)
    for older in ((5, 0), (4, 99), (0, 0)):
        claim = await put(other, older)
        assert (State.DONE, False, (5, 0)) == (claim.state, claim.mine, claim.version), older
    for newer, stood in (((5, 1), (5, 0)), ((6, 0), (5, 1)), ((2**53, 7), (6, 0))):
        claim = await put(other, newer)
        assert (True, False, stood) == (claim.mine, claim.fresh, claim.version), newer
    known = await one.peek(STOCK)
    assert known is not None
    assert ((2**53, 7), f"d{(2**53, 7)}", "17") == (known.version, known.digest, known.external_id)


async def test_a_newer_state_waits_until_the_older_one_has_settled(ledger_of: Open, clock: VirtualClock) -> None:
    one, other = ledger_of("one"), ledger_of("other")
    await begin(one, STOCK, version=(1, 0))
    await one.settles_in(STOCK, 5)
    for ledger in (one, other):
        waiting = await begin(ledger, STOCK, version=(2, 0))
        assert (False, None) == (waiting.mine, waiting.version)
        assert waiting.wait == pytest.approx(5, abs=0.001)
    await clock.advance(5)
    claim = await put(other, (2, 0))
    assert (True, None) == (claim.mine, claim.version), "whether the older one stands is not known"
    assert State.DONE == (await begin(one, STOCK, version=(1, 0))).state


async def test_a_refused_state_leaves_the_version_that_stands(ledger_of: Open) -> None:
    one = ledger_of("one")
    await put(one, (1, 0))
    await begin(one, STOCK, version=(2, 0))
    await one.refused(STOCK)
    assert not (await begin(one, STOCK, version=(1, 0))).mine
    claim = await begin(one, STOCK, version=(2, 0))
    assert (True, (1, 0)) == (claim.mine, claim.version)


async def test_a_zombie_notes_no_older_version_over_a_newer_one_nor_while_another_puts_it(ledger_of: Open, clock: VirtualClock) -> None:
    zombie, other, third = ledger_of("zombie"), ledger_of("other"), ledger_of("third")
    await begin(zombie, STOCK, version=(1, 0))
    await clock.advance(25)
    assert (await begin(other, STOCK, version=(2, 0))).mine
    with pytest.raises(FencedError, match="set_stock erp/stock/A-7 belongs to another process"):
        await zombie.complete(STOCK, "17", version=(1, 0))
    assert not (await begin(third, STOCK, version=(3, 0))).mine, "the other's call is still under way"
    await other.complete(STOCK, "17", version=(2, 0))
    with pytest.raises(FencedError):
        await zombie.complete(STOCK, "17", version=(1, 0))
    known = await third.peek(STOCK)
    assert known is not None
    assert (State.DONE, (2, 0)) == (known.state, known.version)


async def test_of_versions_in_any_order_from_many_those_that_are_put_rise_strictly(ledger_of: Open) -> None:
    ledgers, applied = [ledger_of(f"owner-{number}") for number in range(3)], list[Order]()

    async def deliver(ledger: Ledger, version: Order) -> None:
        while (claim := await begin(ledger, STOCK, version=version)).state != State.DONE or claim.mine:
            if claim.mine:
                applied.append(version)
                await ledger.complete(STOCK, "17", version=version)

    versions = [(number * 7 % 20, 0) for number in range(20)]
    await asyncio.gather(*(deliver(ledgers[number % 3], version) for number, version in enumerate(versions)))
    assert sorted(set(applied)) == applied
    assert max(versions) == applied[-1]


WORKER = """
import asyncio, json, sys
from datetime import timedelta
from sqlalchemy.engine import make_url
from towpath.clock import OFFSET_VARIABLE, SystemClock
from towpath.delivery.database import open_engine
from towpath.delivery.ledger import Effect, Ledger

async def main(url, owner):
    ledger = Ledger(open_engine(make_url(url)), SystemClock(), owner)
    print("ready", flush=True)
    sys.stdin.readline()
    async def claim(number):
        effect = Effect("erp", "create_order", str(number))
        begun = await ledger.begin(effect, digest="", lease=timedelta(seconds=60), settle=timedelta(0))
        if begun.mine:
            await ledger.complete(effect, f"{owner}-{number}")
        return begun.mine
    mine = [number for number, own in enumerate(await asyncio.gather(*map(claim, range(300)))) if own]
    await ledger.close()
    print(json.dumps(mine), flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_two_processes_share_one_database_and_each_effect_is_one_ones(database: URL) -> None:
    command = [sys.executable, "-c", WORKER, database.render_as_string(hide_password=False)]
    workers = [
        await asyncio.create_subprocess_exec(*command, owner, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
        for owner in ("one", "other")
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert await worker.stdout.readline() == b"ready\n"
    mine = [json.loads(out) for out, _ in await asyncio.gather(*(worker.communicate(b"go\n") for worker in workers))]
    assert [0, 0] == [worker.returncode for worker in workers]
    assert list(range(300)) == sorted(mine[0] + mine[1])
    ledger = Ledger(open_engine(database), SystemClock(), "reader")
    for owner, numbers in zip(("one", "other"), mine, strict=True):
        for number in numbers[:5]:
            known = await ledger.peek(Effect("erp", "create_order", str(number)))
            assert known is not None
            assert (State.DONE, f"{owner}-{number}") == (known.state, known.external_id)
    await ledger.close()


def answer(number: int, _connection: sa.Connection) -> int:
    return number


async def test_what_waits_together_is_committed_together(database: URL) -> None:
    engine = open_engine(database)
    commits: list[int] = []
    sa.event.listen(engine, "commit", lambda _connection: commits.append(1))
    committer = GroupCommitter(engine)
    assert list(range(1000)) == await asyncio.gather(*(committer.run(functools.partial(answer, number)) for number in range(1000)))
    assert len(commits) < 100
    await committer.close()


async def test_work_that_fails_harms_neither_what_is_committed_with_it_nor_what_comes_after(ledger_of: Open) -> None:
    ledger = ledger_of("one")
    good = [Effect("erp", "create_order", str(number)) for number in range(20)]
    bad = Effect("erp", "create_order", "\ud800")
    results = await asyncio.gather(*(begin(ledger, effect) for effect in [*good[:10], bad, *good[10:]]), return_exceptions=True)
    assert 20 == sum(isinstance(result, Claim) and result.mine for result in results)
    assert isinstance(results[10], Exception)
    assert (await begin(ledger)).mine


async def test_a_value_the_database_does_not_take_is_told_to_its_sender_alone(ledger_of: Open, database: URL) -> None:
    if database.get_backend_name() == "sqlite":
        pytest.skip("SQLite takes any text")
    ledger = ledger_of("one")
    results = await asyncio.gather(begin(ledger), begin(ledger, STOCK, "x" * 65), return_exceptions=True)
    assert isinstance(results[0], Claim)
    assert isinstance(results[1], RetryableError)
    assert "\n" not in str(results[1])


async def test_a_database_that_does_not_answer_is_a_passing_failure_of_everyone(
    tmp_path_factory: pytest.TempPathFactory, clock: VirtualClock
) -> None:
    folder = tmp_path_factory.mktemp("ledger")
    ledger = Ledger(open_engine(URL.create("sqlite", database=str(folder / "towpath.db"))), clock, "one")
    await begin(ledger)
    with sa.create_engine(f"sqlite:///{folder / 'towpath.db'}").begin() as connection:
        connection.exec_driver_sql("DROP TABLE effects")
    results = await asyncio.gather(*(begin(ledger, Effect("erp", "x", str(number))) for number in range(5)), return_exceptions=True)
    assert [RetryableError] * 5 == [type(result) for result in results]
    assert "no such table" in str(results[0])
    await ledger.close()


async def test_sqlite_keeps_what_it_confirmed_through_a_crash(tmp_path_factory: pytest.TempPathFactory) -> None:
    engine = open_engine(URL.create("sqlite", database=str(tmp_path_factory.mktemp("ledger") / "deep" / "towpath.db")))
    with engine.begin() as connection:
        assert "wal" == connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
        assert 2 == connection.exec_driver_sql("PRAGMA synchronous").scalar_one(), "FULL"
    engine.dispose()
