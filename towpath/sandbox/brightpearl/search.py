"""Searches: rows without names, in the order of `metaData.columns`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final

from towpath.sandbox.brightpearl.records import Records, numbers
from towpath.sandbox.kit.clock import stamp
from towpath.sandbox.kit.messages import Answer, Call, Refusal
from towpath.sandbox.kit.store import Condition, Doc

LARGEST_PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class Column:
    """A column: what a record shows there, and the field that it is filtered by (empty: it is not)."""

    name: str
    type: str
    of: Callable[[Doc], Any]
    field: str = ""

    def shown(self) -> Doc:
        """Return the column as `metaData` describes it."""
        return {
            "name": self.name,
            "sortable": self.type in {"IDSET", "PERIOD"},
            "filterable": bool(self.field),
            "reportDataType": self.type,
            "referenceData": [],
            "isFreeTextSearchable": False,
            "required": False,
        }


class Search:
    """One `<resource>-search`; the first column is the record's id, by which rows are sorted unless the query says otherwise."""

    def __init__(self, records: Records, columns: Sequence[Column]) -> None:
        self._records, self._columns = records, {column.name: column for column in columns}

    def answer(self, call: Call) -> Answer:
        """Answer one page."""
        first, size = _number(call, "firstResult", 1), min(LARGEST_PAGE, _number(call, "pageSize", LARGEST_PAGE))
        column, _, direction = call.query.get("sort", next(iter(self._columns))).partition(".")
        paging = {"firstResult", "pageSize", "sort", "columns"}
        where = [condition for name, text in call.query.items() if name not in paging for condition in self._filter(name, text)]
        by = self._columns[column].field if column in self._columns else ""
        kind, store = self._records.kind, self._records.account.store
        found = store.find(kind, where, by=by or "_id")
        found = found[::-1] if direction.upper() == "DESC" else found
        page = found[first - 1 : first - 1 + size]
        rows = [[one.of(doc) for one in self._columns.values()] for doc in page]
        more = first - 1 + len(page) < len(found)
        meta: Doc = {"morePagesAvailable": more, "resultsAvailable": len(found), "resultsReturned": len(page)}
        if page:
            meta |= {"firstResult": first, "lastResult": first - 1 + len(page)}
        sorting = {"filterable": self._columns.get(column, next(iter(self._columns.values()))).shown(), "direction": direction.upper() or "ASC"}
        meta |= {"columns": [one.shown() for one in self._columns.values()], "sorting": [sorting]}
        return Answer(body={"response": {"results": rows, "metaData": meta}, "reference": {}})

    def _filter(self, name: str, text: str) -> list[Condition]:
        column = self._columns.get(name)
        if column is None or not column.field:
            raise Refusal(400, "CMNC-017", f"The filter {name} does not exist")
        if column.type == "STRING":
            return [(column.field, "=", text.casefold())]
        if column.type == "PERIOD":
            return self._period(column, text)
        try:
            ids = numbers(text) if column.type == "IDSET" else [int(text)]
        except (Refusal, ValueError):
            raise Refusal(500, "CMNC-018", f"The filter {name}={text} cannot be parsed as: {column.type}") from None
        return [(column.field, "in", ids)]

    def _period(self, column: Column, text: str) -> list[Condition]:
        since, _, until = text.partition("/")
        found: list[Condition] = []
        try:
            for end, operator in ((since, ">="), (until, "<=")):
                if end:
                    moment = self._records.account.read(column.name, end.replace(" ", "+"))
                    found.append((column.field, operator, stamp(moment.astimezone(UTC))))  # type: ignore[arg-type]  # one of two
        except Refusal:
            raise Refusal(500, "CMNC-018", f"The filter {column.name}={text} cannot be parsed as: PERIOD") from None
        return found


def _number(call: Call, name: str, default: int) -> int:
    text = call.query.get(name, str(default))
    if not text.isdecimal() or int(text) < 1:
        raise Refusal(500, "CMNC-018", f"The filter {name}={text} cannot be parsed as: INTEGER")
    return int(text)
