"""Reading the path and the query of a call; every function raises Refusal(400) that names what makes no sense."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from towpath.sandbox.kit.clock import stamp
from towpath.sandbox.kit.messages import Answer, Call, Refusal
from towpath.sandbox.kit.store import Condition, Store

EVERYTHING: Final = 2147483647
"""The largest id, and the page size of a call that names none."""


def identifier(text: str, name: str) -> int:
    """Return an id of the path."""
    if not (text.isascii() and text.isdigit()) or not 0 < int(text) <= EVERYTHING:
        raise Refusal(400, "invalid", f"{name}: not a valid identifier", field=name)
    return int(text)


def identifiers(text: str) -> list[int]:
    """Return ids that are separated by `;` or `,`."""
    return [identifier(part.strip(), "ids") for part in text.replace(",", ";").split(";") if part.strip()]


def number(call: Call, name: str, default: int) -> int:
    """Return a whole number of the query, from 0."""
    text = call.query.get(name, str(default))
    if not (text.isascii() and text.isdigit()):
        raise Refusal(400, "invalid", f"{name}: not a valid number", field=name)
    return int(text)


def change(call: Call, name: str) -> int:
    """Return a whole number of either sign, which has to be there."""
    text = call.query.get(name, "")
    digits = text[1:] if text[:1] in {"-", "+"} else text
    if not (digits.isascii() and digits.isdigit()):
        raise Refusal(400, "invalid", f"{name}: not a valid number", field=name)
    return int(text)


def flag(call: Call, name: str, *, default: bool | None = None) -> bool:
    """Return true or false of the query, which has to be there where no default is given."""
    text = call.query.get(name, "").lower()
    if text not in {"true", "false"} and (text or default is None):
        raise Refusal(400, "invalid", f"{name}: expected true or false", field=name)
    return text == "true" if text else bool(default)


def moment(name: str, text: str) -> str:
    """Return a time as the store keeps it; one without a zone is UTC."""
    try:
        found = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
    except ValueError:
        raise Refusal(400, "invalid", f"{name}: not a valid date", field=name) from None
    return stamp(found if found.tzinfo else found.replace(tzinfo=UTC))


def created(call: Call) -> list[Condition]:
    """Return the conditions of `createdFromUtc` and `createdToUtc`."""
    bounds: list[Condition] = []
    for name, text in call.query.items():
        if name == "createdFromUtc" and text:
            bounds.append(("created_on_utc", ">=", moment(name, text)))
        elif name == "createdToUtc" and text:
            bounds.append(("created_on_utc", "<=", moment(name, text)))
    return bounds


def page(store: Store, kind: str, where: Sequence[Condition], call: Call, *, newest_first: bool = True) -> Answer:
    """Answer a list: `pageIndex` from 0, everything on one page unless `pageSize` says otherwise."""
    index, size = number(call, "pageIndex", 0), number(call, "pageSize", EVERYTHING) or EVERYTHING
    total = store.count(kind, where)
    items = (
        [] if flag(call, "getOnlyTotalCount", default=False) else store.find(kind, where, limit=size, offset=index * size, newest_first=newest_first)
    )
    pages = math.ceil(total / size)
    body = {"total_count": total, "total_pages": pages, "has_previous_page": index > 0, "has_next_page": index + 1 < pages}
    return Answer(body={**body, "items": items, "page_index": index, "page_size": size})
