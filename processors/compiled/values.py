"""What is known of a value while its expression is written, and the local variables of the paths that expressions read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from processors.compiled.kinds import Hint, is_finished, is_nullable, kind_of, step

PRESENT: Final = frozenset({"string", "bool", "number", "list", "object"})
"""Kinds of values that are not null."""


@dataclass(frozen=True, slots=True)
class Code:
    """The source of a value, and its kind where that is certain: null, bool, number, string, list, object, or rest.

    A rest is what `%` leaves: a number that is zen's but for its places. `spelt` is the source of the value that a number is read from,
    `text` that of its text, where there is a shorter way to it; a value that is `finished` stands in an answer as it is, and an object that is has
    no nulls.
    """

    source: str
    kind: str = "any"
    spelt: str = ""
    text: str = ""
    finished: bool = False

    @property
    def is_whole(self) -> bool:
        """Tell whether the value certainly is no null, and stands in an answer as it is."""
        return self.kind in ("string", "bool") or (self.finished and self.kind in PRESENT)


@dataclass(slots=True)
class Paths:
    """The local variables of one node of a model: each path of the input that its expressions read; `fields` are certain to be there."""

    names: dict[tuple[str | int, ...], str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    prefix: str = "v"
    fields: Mapping[str, Hint] = field(default_factory=dict)
    hints: dict[tuple[str | int, ...], Hint] = field(default_factory=dict)

    def local(self, path: tuple[str | int, ...]) -> str:
        """Return the variable of a path; the first step is a field of the input."""
        if path not in self.names:
            before, last = path[:-1], path[-1]
            if before:
                value = self.local(before)
                source, self.hints[path] = step(value, self.hints[before], last)
            else:
                self.hints[path] = hint = self.fields.get(str(last))
                source = f"context.get({last!r})" if hint is None or is_nullable(hint) else f"context[{last!r}]"
            self.names[path] = f"{self.prefix}{len(self.names)}"
            self.lines.append(f"{self.names[path]} = {source}")
        return self.names[path]

    def code(self, path: tuple[str | int, ...]) -> Code:
        """Return the code of what a path leads to."""
        return typed(self.local(path), self.hints[path])


def typed(source: str, hint: Hint) -> Code:
    """Return the code of a value of this type."""
    return Code(source, kind_of(hint), finished=is_finished(hint))
