"""What the sinks of customers have in common: which of a target's customers is meant, and which of its fields are to be written."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from sinks.base import Document
from towpath.delivery.reviewing import DUPLICATE, MATCH, NOT
from towpath.errors import DataError

EMAIL, LAST_NAME, FIRST_NAME, POSTCODE = 0.6, 0.2, 0.1, 0.1
"""How much of the confidence each likeness is; one side that says nothing gives half."""


class Person(NamedTuple):
    """Who a customer is, as far as it tells one from another; `taken_by` is the reference of another customer that it stands for already."""

    id: str
    email: str
    first_name: str = ""
    last_name: str = ""
    postcode: str = ""
    taken_by: str = ""


class Change(NamedTuple):
    """What is to be written of a customer.

    `left` are the fields that changed at the target meanwhile, whose own word decides, `unheld` those that it cannot be given.
    """

    fields: dict[str, Any]
    left: list[str]
    unheld: list[str]

    def without(self, *names: str) -> Change:
        """Return the change without fields that the target cannot be given."""
        fields = {name: value for name, value in self.fields.items() if name not in names}
        return Change(fields, self.left, [name for name in self.fields if name in names])

    @property
    def review(self) -> str:
        """Return what is said of the fields that are not as wanted, empty where all are: then this side is not taken to hold them."""
        left = f"changed there meanwhile, and left for that change to be told: {', '.join(self.left)}" if self.left else ""
        unheld = f"cannot be changed there: {', '.join(self.unheld)}" if self.unheld else ""
        return "; ".join(filter(None, (left, unheld)))


def alike(wanted: Person, found: Person) -> float:
    """Return how surely two are one customer, from 0 to 1."""
    likeness = ((EMAIL, "email"), (LAST_NAME, "last_name"), (FIRST_NAME, "first_name"), (POSTCODE, "postcode"))
    return round(sum(weight * _same(getattr(wanted, name), getattr(found, name)) for weight, name in likeness), 2)


def meant(wanted: Person, found: Sequence[Person], confidence: float) -> Person | None:
    """Return the customer that is meant, the oldest of those most alike; None where there is none like it.

    Raises DataError with the field DUPLICATE where somebody has to decide: none is alike enough, or the one that is stands for another already.
    """
    free = [one for one in found if not one.taken_by]
    best = max((alike(wanted, one) for one in free), default=0.0)
    if free and best >= confidence:
        return next(one for one in free if alike(wanted, one) == best)
    if not found:
        return None
    told = ", ".join(f"{one.id} ({'stands for ' + one.taken_by if one.taken_by else f'{alike(wanted, one):.0%} alike'})" for one in found)
    message = (
        f"it may be a customer who is there already: {told}; `towpath review merge` takes one of them for it, `towpath review reject` makes a new one"
    )
    raise DataError(message, field=DUPLICATE, value=",".join(one.id for one in found))


def chosen(document: Document) -> str | float | None:
    """Return what a document says of who is meant: an id, the confidence from which one who is alike is, or None: only one with our reference."""
    match = document.get(MATCH)
    if match is None or match is False:
        return None
    if isinstance(match, str) and match:
        return match
    if rejected(document) is not None:
        return None
    confidence = match.get("Confidence") if isinstance(match, Mapping) else None
    if isinstance(confidence, int | float) and not isinstance(confidence, bool):
        return float(confidence)
    raise DataError("Match is neither an id nor a confidence", field="Match", value=repr(match))


def rejected(document: Document) -> frozenset[str] | None:
    """Return the ids of those whom somebody said that a document does not mean; None where nobody was asked, or it does not say which."""
    match = document.get(MATCH)
    ids = match.get(NOT) if isinstance(match, Mapping) else None
    return frozenset(map(str, ids)) if isinstance(ids, list) else None


def without_match(document: Document) -> dict[str, Any]:
    """Return a customer's document as it is written."""
    return {name: value for name, value in document.items() if name != MATCH}


def checked(document: Document, parts: Sequence[str]) -> Document:
    """Return the document of a change; raises DataError naming what is no object: `Wanted`, `Expected` where it is there, or one of their parts."""
    for side in ("Wanted", "Expected"):
        said = document.get(side)
        if said is None and side == "Expected":
            continue
        objects = {side: said}
        if isinstance(said, Mapping):
            objects |= {f"{side}.{part}": said[part] for part in parts if said.get(part) is not None}
        for field, value in objects.items():
            if not isinstance(value, Mapping):
                raise DataError(f"{field} is no object", field=field, value=repr(value)[:80])
    return document


def change_of(document: Document, stands: Mapping[str, Any], same: Callable[[str, Any, Any], bool]) -> Change:
    """Return what of `Wanted` is to be written to a customer who `stands` so.

    A field that is as wanted, or of which nothing new is wanted, is left alone; so is one that is not as expected. Where nothing is expected,
    nothing is emptied, and with `Fills` only what is empty is written.
    """
    wanted, expected, fills = document["Wanted"], document.get("Expected"), document.get("Fills") is True
    change = Change({}, [], [])
    for name, value in wanted.items():
        there = stands.get(name)
        if same(name, there, value):
            continue
        if expected is None:
            if value in (None, "") or (fills and there not in (None, "")):
                continue
        elif same(name, expected.get(name), value):
            continue
        elif not same(name, there, expected.get(name)):
            change.left.append(name)
            continue
        change.fields[name] = value
    return change


def _same(one: str, other: str) -> float:
    one, other = _plain(one), _plain(other)
    return 0.5 if not one or not other else float(one == other)


def _plain(text: str) -> str:
    """Return a text without case, accents and signs: `José O'Connor` is `JOSE OCONNOR`."""
    return "".join(letter for letter in unicodedata.normalize("NFKD", text.casefold()) if letter.isalnum())
