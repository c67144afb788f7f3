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
from towpath.errors import DataError
from towpath.events import CustomerChanged, micros

TEXTS: Final = ("email", "first_name", "last_name", "company")
ADDRESSES: Final = ("billing_address", "shipping_address")
NAMES: Final = ("first_name", "last_name", "company", "email", "phone")
"""What an address says beside where it is."""
CUSTOM: Final = "custom_fields."
CUT: Final = 32
"""Characters at which some systems cut a name; what is the same so far is the same."""
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
    """What one connection holds as far as is known: its last event, with what was written there since; none where it was neither heard nor written.

    `asked` is the event it was given last, `at` when it was last written (microseconds, its own clock; 0: it does not say).
    """

    value: Mapping[str, Any] = field(default_factory=dict)
    asked: str = ""
    at: int = 0


@dataclass(frozen=True, slots=True)
class Other:
    """What a shared field is called where it is called otherwise, and what its values there mean here."""

    name: str
    means: Mapping[str, str]

    def here(self, value: str) -> str:
        """Return what a value means; raises DataError for one that means nothing."""
        if value and value not in self.means:
            raise DataError(
                f"{value!r} of {self.name} means nothing; add it to the flow's option `translated`", field=f"{CUSTOM}{self.name}", value=value
            )
        return self.means.get(value, "")

    def there(self, value: str) -> str:
        """Return the value that means this, empty where none does."""
        return next((one for one, meaning in self.means.items() if meaning == value), "")


@dataclass(frozen=True, slots=True)
class Rules:
    """Which fields two sides share beside those that every customer has, and which connection is the master of a field."""

    custom_fields: Sequence[str] = ()
    masters: Mapping[str, str] = field(default_factory=dict)
    others: Mapping[str, Other] = field(default_factory=dict)

    def master(self, name: str) -> str:
        """Return the connection whose word counts for a field, or NEWEST."""
        return self.masters.get(name, self.masters.get(EVERY_FIELD, NEWEST))

    def contents(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a customer says of each shared field."""
        found = {name: value[name] for name in (*TEXTS, *ADDRESSES)}
        return found | {f"{CUSTOM}{name}": self._custom(name, value["custom_fields"]) for name in self.custom_fields}

    def custom(self, name: str, value: str) -> dict[str, str]:
        """Return a shared field by each of its names."""
        other = self.others.get(name)
        return {name: value} if other is None else {name: value, other.name: other.there(value)}

    def _custom(self, name: str, said: Mapping[str, str]) -> str:
        other = self.others.get(name)
        if other is None:
            return said.get(name, "")
        if name not in said:
            return other.here(said.get(other.name, ""))
        if said[name] and not other.there(said[name]):
            raise DataError(f"{said[name]!r} is no {name}; add it to the flow's option `translated`", field=f"{CUSTOM}{name}", value=said[name])
        return said[name]


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer as all its sides have it; `version` is that of the last delivery."""

    sides: Mapping[str, Side] = field(default_factory=dict)
    stands: Mapping[str, Stand] = field(default_factory=dict)
    version: int = 0

    def told(self, value: CustomerChanged, rules: Rules) -> Customer:
        """Return the customer once a side said this; what it said before, and what is decided to stand, is no news.

        Nor is what it said before it was written last: its word on that follows.
        """
        meta, name = value["meta"], value["meta"]["connection"]
        side, stands = self.sides.get(name, Side()), dict(self.stands)
        if micros(meta["occurred_at"]) < side.at:
            return self
        before = self._contents(name, rules)
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
        sides = {**self.sides, name: replace(side, value=dict(value))}
        return replace(self, sides=sides, stands=stands)

    def _contents(self, name: str, rules: Rules) -> dict[str, Any]:
        """Return what a side is known to hold of each shared field, nothing where it is not known."""
        side = self.sides.get(name)
        return rules.contents(side.value) if side is not None and side.value else {}

    def differs(self, name: str, rules: Rules) -> bool:
        """Tell whether a side is not known to hold what stands."""
        held = self._contents(name, rules)
        return not held or any(not same(part, held[part], stand.value) for part, stand in self.stands.items() if part in held)

    def wanted(self, base: Mapping[str, Any], rules: Rules) -> dict[str, Any]:
        """Return an event with what stands in the place of what it says; of the custom fields only those that are shared."""
        found = {**base, "custom_fields": {}}
        for part, stand in self.stands.items():
            if part.startswith(CUSTOM):
                found["custom_fields"] |= rules.custom(part.removeprefix(CUSTOM), stand.value)
            elif part in ADDRESSES:
                found[part] = _with_names(stand.value, base[part])
            else:
                found[part] = stand.value
        return found

    def held(self, name: str, base: Mapping[str, Any], rules: Rules) -> dict[str, Any] | None:
        """Return an event with what a side is known to hold in the place of what it says, None where nothing is known of that side."""
        held = self._contents(name, rules)
        return replace(self, stands={part: Stand(value, 0, name) for part, value in held.items()}).wanted(base, rules) if held else None

    def asked(self, name: str, event_id: str) -> Customer:
        """Return the customer with a side asked to hold what stands, by the event of this id."""
        return replace(self, sides={**self.sides, name: replace(self.sides.get(name, Side()), asked=event_id)})

    def written(self, name: str, event_id: str, rules: Rules, at: int = 0) -> Customer:
        """Return the customer once a side holds what it was asked to, since `at` by its clock; as it is where it was asked something else since."""
        side = self.sides.get(name)
        if side is None or not event_id or side.asked != event_id:
            return self
        base = side.value or next(other.value for other in self.sides.values() if other.value)
        return replace(self, sides={**self.sides, name: Side(self.wanted(base, rules), at=max(at, side.at))})

    def dump(self) -> bytes:
        """Return it as bytes for the state."""
        sides = {name: [side.value, side.asked, side.at] for name, side in self.sides.items()}
        stands = {part: [stand.value, stand.at, stand.by] for part, stand in self.stands.items()}
        return orjson.dumps([sides, stands, self.version])

    @classmethod
    def load(cls, data: bytes | None) -> Customer:
        """Return what `dump` wrote, one of whom nothing is known where nothing was."""
        if data is None:
            return cls()
        sides, stands, version = orjson.loads(data)
        return cls(
            {name: Side(_with_times(value) if value else {}, *rest) for name, (value, *rest) in sides.items()},
            {part: Stand(*stand) for part, stand in stands.items()},
            version,
        )


def same(part: str, one: Any, other: Any) -> bool:  # noqa: ANN401 - a text or an address
    """Tell whether two contents of a field are one, however they are written."""
    if part in ADDRESSES:
        return plain_address(one) == plain_address(other)
    one, other = (" ".join(str(text or "").split()) for text in (one, other))
    shorter, longer = sorted((one, other), key=len)
    if len(shorter) >= CUT and longer.startswith(shorter):
        return True
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
