"""`searchCriteria`: groups of filters, sort order and pages, as REST takes them in the query."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from typing import Any, Final

from towpath.sandbox.kit.messages import Answer, Call
from towpath.sandbox.kit.store import Condition, Store
from towpath.sandbox.magento.settings import MagentoSettings
from towpath.sandbox.magento.wording import Worded

CONDITIONS: Final = {"eq": "=", "gteq": ">=", "from": ">=", "lteq": "<=", "to": "<=", "in": "in"}
NUMBERS: Final = frozenset({"entity_id", "order_id", "customer_id", "id", "group_id", "store_id"})
CALLED_ID: Final = frozenset({"product", "customer"})
"""Entities whose `entity_id`, by which they are searched, is `id` in an answer."""
_FILTER = re.compile(r"searchCriteria\[(?:filterGroups|filter_groups)\]\[(\d+)\]\[filters\]\[(\d+)\]\[(\w+)\]")
_OTHER = re.compile(r"searchCriteria\[(?:sortOrders\]\[0\]\[(field|direction)|(pageSize|page_size|currentPage|current_page))\]")


class Lists:
    """The lists of one shop."""

    def __init__(self, store: Store, settings: MagentoSettings) -> None:
        self._store, self._settings = store, settings

    def page(self, kind: str, call: Call) -> Answer:
        """Answer with a page; past the end the last one comes again. Without a size everything is on one page."""
        if not any(name.startswith("searchCriteria") for name in call.query):
            raise Worded(400, '"%fieldName" is required. Enter and try again.', {"fieldName": "searchCriteria"})
        where, size, number = _where(call, kind), _number(call, "pageSize", "page_size", 0), _number(call, "currentPage", "current_page", 1)
        total = self._store.count(kind, where)
        size = size or max(1, total)
        last = max(1, math.ceil(total / size))
        asked = max(1, number)
        shown = min(asked, last) if self._settings.repeats_last_page else asked
        sort, down = call.query.get("searchCriteria[sortOrders][0][field]"), call.query.get("searchCriteria[sortOrders][0][direction]") == "DESC"
        order: dict[str, Any] = {"newest_first": True} if down else {"by": sort} if sort else {}
        found = self._store.find(kind, where, limit=size, offset=(shown - 1) * size, **order)
        items = None if not found and self._settings.empty_is_null else found
        criteria = {"filter_groups": [], "page_size": size, "current_page": asked}
        return Answer(body={"items": items, "search_criteria": criteria, "total_count": total})


def _where(call: Call, kind: str) -> list[Condition]:
    filters: dict[str, dict[str, dict[str, str]]] = defaultdict(lambda: defaultdict(dict))
    for name, value in call.query.items():
        if (found := _FILTER.fullmatch(name)) is not None:
            filters[found[1]][found[2]][found[3]] = value
        elif not name.startswith("fields") and _OTHER.fullmatch(name) is None:
            raise Worded(400, 'Property "%1" does not have accessor method "%2" in class "%3".', [name, f"get{name}", "SearchCriteria"])
    conditions = [_condition(list(group.values())) for group in filters.values()]
    return [("id" if name == "entity_id" and kind in CALLED_ID else name, operator, value) for name, operator, value in conditions]


def _condition(group: list[dict[str, str]]) -> Condition:
    """Return a group's condition; several filters of one field by `eq` are an `in` (they are OR)."""
    names, kinds = {one["field"] for one in group}, {one.get("conditionType", one.get("condition_type", "eq")) for one in group}
    (kind,), (name,) = kinds, names
    if kind not in CONDITIONS or (len(group) > 1 and kind != "eq"):
        raise Worded(400, "Invalid condition type: %1", [kind])
    values = [_value(name, text) for one in group for text in (one["value"].split(",") if kind == "in" else [one["value"]])]
    if len(values) > 1 or kind == "in":
        return (name, "in", values)
    return (name, CONDITIONS[kind], values[0])  # type: ignore[return-value]  # one of the store's


def _value(name: str, text: str) -> str | int:
    return int(text) if name in NUMBERS and text.isdigit() else text


def _number(call: Call, camel: str, snake: str, default: int) -> int:
    text = call.query.get(f"searchCriteria[{camel}]", call.query.get(f"searchCriteria[{snake}]", str(default)))
    if not text.isdigit():
        raise Worded(400, 'Error occurred during "%1" processing. The "%2" value\'s type is invalid.', [camel, text])
    return int(text)
