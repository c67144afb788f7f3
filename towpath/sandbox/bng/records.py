"""Records of one kind: ids, Sequence and UpdatedAt, search and paging."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from towpath.sandbox.kit.clock import Clock, stamp
from towpath.sandbox.kit.messages import Answer, Call, Refusal
from towpath.sandbox.kit.store import Condition, Doc, Store

LARGEST_PAGE: Final = 1000
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of record: the name of its id, how ids start, and which query parameter searches which field.

    `folded` ones compare a lower-case copy that the record keeps under `_` + field. `inner` ones only the server itself searches by.
    """

    name: str
    id: str
    prefix: str = ""
    search: Mapping[str, str] = field(default_factory=dict)
    folded: Sequence[str] = ()
    inner: Sequence[str] = ()

    @property
    def indexes(self) -> tuple[str, ...]:
        """Return the fields that the store indexes."""
        return (*self.search.values(), *self.inner, "UpdatedAt")


class Records:
    """The records of a kind in the store."""

    def __init__(self, store: Store, clock: Clock, kind: Kind) -> None:
        self._store, self._clock, self.kind = store, clock, kind

    def create(self, doc: Doc) -> Doc:
        """Write a new record under the next id and return it."""
        return self.write(f"{self.kind.prefix}{self._store.add(f'id/{self.kind.name}') + 1000}", doc)

    def write(self, key: str, doc: Doc) -> Doc:
        """Write a record under this id, with the next Sequence and UpdatedAt, and return it; `_CreatedAt` keeps the first UpdatedAt."""
        known, moment = self._store.get(self.kind.name, key), self._moment()
        sequence = self._store.add(f"sequence/{self.kind.name}")
        doc = {self.kind.id: key, **doc, "Sequence": sequence, "UpdatedAt": moment, "_CreatedAt": (known or {}).get("_CreatedAt", moment)}
        for name in self.kind.folded:
            doc[f"_{name}"] = str(doc.get(name) or "").lower()
        self._store.put(self.kind.name, key, doc)
        return shown(doc)

    def get(self, key: str) -> Doc | None:
        """Return a record or None."""
        doc = self._store.get(self.kind.name, key)
        return None if doc is None else shown(doc)

    def need(self, key: str) -> Doc:
        """Return a record; raises Refusal(404)."""
        doc = self.get(key)
        if doc is None:
            raise Refusal(404, "not_found", f"no {self.kind.name} {key}", field=self.kind.id)
        return doc

    def first(self, name: str, value: str) -> Doc | None:
        """Return the oldest record with that value."""
        found = self._store.find(self.kind.name, [(name, "=", value)], limit=1)
        return shown(found[0]) if found else None

    def all(self, conditions: Sequence[Condition]) -> list[Doc]:
        """Return every record that matches, oldest first."""
        return [shown(doc) for doc in self._store.find(self.kind.name, conditions)]

    def page(self, call: Call) -> Answer:
        """Answer a list: `page`, `pageSize`, `updatedSince` (which orders it by UpdatedAt) and the kind's own searches."""
        page, size = _number(call, "page", 1, None), _number(call, "pageSize", 100, LARGEST_PAGE)
        where: list[Condition] = []
        for parameter, value in call.query.items():
            if parameter == "updatedSince":
                where.append(("UpdatedAt", ">=", _moment(parameter, value)))
            elif parameter in self.kind.search:
                name = self.kind.search[parameter]
                where.append((name, "=", value.lower() if name.startswith("_") else value))
            elif parameter not in {"page", "pageSize"}:
                raise Refusal(400, "invalid_query", f"{parameter}: unknown parameter", field=parameter)
        by = "UpdatedAt" if "updatedSince" in call.query else None
        items = self._store.find(self.kind.name, where, limit=size, offset=(page - 1) * size, by=by)
        total = self._store.count(self.kind.name, where)
        return Answer(body={"items": [shown(doc) for doc in items], "page": page, "pageSize": size, "total": total})

    def one(self, call: Call) -> Answer:
        """Answer `GET …/{id}`."""
        return Answer(body=self.need(call.params[self.kind.id]))

    def _moment(self) -> str:
        """Return now, or just after the last change of this kind where the clock was set back, so that who reads by `updatedSince` misses none."""
        name = f"updated/{self.kind.name}"
        now, last = (self._clock.now() - EPOCH) // timedelta(microseconds=1), self._store.add(name, 0)
        return stamp(EPOCH + timedelta(microseconds=self._store.add(name, max(now - last, 1))))


def shown(doc: Doc) -> Doc:
    """Return the record without what only the server knows."""
    return {name: value for name, value in doc.items() if not name.startswith("_")}


def _number(call: Call, name: str, default: int, most: int | None) -> int:
    text = call.query.get(name, str(default))
    value = int(text) if text.isascii() and text.isdigit() else 0
    if value < 1 or (most is not None and value > most):
        raise Refusal(400, "invalid_query", f"{name}: expected a whole number from 1{f' to {most}' if most else ''}", field=name)
    return value


def _moment(name: str, text: str) -> str:
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))  # a plus sign that was not escaped
    except ValueError:
        raise Refusal(400, "invalid_query", f"{name}: expected ISO 8601", field=name) from None
    return stamp(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
