"""One customer on two sides: what each side last said, what it was last given, and which of two contents is to stand. No I/O.

The state of a customer is its shadow. A field that says what its shadow says is no change; one that says what stands already is an echo. What
changed on one side goes to the other. What changed on both, each before it had heard of the other's change, is decided by the field's master,
else the newest change wins, and of two at one time the one that stands. Where a side is met for the first time, the side that the customer's
key is of decides, and an empty field never does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

import orjson

from processors.addresses import plain_address
from towpath.events import CustomerChanged, micros

TEXTS: Final = ("email", "first_name", "last_name", "company")
ADDRESSES: Final = ("billing_address", "shipping_address")
NAMES: Final = ("first_name", "last_name", "company", "email", "phone")
"""What an address says beside where it is."""
CUSTOM: Final = "custom_fields."
EVERY_FIELD: Final = "*"
NEWEST: Final = "newest"
TIMES: Final = ("occurred_at", "received_at")


@dataclass(frozen=True, slots=True)
class Stand:
    """What a field is to be on every side, since when (microseconds, the clock of the side that said so), and which side that is."""

    value: Any
    at: int
    by: str


@dataclass(frozen=True, slots=True)
class Side:
    """What one connection holds as far as is known: its last event, with what was written there since; `asked` is the event it was given last."""

    value: Mapping[str, Any]
    asked: str = ""


@dataclass(frozen=True, slots=True)
class Rules:
    """Which fields two sides share beside those that every customer has, and which connection is the master of a field."""

    custom_fields: Sequence[str] = ()
    masters: Mapping[str, str] = field(default_factory=dict)

    def master(self, name: str) -> str:
        """Return the connection whose word counts for a field, or NEWEST."""
        return self.masters.get(name, self.masters.get(EVERY_FIELD, NEWEST))

    def contents(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a customer says of each shared field."""
        found = {name: value[name] for name in (*TEXTS, *ADDRESSES)}
        return found | {f"{CUSTOM}{name}": value["custom_fields"].get(name, "") for name in self.custom_fields}


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer as all its sides have it; `version` is that of the last delivery."""

    sides: Mapping[str, Side] = field(default_factory=dict)
    stands: Mapping[str, Stand] = field(default_factory=dict)
    version: int = 0

    def told(self, value: CustomerChanged, rules: Rules) -> Customer:
        """Return the customer once a side said this; what it said before, and what is decided to stand, is no news."""
        meta, name = value["meta"], value["meta"]["connection"]
        side, stands = self.sides.get(name), dict(self.stands)
        before = {} if side is None else rules.contents(side.value)
        for part, content in rules.contents(value).items():
            known, said = stands.get(part), Stand(content, micros(meta["occurred_at"]), name)
            master = rules.master(part)
            if known is None:
                stands[part] = said
            elif same(part, content, known.value):
                continue
            elif part not in before:
                decides = meta["key"].partition("/")[0] if master == NEWEST else master
                stands[part] = _met(said, known, decides)
            elif not same(part, content, before[part]):  # else what was decided since is on its way there
                has_it = same(part, before[part], known.value)
                stands[part] = said if has_it or known.by == name else _contested(said, known, master)
        sides = {**self.sides, name: Side(dict(value), side.asked if side is not None else "")}
        return replace(self, sides=sides, stands=stands)

    def differs(self, name: str, rules: Rules) -> bool:
        """Tell whether a side is not known to hold what stands."""
        side = self.sides.get(name)
        held = None if side is None else rules.contents(side.value)
        return held is None or any(not same(part, held[part], stand.value) for part, stand in self.stands.items() if part in held)

    def wanted(self, base: Mapping[str, Any]) -> dict[str, Any]:
        """Return an event with what stands in the place of what it says; of the custom fields only those that are shared."""
        found = {**base, "custom_fields": {}}
        for part, stand in self.stands.items():
            if part.startswith(CUSTOM):
                found["custom_fields"][part.removeprefix(CUSTOM)] = stand.value
            elif part in ADDRESSES:
                found[part] = _with_names(stand.value, base[part])
            else:
                found[part] = stand.value
        return found

    def held(self, name: str, base: Mapping[str, Any], rules: Rules) -> dict[str, Any] | None:
        """Return an event with what a side is known to hold in the place of what it says, None where nothing is known of that side."""
        side = self.sides.get(name)
        if side is None:
            return None
        return replace(self, stands={part: Stand(value, 0, name) for part, value in rules.contents(side.value).items()}).wanted(base)

    def asked(self, name: str, event_id: str) -> Customer:
        """Return the customer with a side asked to hold what stands, by the event of this id."""
        side = self.sides.get(name)
        return self if side is None else replace(self, sides={**self.sides, name: replace(side, asked=event_id)})

    def written(self, name: str, event_id: str) -> Customer:
        """Return the customer once a side holds what it was asked to hold; as it is where it was asked something else since."""
        side = self.sides.get(name)
        if side is None or not event_id or side.asked != event_id:
            return self
        return replace(self, sides={**self.sides, name: Side(self.wanted(side.value))})

    def dump(self) -> bytes:
        """Return it as bytes for the state."""
        sides = {name: [side.value, side.asked] for name, side in self.sides.items()}
        stands = {part: [stand.value, stand.at, stand.by] for part, stand in self.stands.items()}
        return orjson.dumps([sides, stands, self.version])

    @classmethod
    def load(cls, data: bytes | None) -> Customer:
        """Return what `dump` wrote, one of whom nothing is known where nothing was."""
        if data is None:
            return cls()
        sides, stands, version = orjson.loads(data)
        return cls(
            {name: Side(_with_times(value), asked) for name, (value, asked) in sides.items()},
            {part: Stand(*stand) for part, stand in stands.items()},
            version,
        )


def same(part: str, one: Any, other: Any) -> bool:  # noqa: ANN401 - a text or an address
    """Tell whether two contents of a field are one, however they are written."""
    if part in ADDRESSES:
        return plain_address(one) == plain_address(other)
    one, other = (" ".join(str(text or "").split()) for text in (one, other))
    return bool(one.casefold() == other.casefold() if part == "email" else one == other)


def is_empty(value: Any) -> bool:  # noqa: ANN401 - a text or an address
    """Tell whether a field says nothing."""
    return not (plain_address(value) if isinstance(value, Mapping) else str(value or "").strip())


def _met(said: Stand, known: Stand, decides: str) -> Stand:
    """Return what is to stand once a side is met for the first time: never what is empty, else the word of the side that decides."""
    if is_empty(said.value) or is_empty(known.value):
        return known if is_empty(said.value) else said
    return said if said.by == decides else known


def _contested(said: Stand, known: Stand, master: str) -> Stand:
    """Return what is to stand of two changes that did not know of each other."""
    if master in {said.by, known.by}:
        return said if said.by == master else known
    return said if said.at > known.at else known


def _with_names(address: Mapping[str, Any] | None, base: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return an address with the names, telephone and e-mail address of the one in whose place it comes, where it has none itself."""
    return None if address is None else {**address, **{name: (base or {}).get(name, "") for name in NAMES if not address[name]}}


def _with_times(value: dict[str, Any]) -> dict[str, Any]:
    meta = value["meta"]
    return {**value, "meta": {**meta, **{name: datetime.fromisoformat(meta[name]) for name in TIMES}}}
