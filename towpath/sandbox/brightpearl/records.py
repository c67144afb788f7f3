"""Records of one kind, sets of ids, and the account's own clock."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from towpath.sandbox.kit.clock import Clock, stamp
from towpath.sandbox.kit.messages import Answer, Refusal
from towpath.sandbox.kit.store import Condition, Doc, Store

MOST_IDS: Final = 500
EVERY: Final = "*"


class Account:
    """The store and clock of one account; times are shown with the account's offset, to the millisecond."""

    def __init__(self, store: Store, clock: Clock, utc_offset_minutes: int) -> None:
        self.store, self.clock = store, clock
        self._zone = timezone(timedelta(minutes=utc_offset_minutes))

    def now(self) -> str:
        """Return the time as the account shows it."""
        return self.shown(self.clock.now())

    def shown(self, moment: datetime) -> str:
        """Return a moment as the account shows it; a naive one is the account's own."""
        moment = moment.replace(tzinfo=self._zone) if moment.tzinfo is None else moment
        return moment.astimezone(self._zone).isoformat(timespec="milliseconds")

    def read(self, field: str, text: object) -> datetime:
        """Return a time that was sent; raises Refusal(400)."""
        try:
            moment = datetime.fromisoformat(str(text))
        except ValueError:
            raise Refusal(400, "CMNC-018", f"{field} {text} cannot be parsed as: DATE") from None
        return moment.replace(tzinfo=self._zone) if moment.tzinfo is None else moment

    def day(self, field: str, text: object) -> str:
        """Return midnight UTC of a tax date, as the account shows it: west of Greenwich that is the evening before."""
        return self.shown(datetime.fromisoformat(f"{self.read(field, text).date().isoformat()}T00:00:00+00:00"))


class Records:
    """The records of a kind, by number; `_updated` is when one changed last, in UTC."""

    def __init__(self, account: Account, kind: str, first: int) -> None:
        self.account, self.kind, self._first = account, kind, first
        self._store = account.store

    def next_id(self) -> int:
        """Return the next free number."""
        number = self._store.add(f"id/{self.kind}") + self._first - 1
        return number if self._store.get(self.kind, number) is None else self.next_id()

    def write(self, number: int, doc: Doc) -> Doc:
        """Write a record under a number and return it."""
        self._store.put(self.kind, number, {**doc, "_id": number, "_updated": stamp(self.account.clock.now())})
        return doc

    def get(self, number: int | str) -> Doc | None:
        """Return a record or None."""
        return self._store.get(self.kind, number)

    def need(self, number: int | str) -> Doc:
        """Return a record; raises Refusal(404)."""
        found = self.get(number)
        if found is None:
            raise missing(self.kind, str(number))
        return found

    def all(self, where: list[Condition] | None = None) -> list[Doc]:
        """Return every record that matches, oldest first."""
        return self._store.find(self.kind, where or [])

    def chosen(self, ids: str) -> list[Doc]:
        """Return the records of a set of ids that are there."""
        found = (self.get(number) for number in numbers(ids))
        return [doc for doc in found if doc is not None]


def missing(kind: str, ids: str) -> Refusal:
    """Return the refusal of ids that are not there."""
    return Refusal(404, "not_found", f"No {kind}s available in ID Set {ids}")


def numbers(ids: str) -> list[int]:
    """Return the ids of a set such as `1-100,320`; raises Refusal(400)."""
    found: list[int] = []
    for part in ids.split(","):
        span = re.fullmatch(r"(\d{1,10})(?:-(\d{1,10}))?", part)
        if span is None or len(found) > MOST_IDS:
            raise Refusal(400, "CMNC-019", f"{ids} is no ID Set of at most {MOST_IDS} ids")
        found.extend(range(int(span[1]), min(int(span[2] or span[1]), int(span[1]) + MOST_IDS) + 1))
    if len(set(found)) > MOST_IDS:
        raise Refusal(400, "CMNC-019", f"an ID Set has at most {MOST_IDS} ids")
    return list(dict.fromkeys(found))


def id_set(ids: list[int]) -> str:
    """Return ids as a set with ranges."""
    return ",".join(_spans(sorted(set(ids))))


def _spans(rising: list[int]) -> Iterator[str]:
    start = 0
    for index in range(1, len(rising) + 1):
        if index == len(rising) or rising[index] != rising[index - 1] + 1:
            yield str(rising[start]) if index - start == 1 else f"{rising[start]}-{rising[index - 1]}"
            start = index


def shown(doc: Doc) -> Doc:
    """Return a record without what only the server knows, at any depth."""
    return {name: shown(value) if isinstance(value, dict) else value for name, value in doc.items() if not name.startswith("_")}


def listed(docs: list[Doc]) -> Answer:
    """Return records as the answer to a GET."""
    return Answer(body={"response": [shown(doc) for doc in docs]})


def amount(value: object, field: str, places: int = 2) -> Decimal:
    """Return a number that was sent as a number or text; raises Refusal(400) for what is none, or has more places."""
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise Refusal(400, "CMNC-018", f"{field} {value} cannot be parsed as: DECIMAL") from None
    if isinstance(value, bool) or not number.is_finite() or number != round(number, places):
        raise Refusal(400, "ORDC-050", f"{field} {value} has more than {places} decimal places")
    return number


def part(body: Any, name: str) -> Doc:  # noqa: ANN401 - any JSON
    """Return an object inside a body, an empty one where there is none."""
    found = body.get(name) if isinstance(body, dict) else None
    return found if isinstance(found, dict) else {}
