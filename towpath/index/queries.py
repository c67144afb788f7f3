"""What is asked of the index."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import Connection

from towpath.delivery.deadletters import DEAD, PARKED
from towpath.events import EPOCH, micros
from towpath.index.tables import closings, letters, replays, steps, unread, unreadable, xref
from towpath.topic_reader import Place

STAGES = ("inbox", "received", "deliver")
"""Topics in the order of an order's path; the outcomes come after."""
TEXTS = (
    "dead_letter_id",
    "state",
    "hop",
    "connection",
    "group",
    "flow",
    "error_class",
    "field",
    "reason",
    "business_key",
    "mapping_version",
    "fingerprint",
)
ORDER = "order"
"""What `find_letters` takes beside TEXTS: the order that a dead letter is of, by its number, its id at its shop, or its key."""
PARTS = (ORDER, "business_key", "reason")
"""Of these a person gives a part, and an empty one is in all."""
NUMBERS = ("attempts", "replays")

UNDER_WAY = timedelta(hours=1)
"""How long a replay that is not answered keeps others back: who reads it may be away for longer, or never answer, and nothing is done twice."""
ENTITIES = ("order", "customer", "product", "stock", "shipment", "request", "payment", "invoice", "return", "refund")
"""What stands between the connection and the id of a business key."""
UNKNOWN = "unknown"
"""Stands for the connections of dead letters that are none of the configuration's."""

still_open = sa.or_(closings.c.at.is_(None), closings.c.at < letters.c.last_at)
with_closings = letters.outerjoin(closings, closings.c.dead_letter_id == letters.c.dead_letter_id)


class Step(NamedTuple):
    """One thing that happened: when (the broker's time), at which hop, what, the details, and to which business key."""

    at: datetime
    hop: str
    what: str
    detail: str
    key: str


class Letter(NamedTuple):
    """A dead letter or parked record: where its newest failure stands, and what is told of it; `topic` to `offset` there are the original's."""

    place: Place
    offset: int
    told: Mapping[str, Any]


class Xref(NamedTuple):
    """One thing under its names: the id at a connection, what was done there, and the business key at its source; newest first."""

    connection: str
    external_id: str
    operation: str
    effect_key: str
    business_key: str
    at: datetime


def trace(connection: Connection, text: str, sources: Collection[str]) -> list[Step]:
    """Return what happened to the orders with this number, id, business key or id at a target, oldest first; empty where none is known.

    A text that names an order at its shop (`sources`) is not looked for among the ids at the targets.
    """
    keys = {text, *(f"{source}/order/{text}" for source in sources), *connection.execute(_numbered(text)).scalars()} - {""}
    found = _steps(connection, keys)
    if not found:
        keys = set(connection.execute(sa.select(xref.c.business_key).where(xref.c.external_id == text, xref.c.business_key != "")).scalars())
        found = _steps(connection, keys)
    return found


def _steps(connection: Connection, keys: Collection[str]) -> list[Step]:
    """Return the steps of these business keys, and what came into the inbox under the same trace."""
    rows = list(connection.execute(sa.select(steps).where(steps.c.business_key.in_(keys))))
    traces = {row.trace_id for row in rows} - {""}
    others = sa.select(steps).where(unread, steps.c.trace_id.in_(traces), steps.c.business_key.not_in(keys))
    rows += connection.execute(others)
    failed = connection.execute(sa.select(letters).where(letters.c.business_key.in_(keys)))
    reasons = {(row.topic, row.partition, row.offset): row.reason for row in failed}
    return [_step(row, reasons) for row in sorted(rows, key=_when)]


def _when(row: sa.Row[Any]) -> tuple[int, int, str, int, int]:
    stage = row.topic.partition(".")[0]
    return row.at, STAGES.index(stage) if stage in STAGES else len(STAGES), row.topic, row.partition, row.offset


def _step(row: sa.Row[Any], reasons: Mapping[tuple[str, int, int], str]) -> Step:
    place = (row.topic, row.partition, row.offset)
    parts = (reasons.get(place, ""), f"({row.detail})" if place in reasons else row.detail, _text(*place))
    return Step(_moment(row.at), row.hop, row.what, " ".join(filter(None, parts)), row.business_key)


def find_letters(
    connection: Connection,
    *,
    everything: bool = False,
    begins: str = "",
    where: Mapping[str, str] | None = None,
    since: datetime | None = None,
    limit: int | None = None,
) -> list[Letter]:
    """Return the open dead letters and parked records, closed ones too with `everything`, oldest failure first.

    `begins` is how the id begins; `where` says what some of TEXTS hold (see `_holds`), or the ORDER; `since` is the earliest newest failure.
    """
    matching = [_holds(name, text) for name, text in (where or {}).items()]
    if since is not None:
        matching.append(letters.c.last_at >= micros(since))
    sent = (replays.c.at.label("sent_at"), replays.c.attempts.label("sent_attempts"), replays.c.replays.label("sent_replays"))
    closed = (closings.c.at, closings.c.receipt_id, closings.c.outcome, closings.c.reason.label("closed_reason"))
    query = sa.select(*letters.c, *closed, *sent)
    query = query.select_from(with_closings.outerjoin(replays, replays.c.dead_letter_id == letters.c.dead_letter_id))
    query = query.where(*matching, letters.c.dead_letter_id.startswith(begins, autoescape=True)).limit(limit)
    if not everything:
        query = query.where(still_open)
    return [_letter(row) for row in connection.execute(query.order_by(letters.c.last_at, letters.c.dead_letter_id)).mappings()]


def values_of(connection: Connection, name: str) -> list[str]:
    """Return what the dead letters hold in one of TEXTS, closed ones too."""
    column = letters.c[name]
    return list(connection.execute(sa.select(column).where(column != "").distinct().order_by(column)).scalars())


def _numbered(text: str) -> sa.Select[str]:
    """Return the query for the keys of the orders that are known by this number."""
    return sa.select(steps.c.business_key).where(steps.c.order_number == text, steps.c.order_number != "")


def _is_of(order: str) -> sa.ColumnElement[bool]:
    """Return the condition that a dead letter is of this order; one that has the number goes before one that has it for its id."""
    key, numbered = letters.c.business_key, _numbered(order)
    return sa.or_(key == order, key.in_(numbered), sa.and_(~numbered.exists(), key.endswith(f"/order/{order}", autoescape=True)))


def _holds(name: str, text: str) -> sa.ColumnElement[bool]:
    """Return the condition that a field holds this: all of it, but for what a person knows a part of.

    That are the id at the end of a key, a field without where it stands (`SKU`, or `Lines[].SKU` of any line), and words of a reason.
    """
    if name == ORDER:
        return _is_of(text)
    column = letters.c[name]
    if name == "reason":
        return column.icontains(text, autoescape=True)
    if name == "business_key":
        return sa.or_(column == text, column.endswith(f"/{text}", autoescape=True))
    if name == "field" and text:
        escaped = text.replace("!", "!!").replace("%", "!%").replace("_", "!_").replace("[]", "[%]")
        return sa.or_(column.like(escaped, escape="!"), column.like(f"%.{escaped}", escape="!"))
    return column == text


def _letter(row: sa.RowMapping) -> Letter:
    is_open = row["at"] is None or row["at"] < row["last_at"]
    told = {name: row[name] for name in (*TEXTS, *NUMBERS)}
    closed = {"closed_by": "receipt_id", "outcome": "outcome", "closed_reason": "closed_reason"}
    told |= {"open": is_open, **{name: "" if is_open else row[column] for name, column in closed.items()}}
    told |= {name: _moment(row[name]) for name in ("first_at", "last_at")}
    told["replays"] = max(row["replays"], row["sent_replays"] or 0)
    unanswered = is_open and row["sent_at"] is not None and row["sent_attempts"] >= row["attempts"]  # each failure is one attempt more
    told["replay_sent_at"] = _moment(row["sent_at"]) if unanswered else None
    told |= {name: row[f"origin_{name}"] for name in ("topic", "partition", "offset")}
    place = Place(row["topic"], row["partition"])
    return Letter(place, row["offset"], {**told, "stands_at": _text(*place, row["offset"])})


def is_under_way(told: Mapping[str, Any], now: datetime) -> bool:
    """Tell whether a replay of a dead letter was sent lately, and is not answered yet by a failure or by what closes it."""
    sent_at = told["replay_sent_at"]
    return sent_at is not None and abs(now - sent_at) < UNDER_WAY


class Open(NamedTuple):
    """How many are open, and when the oldest of them failed first (None where none is)."""

    records: int = 0
    since: datetime | None = None

    def __add__(self, other: tuple[Any, ...]) -> Open:
        """Return both together."""
        records, since = other
        return Open(self.records + records, min(filter(None, (self.since, since)), default=None))


def open_letters(connection: Connection, names: Collection[str]) -> dict[str, dict[str, Open]]:
    """Return what is open of each of these connections and of UNKNOWN, which stands for every other, by state (DEAD, PARKED)."""
    found = {name: {DEAD: Open(), PARKED: Open()} for name in (*names, UNKNOWN)}
    columns = letters.c.connection, letters.c.state, sa.func.count(), sa.func.min(letters.c.first_at)
    counted = sa.select(*columns).select_from(with_closings).where(still_open)
    for name, state, records, since in connection.execute(counted.group_by(letters.c.connection, letters.c.state)):
        counts = found[name if name in names else UNKNOWN]
        counts[state if state in counts else DEAD] += (records, _moment(since))
    return found


def unreadable_records(connection: Connection) -> int:
    """Return how many records the topics hold that cannot be decoded."""
    return int(connection.execute(sa.select(sa.func.count()).select_from(steps).where(unreadable)).scalar_one())


def xrefs(connection: Connection, names: Collection[str], text: str, sources: Collection[str]) -> list[Xref]:
    """Return what a thing is called, newest first: under which id it stands at each of the connections.

    `text` is its id at one of `names`, its key, the number of an order, or the id of an order at its shop (one of `sources`): then the ids at
    `names` are told; where it is the id of an order, customer, product or whatever else at one of `names` itself, those everywhere.
    """
    own = {f"{name}/{text}" for name in names} | {f"{name}/{entity}/{text}" for name in names for entity in ENTITIES}
    numbers = {key for key in connection.execute(_numbered(text)).scalars() if key.partition("/")[0] in sources}
    own |= {key for key in numbers if key.partition("/")[0] in names}
    keys = {text, *(f"{source}/order/{text}" for source in sources), *numbers}
    here = (xref.c.external_id == text) | xref.c.business_key.in_(keys) | xref.c.effect_key.in_(keys)
    either = (xref.c.connection.in_(names) & here) | xref.c.business_key.in_(own) | xref.c.effect_key.in_(own)
    same = sa.select(xref.c.effect_key).where(xref.c.connection.in_(names), xref.c.external_id == text)
    query = sa.select(xref).where(either | xref.c.effect_key.in_(same))
    rows = connection.execute(query.order_by(xref.c.at.desc(), xref.c.connection, xref.c.operation, xref.c.external_id))
    return [Xref(row.connection, row.external_id, row.operation, row.effect_key, row.business_key, _moment(row.at)) for row in rows]


def _moment(at: int) -> datetime:
    return EPOCH + timedelta(microseconds=at)


def _text(topic: str, partition: int, offset: int) -> str:
    return f"{topic}[{partition}]@{offset}"
