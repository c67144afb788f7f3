"""The effect ledger: one row per (connection, operation, effect key), written before the call and completed after it.

A row found unfinished means that the outcome is unknown: its caller looks the effect up at the target, after the settle time, and decides.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from towpath.clock import Clock
from towpath.delivery.claims import FRESH, Claim, Order, State, known_of, note_of, stands, without
from towpath.delivery.committer import GroupCommitter
from towpath.delivery.database import DatabaseTime, fitting, insert_into, make_tables, metadata
from towpath.errors import FencedError

LONGEST_OPERATION, LONGEST_KEY = 40, 300

effects = sa.Table(
    "effects",
    metadata,
    sa.Column("connection", sa.String(40), primary_key=True),
    sa.Column("operation", sa.String(LONGEST_OPERATION), primary_key=True),
    sa.Column("effect_key", sa.String(LONGEST_KEY), primary_key=True),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("owner", sa.String(40), nullable=False),
    sa.Column("external_id", sa.String(200), nullable=False, default=""),
    sa.Column("digest", sa.String(64), nullable=False, default=""),
    sa.Column("dead_letters", sa.Text, nullable=False, default=""),  # what a later success closes, a space between: see claims.note_of
    sa.Column("leased_until", sa.Float, nullable=False),
    sa.Column("settled_at", sa.Float, nullable=False),
    sa.Column("updated_at", sa.Float, nullable=False),
    sa.Column("major", sa.BigInteger),  # the version that stands at the target; null for a one-shot effect, or where none stands yet
    sa.Column("minor", sa.BigInteger),
    sa.Column("external_at", sa.Float),  # since when it stands, by the target's clock; null where that is not known
    sa.Index("effects_by_external_id", "connection", "operation", "external_id"),
)


_THERE = (
    effects.c.connection == sa.bindparam("of_connection"),
    effects.c.operation == sa.bindparam("of_operation"),
    effects.c.effect_key == sa.bindparam("of_key"),
)
FOUND = sa.select(effects).where(*_THERE)
"""Made once, as the others: to build a statement costs more than to run it."""
FOUND_TO_CHANGE = FOUND.with_for_update()
CHANGED = sa.update(effects).where(*_THERE)
CHANGED_WHERE_MINE = CHANGED.where(effects.c.owner == sa.bindparam("of_owner"), effects.c.state != "done")


class Effect(NamedTuple):
    """Names one effect."""

    connection: str
    operation: str
    key: str


NO_TIMES: Mapping[str, float] = {}


class _Ask(NamedTuple):
    """A claim as it is wanted; it holds for `lease` seconds, and what was sent under it has settled after `settled`."""

    effect: Effect
    digest: str
    lease: float
    settled: float
    version: Order | None
    again: bool

    def claiming(self, owner: str, now: float) -> dict[str, Any]:
        """Return what it changes of a row."""
        times = {"leased_until": now + self.lease, "settled_at": now + self.settled, "updated_at": now}
        return {"state": State.PENDING, "owner": owner, **times}


class _Change(NamedTuple):
    """What is to change of a row; `after` are times, as seconds from now."""

    effect: Effect
    mine: bool
    values: Mapping[str, Any]
    after: Mapping[str, float]


class Ledger:
    """The effects of one process, `owner`; other processes may share the database."""

    def __init__(self, engine: Engine, clock: Clock, owner: str) -> None:
        self._time, self._owner = DatabaseTime(clock), owner
        self._insert = insert_into(effects, engine.dialect).on_conflict_do_nothing().returning(*effects.primary_key)
        make_tables(engine)
        self._database = GroupCommitter(engine)

    async def begin(
        self, effect: Effect, *, digest: str, lease: timedelta, settle: timedelta, version: Order | None = None, again: bool = False
    ) -> Claim:
        """Claim the effect before a call that takes at most `lease`; `settle` after that, a lost request can no longer commit.

        With a `version` the effect is state-like: it is done already only where that version, or a newer one, stands (`again`: a newer one).
        """
        ask = _Ask(effect, digest, lease.total_seconds(), (lease + settle).total_seconds(), version, again)
        return await self._database.join(self._begin, ask)

    def _begin(self, connection: Connection, asks: Sequence[_Ask]) -> list[Claim]:
        now = self._time.now(connection)
        rows = [_row(ask.effect, digest=ask.digest, **ask.claiming(self._owner, now)) for ask in asks]
        fresh = self._inserted(connection, rows)
        return [FRESH if is_fresh else self._found(connection, ask, now) for is_fresh, ask in zip(fresh, asks, strict=True)]

    def _found(self, connection: Connection, ask: _Ask, now: float) -> Claim:
        place, claiming = _place(ask.effect), ask.claiming(self._owner, now)
        row = connection.execute(FOUND_TO_CHANGE, place).one()
        known = known_of(row)
        if stands(known["version"], ask.version, again=ask.again) if ask.version is not None else row.state == State.DONE:
            return Claim(row.state, mine=False, fresh=False, wait=0.0, **known)
        if row.state in {State.FAILED, State.DONE}:
            connection.execute(CHANGED, {**place, "digest": ask.digest, **claiming})
            return Claim(row.state, mine=True, fresh=False, wait=0.0, **known)
        until = row.settled_at if row.owner == self._owner else max(row.leased_until, row.settled_at)
        if now < until:
            return Claim(State.PENDING, mine=False, fresh=False, wait=until - now, **known)
        connection.execute(CHANGED, {**place, **claiming})
        return Claim(State.PENDING, mine=True, fresh=False, wait=0.0, taken=row.owner != self._owner, **known)

    async def renew(self, effect: Effect, *, lease: timedelta, settle: timedelta) -> None:
        """Prolong a claim just before sending; raises FencedError when another owner has taken the effect."""
        await self._set_or_lose(effect, after={"leased_until": lease.total_seconds(), "settled_at": (lease + settle).total_seconds()})

    async def complete(
        self, effect: Effect, external_id: str, *, at: datetime | None = None, digest: str | None = None, version: Order | None = None
    ) -> None:
        """Note that the effect stands at the target under this id, since `at` by its clock, with the content of `digest`, and as this version.

        Its dead letters stay noted: a process that dies before it told of their end must find them when it comes again. Raises FencedError,
        for a version only, when another owner has taken the effect: what it writes may be newer.
        """
        content: dict[str, Any] = {"external_at": None if at is None else at.timestamp()} | ({} if digest is None else {"digest": digest})
        content |= {"state": State.DONE, "external_id": external_id}
        if version is None:
            await self._set(effect, **content)
        else:
            await self._set_or_lose(effect, major=version[0], minor=version[1], **content)

    async def refused(self, effect: Effect) -> None:
        """Note that the target refused the effect for good: the outcome is known, nothing was written."""
        await self._set(effect, mine=True, state=State.FAILED)

    async def gone(self, effect: Effect, external_id: str) -> None:
        """Note that the target knows this id no more, so that the effect is done again; nothing changes where another id stands by now."""
        statement = CHANGED.where(effects.c.state == State.DONE, effects.c.external_id == external_id)
        change = _Change(effect, mine=False, values={"state": State.FAILED}, after={})
        await self._database.run(lambda connection: connection.execute(statement, self._given(connection, change)).rowcount)

    async def overwritten(self, effect: Effect, version: Order) -> Order | None:
        """Note that this version of a state may stand at the target again, over a newer one; return that one, which is to be put again then.

        None where no newer one stood, or that was noted before.
        """

        def work(connection: Connection) -> Order | None:
            row = connection.execute(FOUND_TO_CHANGE, _place(effect)).one_or_none()
            stood = None if row is None else known_of(row)["version"]
            if stood is None or stood <= version:
                return None
            connection.execute(CHANGED, {**_place(effect), "major": version[0], "minor": version[1]})
            return (stood[0], stood[1])

        return await self._database.run(work)

    async def blame(self, effect: Effect, dead_letter_id: str, version: Order | None = None, *, at: datetime) -> None:
        """Note a dead letter that a later success of this effect closes, also where the effect was never begun (what it refers to failed).

        It failed `at`. With a `version` the effect is state-like, and only that version or a newer one closes it.
        """
        if not (note := note_of(dead_letter_id, version, at)):
            return  # forged

        def work(connection: Connection) -> None:
            now = self._time.now(connection)
            values = {"state": State.FAILED, "owner": self._owner, "leased_until": now, "settled_at": now, "updated_at": now}
            if self._inserted(connection, [_row(effect, dead_letters=note, **values)]) == [True]:
                return
            row = connection.execute(FOUND_TO_CHANGE, _place(effect)).one()
            noted = f"{without(row.dead_letters, {dead_letter_id})} {note}".strip()
            connection.execute(CHANGED, {**_place(effect), "dead_letters": noted, "updated_at": now})

        await self._database.run(work)

    async def forgive(self, effect: Effect, dead_letter_ids: Collection[str]) -> None:
        """Note that it was told that these dead letters are closed, so that no later success tells it again."""

        def work(connection: Connection) -> None:
            row = connection.execute(FOUND_TO_CHANGE, _place(effect)).one_or_none()
            if row is not None and (left := without(row.dead_letters, dead_letter_ids)) != row.dead_letters:
                connection.execute(CHANGED, {**_place(effect), "dead_letters": left})

        await self._database.run(work)

    async def blamed(self, connection: str, operation: str) -> set[str]:
        """Return the keys of those effects of an operation at which dead letters are noted."""
        there = (effects.c.connection == connection, effects.c.operation == operation, effects.c.dead_letters != "")
        statement = sa.select(effects.c.effect_key).where(*there)
        return await self._database.run(lambda database: set(database.execute(statement).scalars()))

    async def settles_in(self, effect: Effect, seconds: float) -> None:
        """Note that the call has ended: what it may have sent settles in so many seconds, 0 where nothing can have been written."""
        await self._set(effect, mine=True, after={"leased_until": 0.0, "settled_at": seconds})

    async def peek(self, effect: Effect) -> Claim | None:
        """Return what is known of an effect without claiming it, None where nothing is."""

        def work(connection: Connection) -> Claim | None:
            row = connection.execute(FOUND, _place(effect)).one_or_none()
            return None if row is None else Claim(row.state, mine=False, fresh=False, wait=0.0, **known_of(row))

        return await self._database.run(work)

    async def key_of(self, connection: str, operation: str, external_id: str) -> str | None:
        """Return the key of the effect that stands at the target under this id, None where none of ours does.

        Two keys may share an id (one customer found for both): the first of them in the alphabet is returned, whenever it is asked.
        """
        there = (effects.c.connection == connection, effects.c.operation == operation, effects.c.external_id == external_id)
        statement = sa.select(effects.c.effect_key).where(*there, effects.c.state == State.DONE).order_by(effects.c.effect_key).limit(1)
        key: str | None = await self._database.run(lambda database: database.execute(statement).scalar())
        return key

    async def close(self) -> None:
        """Commit what waits and leave the database."""
        await self._database.close()

    async def _set(self, effect: Effect, *, mine: bool = False, after: Mapping[str, float] = NO_TIMES, **values: object) -> None:
        await self._database.join(self._change, _Change(effect, mine, values, after))

    async def _set_or_lose(self, effect: Effect, *, after: Mapping[str, float] = NO_TIMES, **values: object) -> None:
        """Change the row of an effect; raises FencedError when another owner has taken it."""
        change = _Change(effect, mine=True, values=values, after=after)
        if not await self._database.run(lambda connection: connection.execute(CHANGED_WHERE_MINE, self._given(connection, change)).rowcount):
            raise FencedError(f"{effect.connection}: {effect.operation} {effect.key} belongs to another process now")

    def _change(self, connection: Connection, changes: Sequence[_Change]) -> list[None]:
        now, alike = self._time.now(connection), dict[tuple[str, ...], list[dict[str, Any]]]()
        for change in changes:
            given = self._given(connection, change, now)
            alike.setdefault(tuple(given), []).append(given)
        for names, several in alike.items():
            connection.execute(CHANGED_WHERE_MINE if "of_owner" in names else CHANGED, several)
        return [None] * len(changes)

    def _given(self, connection: Connection, change: _Change, now: float | None = None) -> dict[str, Any]:
        """Return the parameters of a statement that makes this change."""
        now = self._time.now(connection) if now is None else now
        owner = {"of_owner": self._owner} if change.mine else {}
        times = {name: now + seconds for name, seconds in change.after.items()}
        return {**_place(change.effect), **owner, "updated_at": now, **times, **change.values}

    def _inserted(self, connection: Connection, rows: Sequence[dict[str, Any]]) -> list[bool]:
        """Insert the rows of effects that have none; tell of each whether it was inserted."""
        made = {tuple(row) for row in connection.execute(self._insert, rows)}
        told = []
        for row in rows:
            key = (row["connection"], row["operation"], row["effect_key"])
            told.append(key in made)
            made.discard(key)  # of two that ask for one effect at once, the first has it
        return told


def _row(effect: Effect, **values: object) -> dict[str, Any]:
    connection, operation, key = _fitting(effect)
    names = {"connection": connection, "operation": operation, "effect_key": key}
    return {**names, "external_id": "", "digest": "", "dead_letters": "", **values}


def _place(effect: Effect) -> dict[str, Any]:
    connection, operation, key = _fitting(effect)
    return {"of_connection": connection, "of_operation": operation, "of_key": key}


def _fitting(effect: Effect) -> Effect:
    return Effect(effect.connection, fitting(effect.operation, LONGEST_OPERATION), fitting(effect.key, LONGEST_KEY))
