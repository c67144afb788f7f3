"""JSON that is not what it should be: every part of a document, one after another, replaced by what a system might say there by mistake."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

Json = Any
Step = str | int
ODD: Final[Sequence[Json]] = (
    None,
    True,
    -1,
    0,
    1.5,
    1e300,
    10**30,
    "",
    " ",
    "x",
    "\ud800",
    "9" * 400,
    "2026-13-45T99:00:00Z",
    [],
    [None],
    {},
    {"a": 1},
)
UNKNOWN: Final = "towpath_unknown_field"
MOST_ITEMS: Final = 1
"""Of a list: what is wrong in the second is as wrong in the first."""
FEW: Final = 5


def places(value: Json, path: tuple[Step, ...] = ()) -> Iterator[tuple[Step, ...]]:
    """Yield where each part of a document stands, the whole apart."""
    inner = value.items() if isinstance(value, dict) else enumerate(value[:MOST_ITEMS]) if isinstance(value, list) else ()
    for step, part in inner:
        yield (*path, step)
        yield from places(part, (*path, step))


def odd(document: Json, values: Sequence[Json] = ODD) -> Iterator[tuple[str, Json]]:
    """Yield the document with one of its parts replaced, or left out, and the part's name; it is changed in place, and is itself again after.

    An object or a list is replaced by every value, anything else by `FEW` of them in turn.
    """
    for number, path in enumerate(list(places(document))):
        *parents, last = path
        holder, name = _at(document, parents), ".".join(map(str, path))
        before = holder[last]
        turn = [values[(number * FEW + index) % len(values)] for index in range(min(FEW, len(values)))]
        for value in values if isinstance(before, dict | list) else turn:
            holder[last] = value
            yield f"{name}={value!r:.30}", document
        if isinstance(holder, dict):
            order = dict(holder)
            del holder[last]
            yield f"{name} left out", document
            holder.clear()
            holder.update(order)
        holder[last] = before


def with_unknown(value: Json, maps: frozenset[str], name: str = "") -> Json:
    """Return a document whose every object has a field that nobody knows, but for those whose keys are data."""
    if isinstance(value, dict):
        grown = {key: with_unknown(part, maps, key) for key, part in value.items()}
        return grown if name in maps else {UNKNOWN: {"since": ["their", "next", "version", 1.5, None]}, **grown}
    return [with_unknown(part, maps) for part in value] if isinstance(value, list) else value


def numbers(value: Json) -> Iterator[Json]:
    """Yield every number and text in a document."""
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        if isinstance(part, dict | list):
            yield from numbers(part)
        elif not isinstance(part, bool) and part is not None:
            yield part


def _at(document: Json, path: Sequence[Step]) -> Json:
    for step in path:
        document = document[step]
    return document
