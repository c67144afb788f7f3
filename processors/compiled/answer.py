"""What a compiled model answers: values as zen gives them at the end, without the nulls in their objects, made so where they come into being.

An object that stands in two places of an answer (an address of an order, and of its customer) is made once.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, Final

from processors.compiled.code import Generator
from processors.compiled.functions import KEPT, Unsure, number, rounded, text
from processors.compiled.parser import Node
from processors.compiled.values import PRESENT, Code, Paths

LARGEST: Final = 2**63
CERTAIN: Final = frozenset({"string", "bool", "null"})
"""Kinds of values that stand in an answer as they are."""
NOTHING: Final[dict[str, Any]] = {}
"""What an object gets of a part that is null."""


def finished(value: Any) -> Any:  # noqa: ANN401 - any part of an answer, as in all of these
    """Return a part of an answer as zen gives it, without the nulls in its objects; raises Unsure for numbers that may be no ints there."""
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return value
    if kind is dict:
        return {name: part if type(part) is str else finished(part) for name, part in value.items() if part is not None}
    if kind is list:
        return [finished(part) for part in value]
    if kind is Decimal and value == math.floor(value):
        value = int(value)
    if type(value) is int and -LARGEST <= value < LARGEST:
        return value
    raise Unsure


def present(value: dict[str, Any]) -> dict[str, Any]:
    """Return an object of finished parts without its nulls."""
    return {name: part for name, part in value.items() if part is not None} if None in value.values() else value


def finished_number(value: Any) -> Any:  # noqa: ANN401
    """Return the number that a value spells, finished."""
    return _finished_number(value) if type(value) is str else finished(number(value))


@functools.lru_cache(KEPT)
def _finished_number(value: str) -> Any:  # noqa: ANN401
    return finished(number(value))


def rounded_text(value: Any, places: int) -> str:  # noqa: ANN401
    """Return the text of the number that a value spells, with at most so many places."""
    return _rounded_text(value, places) if type(value) is str else text(rounded(number(value), places))


@functools.lru_cache(KEPT)
def _rounded_text(value: str, places: int) -> str:
    return text(rounded(number(value), places))


class AnswerGenerator(Generator):
    """Writes the expressions of a model's last node; `whole` are all of them, to find what stands in them twice."""

    def __init__(self, paths: Paths, whole: Iterable[Node]) -> None:
        super().__init__(paths)
        found = Counter(repr(node) for root in whole for node in _always(root))
        self._twice = {written for written, times in found.items() if times > 1}
        self._made: dict[str, Code] = {}

    def finished(self, node: Node) -> Code:
        """Return the code of a value as the answer holds it; raises Unsupported."""
        written = repr(node)
        if written not in self._twice:
            return self._finished(node)
        if written not in self._made:
            code = self._finished(node)
            name = f"{self._paths.prefix}s{len(self._made)}"
            self._paths.lines.append(f"{name} = {code.source}")
            self._made[written] = Code(name, code.kind)
        return self._made[written]

    def _finished(self, node: Node) -> Code:
        if node.kind == "object":
            return display([(self._text(key), self.finished(part)) for key, part in reversed(_pairs(node))])
        if node.kind == "array":
            return Code(f"[{', '.join(self.finished(part).source for part in node.parts)}]", "list")
        if node.kind == "choice":
            condition, chosen, other = node.parts
            return self.choice(condition, self.finished(chosen), self.finished(other))
        if node.kind == "call" and node.value == "map":
            return self.closure("map", *node.parts, body=self.finished)
        return _finishing(self.value(node))


def _finishing(code: Code) -> Code:
    """Return the code of a value once it is finished."""
    if code.spelt:
        return Code(f"finished_number({code.spelt})", "number")
    if code.finished or code.kind in CERTAIN:
        return code
    if code.kind == "list":
        return Code(f"(finished(given) if (given := {code.source}) else given)", "list")
    if code.kind == "object":
        return Code(f"finished({code.source})", "object")
    if code.source.isidentifier():
        return Code(f"({code.source} if type({code.source}) is str else finished({code.source}))", code.kind)
    return Code(f"(given if type(given := {code.source}) is str else finished(given))", code.kind)


def display(pairs: Iterable[tuple[str, Code]]) -> Code:
    """Return the code of an object of finished parts, by the source of their names; those that are null are left out."""
    known = list(pairs)
    names = {name for name, _ in known if name.startswith(("'", '"'))}
    if len(names) < len(known) and len(known) > 1:  # two may be of one name, and the one that counts may be null
        return Code(f"present({{{', '.join(f'{name}: {code.source}' for name, code in known)}}})", "object")
    return Code(f"{{{', '.join(f'{name}: {code.source}' if code.kind in PRESENT else _if_present(name, code) for name, code in known)}}}", "object")


def _if_present(name: str, code: Code) -> str:
    """Return the code of a part of an object that may be null."""
    if code.source.isidentifier():
        return f"**({{{name}: {code.source}}} if {code.source} is not None else NOTHING)"
    return f"**({{{name}: part}} if (part := {code.source}) is not None else NOTHING)"


def _pairs(node: Node) -> list[tuple[Node, Node]]:
    return list(zip(node.parts[::2], node.parts[1::2], strict=True))


def _always(node: Node) -> Iterator[Node]:
    """Yield the objects and choices in an expression that are made whatever the event holds."""
    if node.kind in ("object", "choice"):
        yield node
    if node.kind == "object":
        for _, part in _pairs(node):
            yield from _always(part)
