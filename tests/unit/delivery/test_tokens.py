from __future__ import annotations

import asyncio
import math
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import URL

from towpath.clock import SystemClock
from towpath.config import Connection
from towpath.delivery.database import open_engine
from towpath.delivery.tokens import SharedToken, SharedTokens, Token, tokens
from towpath.errors import RetryableError
from towpath.vault import KeyPlace, Vault

ERP = {"system": "bng", "url": "http://erp.example", "credentials": {"client_id": "a", "client_secret": "env:SECRET"}}
LEASE, LONG = 0.6, 20.0
Make = Callable[..., SharedToken]


class Source:
    """Where tokens come from: counts them."""

    def __init__(self, seconds: float = math.inf, name: str = "canary") -> None:
        self.name = name
        self.count, self.seconds, self.age, self.hold = 0, seconds, 0.0, asyncio.Event()
        self.hold.set()
        self.error: Exception | None = None

    async def fetch(self) -> Token:
        self.count += 1
        number = self.count
        await self.hold.wait()
        if self.error is not None:
            raise self.error
        return Token.living(f"{self.name}-{number}", self.seconds, time.monotonic() - self.age)


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    vault = Vault(tmp_path / "vault", KeyPlace("file", str(tmp_path / "vault.key")))
    vault.make()
    return vault


@pytest.fixture
async def process(database: URL, vault: Vault) -> AsyncIterator[Make]:
    """Give what makes the token of a connection as another process has it."""
    opened: list[SharedTokens] = []

    def process(name: str = "erp", lease: float = LEASE, **changes: object) -> SharedToken:
        opened.append(SharedTokens(database, SystemClock(), vault))
        token = opened[-1].of(name, Connection.model_validate({**ERP, **changes}))
        token._lease_seconds = lease
        return token

    yield process
    for one in opened:
        await one.close()


async def value(token: SharedToken, source: Source, refused: str = "", still_good: Token | None = None) -> str:
    return (await token.renewed(source.fetch, refused, still_good)).value


async def test_the_first_fetches_and_all_others_have_it_from_there(process: Make) -> None:
    source, others = Source(), [process() for _ in range(5)]
    assert {"canary-1"} == set(await asyncio.gather(*(value(one, source) for one in others)))
    assert 1 == source.count


async def test_what_was_refused_is_fetched_once_for_all_who_were(process: Make) -> None:
    source, others = Source(), [process() for _ in range(4)]
    await asyncio.gather(*(value(one, source) for one in others))
    assert {"canary-2"} == set(await asyncio.gather(*(value(one, source, "canary-1") for one in others)))
    assert "canary-2" == await value(others[0], source, "older yet")
    assert 2 == source.count


async def test_while_one_refreshes_the_others_go_on_with_what_is_good(process: Make) -> None:
    aged, source = Source(seconds=100, name="old"), Source(name="new")
    one, other, newcomer = (process(lease=LONG) for _ in range(3))
    aged.age = 81  # it is due after 80 s
    good = await one.renewed(aged.fetch, "", None)
    source.hold.clear()
    refreshing = asyncio.create_task(value(one, source, still_good=good))
    await asyncio.sleep(0)
    while source.count == 0:  # noqa: ASYNC110 - the other task sets it
        await asyncio.sleep(0.01)
    assert ["old-1"] * 2 == [await value(other, source, still_good=good), await value(newcomer, source)]
    source.hold.set()
    assert ["new-1", "new-1", 1] == [await refreshing, await value(other, source, still_good=good), source.count]


async def test_who_dies_while_it_refreshes_holds_up_the_others_for_its_lease_alone(process: Make) -> None:
    dying, source, began = Source(), Source(), time.monotonic()
    dying.name = "late"
    dying.hold.clear()
    task = asyncio.create_task(process().renewed(dying.fetch, "", None))
    while dying.count == 0:  # noqa: ASYNC110 - the other task sets it
        await asyncio.sleep(0.01)
    assert "canary-1" == await value(process(), source)
    assert LEASE / 2 < time.monotonic() - began < LEASE + 5
    dying.hold.set()
    assert "late-1" == (await task).value, "it comes too late, and has a token for itself"
    assert "canary-1" == await value(process(), source)
    assert 1 == source.count


async def test_a_refresh_that_fails_is_told_and_the_next_may_try_at_once(process: Make) -> None:
    source, one, other = Source(), process(lease=LONG), process(lease=LONG)
    source.error = RetryableError("erp: POST /oauth/token: 503", system_wide=True)
    with pytest.raises(RetryableError, match="503"):
        await value(one, source)
    source.error, began = None, time.monotonic()
    assert "canary-2" == await value(other, source)
    assert time.monotonic() - began < LONG / 2


async def test_a_cancelled_refresh_leaves_the_lease(process: Make) -> None:
    source, one = Source(), process(lease=LONG)
    source.hold.clear()
    task = asyncio.create_task(value(one, source))
    while source.count == 0:  # noqa: ASYNC110 - the other task sets it
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    source.hold.set()
    began = time.monotonic()
    assert "canary-2" == await value(process(lease=LONG), source)
    assert time.monotonic() - began < LONG / 2


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "http://elsewhere.example"},
        {"credentials": {"client_id": "b", "client_secret": "env:SECRET"}},
        {"credentials": {"client_id": "a", "client_secret": "env:OTHER"}},
        {"system": "nopcommerce", "credentials": {"username": "a", "password": "env:SECRET"}},
    ],
)
async def test_a_token_is_never_sent_to_another_address_or_for_another_account(process: Make, changes: dict[str, object]) -> None:
    source = Source()
    assert ["canary-1", "canary-2"] == [await value(process(), source), await value(process(**changes), source)]


async def test_the_database_does_not_show_a_token_and_one_that_was_moved_or_flipped_is_not_used(process: Make, database: URL) -> None:
    source, engine = Source(), open_engine(database)
    await value(process(), source)
    with engine.begin() as connection:
        (row,) = connection.execute(sa.select(tokens)).mappings().all()
        assert "canary" not in str(row)
        connection.execute(sa.insert(tokens).values({**row, "connection": "other"}))
    assert "canary-2" == await value(process("other"), source), "sealed for erp"
    with engine.begin() as connection:
        connection.execute(sa.update(tokens).values(sealed=row["sealed"][:-8] + "AAAAAAA="))
    engine.dispose()
    assert "canary-3" == await value(process(), source)


async def test_without_its_vault_each_process_fetches_for_itself_and_shares_again_when_it_is_back(process: Make, vault: Vault) -> None:
    source, one, other = Source(), process(), process()
    await value(one, source)
    os.chmod(vault.place.name, 0o644)  # noqa: PTH101 - a moment's work
    assert ["canary-2", "canary-3"] == [await value(one, source), await value(other, source)]
    os.chmod(vault.place.name, 0o600)  # noqa: PTH101 - the same
    assert ["canary-1"] * 2 == [await value(one, source), await value(other, source)]


async def test_without_its_database_each_process_fetches_for_itself(tmp_path: Path, vault: Vault) -> None:
    (tmp_path / "towpath.db").mkdir()
    shared, source = SharedTokens(URL.create("sqlite", database=str(tmp_path / "towpath.db")), SystemClock(), vault), Source()
    token = shared.of("erp", Connection.model_validate(ERP))
    good = Token.living("good", math.inf, time.monotonic())
    assert ["canary-1", "good"] == [await value(token, source), await value(token, source, still_good=good)]
    await shared.close()


def test_a_token_does_not_show_itself() -> None:
    token = Token.living("canary", 60, 0)
    assert "canary" not in f"{token!r} {token} {[token]}"


def test_a_token_that_is_given_again_until_its_end_is_not_asked_for_all_the_time() -> None:
    now, end, asked = 0.0, 3600.0, 0
    while now < end:
        now = Token.living("the same", end - now, now).renew
        asked += 1
    assert asked < 10
