"""An event as mappings see it: JSON with amounts as decimal strings in the currency's places and times as ISO 8601 UTC, never a float."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final, get_args, get_origin, get_type_hints, is_typeddict

import orjson

from processors.rules import decimal_places
from towpath import shapes
from towpath.errors import DataError
from towpath.events import decimal_text

COUNTS: Final = frozenset({"quantity", "received"})
PRICES: Final = frozenset({"unit_price", "unit_cost", "price"})
"""Prices keep every place the source gave, at least their currency's; all other decimals but counts are amounts and get exactly those."""
ZERO: Final = Decimal(0)
KEPT: Final = 10_000
"""Texts of amounts that are kept, about 3 MB; the same few come again and again."""
FOUR_DIGITS: Final = 1000
"""From this year on, isoformat and strftime agree."""


def plain(value: Any, currency: str | None) -> Any:  # noqa: ANN401 - any part of an event
    """Return a part of an event as JSON has it: decimals and times become strings, so no amount passes through a float."""
    return orjson.loads(orjson.dumps(strings(value, currency)))


def strings(value: Any, currency: str | None, name: str = "") -> Any:  # noqa: ANN401 - any part of an event
    """Return a part of an event with its decimals and times as strings; `name` is the field it stands in. Raises DataError naming the field."""
    kind = type(value)
    if kind is str or kind is int or value is None:
        return value
    if kind is Decimal:
        return _decimal(value, name, currency)
    if kind is dict:
        return {
            key: part if (kind := type(part)) is str else _decimal(part, key, currency) if kind is Decimal else strings(part, currency, key)
            for key, part in value.items()
        }
    if kind is list:
        return [part if type(part) is str else strings(part, currency, name) for part in value]
    if isinstance(value, Mapping):
        return strings(dict(value), currency, name)
    return _moment(value) if isinstance(value, datetime) else value


@functools.cache
def strings_of(kind: str) -> Callable[[Mapping[str, Any], str | None], dict[str, Any]]:
    """Return what does as `strings` with a decoded event of this type, but for its meta, which stays: only what its shape calls for is looked at.

    Parts without amounts and times are not copied.
    """
    lines = [f"    found[{name!r}] = {source}" for name, source in _made(getattr(shapes, kind), "found") if name != "meta"]
    namespace: dict[str, Any] = {"_decimal": _decimal, "_moment": _moment}
    source = "\n".join(["def convert(value, currency):", "    found = {**value}", *lines, "    return found"])
    exec(compile(source, "<strings>", "exec"), namespace)  # noqa: S102 - our own source: names are those of our shapes
    convert: Callable[[Mapping[str, Any], str | None], dict[str, Any]] = namespace["convert"]
    return convert


def _made(shape: Any, value: str) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - a typed dictionary
    """Yield the fields of a shape that are not JSON as they are, with the source of what is made of them."""
    for name, hint in get_type_hints(shape).items():
        inner = hint
        part = f"{value}[{name!r}]"
        if type(None) in get_args(hint):
            (inner,) = set(get_args(hint)) - {type(None)}
        source = _source(name, inner, part)
        if source is not None:
            yield name, source if inner is hint else f"None if {part} is None else {source}"


def _source(name: str, hint: Any, part: str) -> str | None:  # noqa: ANN401 - any type of a field
    if hint is Decimal:
        return f"_decimal({part}, {name!r}, currency)"
    if hint is datetime:
        return f"_moment({part})"
    if get_origin(hint) is list and is_typeddict(get_args(hint)[0]):
        made = ", ".join(f"{field!r}: {source}" for field, source in _made(get_args(hint)[0], "part"))
        return f"[{{**part, {made}}} for part in {part}]" if made else None
    if is_typeddict(hint) and (found := dict(_made(hint, part))):
        return f"{{**{part}, {', '.join(f'{field!r}: {source}' for field, source in found.items())}}}"
    return None


@functools.lru_cache(KEPT)
def _decimal(value: Decimal, name: str, currency: str | None) -> str:
    """Return an amount's text; equal amounts have one text, however they are written."""
    if name in COUNTS or currency is None:
        return decimal_text(value)
    try:
        rounded = value.quantize(_minor_unit(currency)) + ZERO  # no minus before zero
    except InvalidOperation as error:
        raise DataError(f"{name} is no possible amount: {value:E}", field=name, value=f"{value:E}") from error
    return decimal_text(value) if name in PRICES and rounded != value else str(rounded)  # so few places are never written with an exponent


@functools.cache
def _minor_unit(currency: str) -> Decimal:
    return Decimal(1).scaleb(-decimal_places(currency))


def _moment(value: datetime) -> str:
    if value.tzinfo is UTC and value.year >= FOUR_DIGITS:
        return value.isoformat("T", "microseconds")[:-6] + "Z"  # instead of +00:00
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
