"""Writes records that are made of events: what is the same in each is encoded once, what an event's head holds is copied as it is encoded there.

A form is for one type of record and one type of event. As avro_writer's, it takes only what certainly fits; for anything else it raises, and
the record is to be encoded whole.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from towpath.avro_reader import Unreadable
from towpath.avro_writer import SIZES, Maker, made

Form = Callable[..., None]
"""Puts the parts of a record's bytes into a list; given the list, the event's bytes, where its head's fields are, and the values that differ."""


def form_of(schema: Any, known: Mapping[str, str], utf8: Collection[str], head: Any) -> tuple[Form, Sequence[str]] | None:  # noqa: ANN401 - parsed schemas
    """Return the form of a record's schema, and the fields whose values it is given, in their order.

    The strings in `known` are the same in each record; those that stand in `utf8` are given as bytes, a map's values too. `head` is the schema of
    what an event begins with: its fields of the same name and type are copied. None for a schema with a type that is not known here.
    """
    maker, places = _FormMaker(utf8), {field["name"]: (number, field["type"]) for number, field in enumerate(head["fields"])}
    given = []
    for field in schema["fields"]:
        name, (number, kind) = field["name"], places.get(field["name"], (0, None))
        if name in known:
            maker.constant(known[name])
        elif kind == field["type"]:
            maker.copied(number)
        else:
            given.append(name)
            try:
                maker.field(name, field["type"])
            except Unreadable:
                return None
    maker.put("    ")
    form: Form = made([f"def write({', '.join(['parts', 'data', 'places', *given])}, *, sizes=SIZES):", *maker.lines])
    return form, given


class _FormMaker(Maker):
    """Makes the lines of a form."""

    def __init__(self, utf8: Collection[str]) -> None:
        super().__init__()
        self._utf8, self._is_utf8 = utf8, False

    def constant(self, text: str) -> None:
        """Make what puts a string that is always the same."""
        data = text.encode()
        self._parts.append(repr(SIZES[len(data)] + data))

    def copied(self, number: int) -> None:
        """Make what puts a field of the event's head."""
        self._parts.append(f"data[places[{number}]:places[{number + 1}]]")

    def field(self, name: str, kind: Any) -> None:  # noqa: ANN401 - any part of a schema
        """Make what puts the value of a field."""
        self._is_utf8 = name in self._utf8
        self.value(kind, name, "    ")
        self._is_utf8 = False

    def _string(self, given: str, indent: str) -> None:
        if not self._is_utf8:
            super()._string(given, indent)
            return
        data = self._sized(given, indent)
        self._add(indent, f"if type({data}) is not bytes: raise ValueError")
