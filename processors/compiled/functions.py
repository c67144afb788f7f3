"""What compiled expressions call: zen's functions and operators on plain JSON values, or Unsure where only the engine knows the answer.

Numbers are ints and Decimals (zen's are 96-bit decimals that keep their places: `string(number('5.00'))` is `5.00`). A float, a number of more
than fifteen digits before the point, or anything that zen might round, is Unsure; so is whatever zen reports as an error.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_UP, Context, Decimal, Inexact, InvalidOperation, Overflow, Rounded
from typing import Any, Final

NUMERAL: Final = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,9})?").fullmatch
EXACT: Final = Context(prec=28, rounding=ROUND_HALF_UP, traps=[Inexact, InvalidOperation, Overflow, Rounded])
ROUNDING: Final = Context(prec=28, rounding=ROUND_HALF_UP, traps=[InvalidOperation])
PLACES: Final = 28
KEPT: Final = 10_000
"""Spelt numbers that are kept, about 2 MB."""
LARGEST: Final = 10**15
QUANTA: Final = tuple(Decimal(1).scaleb(-places) for places in range(10))
SPACES: Final = " \t\n\r\x0b\x0c"

Number = int | Decimal


class Unsure(Exception):  # noqa: N818 - no error: zen-engine is asked instead
    """Only zen-engine knows what comes of this value."""


def truth(value: Any) -> bool:  # noqa: ANN401 - any JSON value, as in all of these
    """Return a bool as it is; zen takes nothing else for a condition."""
    if value is True or value is False:
        return bool(value)
    raise Unsure


def numeric(value: Any) -> Number:  # noqa: ANN401
    """Return a number as it is, within the bounds that are certain; Decimals are made here only, within them."""
    if type(value) is Decimal or (type(value) is int and -LARGEST < value < LARGEST):
        return value
    raise Unsure


def sequence(value: Any) -> list[Any]:  # noqa: ANN401
    """Return a list as it is."""
    if type(value) is list:
        return value
    raise Unsure


def words(value: Any) -> str:  # noqa: ANN401
    """Return a string as it is."""
    if type(value) is str:
        return value
    raise Unsure


def plain_words(value: Any) -> str:  # noqa: ANN401
    """Return an ASCII string as it is; beyond ASCII, Python and Rust may know other editions of Unicode."""
    if type(value) is str and value.isascii():
        return value
    raise Unsure


def member(value: Any, key: Any) -> Any:  # noqa: ANN401
    """Return `value[key]`, None where there is none."""
    if type(value) is dict:
        return value.get(key) if type(key) is str else None
    if type(key) is not int:
        if type(key) is Decimal or type(key) is float:
            raise Unsure
        return None
    if key < 0:
        raise Unsure
    if type(value) is str:
        value = plain_words(value)
    elif type(value) is not list:
        return None
    return value[key] if key < len(value) else None


def same(one: Any, other: Any) -> bool:  # noqa: ANN401
    """Tell whether two values are of one type and equal; lists and objects never are."""
    if type(one) is float or type(other) is float:
        raise Unsure
    if one is None or type(one) is bool:
        return one is other
    if type(one) is str:
        return type(other) is str and one == other
    return isinstance(one, int | Decimal) and type(other) is not bool and isinstance(other, int | Decimal) and one == other


def within(value: Any, things: Any) -> bool:  # noqa: ANN401
    """Tell whether a list holds a value, or an object a key."""
    if type(value) is list or type(value) is dict:
        raise Unsure
    if type(things) is list:
        return any(same(value, thing) for thing in things)
    if type(things) is dict:
        return words(value) in things
    raise Unsure


def number(value: Any) -> Number:  # noqa: ANN401
    """Return the number that a string spells, places kept."""
    return spelt(value) if type(value) is str else numeric(value)


@functools.lru_cache(KEPT)
def spelt(value: str) -> Decimal:
    """Return the number that a string spells, places kept."""
    if NUMERAL(value) is None:
        raise Unsure
    found = Decimal(value)
    if found or value[0] != "-":
        return found
    raise Unsure


def text(value: Any) -> str:  # noqa: ANN401
    """Return the text of a string, number, bool or null."""
    kind = type(value)
    if kind is str:
        return value  # type: ignore[no-any-return]
    if value is None:
        return "null"
    if kind is bool:
        return "true" if value else "false"
    return f"{numeric(value):f}" if kind is Decimal else str(numeric(value))


def add(one: Any, other: Any) -> Any:  # noqa: ANN401
    """Return the sum of two numbers, or one string after the other."""
    return one + other if type(one) is str and type(other) is str else _exact(EXACT.add, one, other)


def subtract(one: Any, other: Any) -> Number:  # noqa: ANN401
    """Return the difference of two numbers."""
    return _exact(EXACT.subtract, one, other)


def multiply(one: Any, other: Any) -> Number:  # noqa: ANN401
    """Return the product of two numbers."""
    return _exact(EXACT.multiply, one, other)


def _exact(operation: Callable[[Decimal, Decimal], Decimal], one: Any, other: Any) -> Number:  # noqa: ANN401
    found = operation(Decimal(numeric(one)), Decimal(numeric(other)))
    if not found or any(type(value) is Decimal and not value for value in (one, other)):
        raise Unsure  # of zero, zen may drop the places
    if abs(found) >= LARGEST or int(found.as_tuple().exponent) < -PLACES:
        raise Unsure
    return found


def remainder(one: Any, other: Any) -> Decimal | None:  # noqa: ANN401
    """Return what is left of a division, with the sign of `one`; None for a division by zero. Its places are not zen's."""
    return EXACT.remainder(Decimal(numeric(one)), Decimal(other)) if numeric(other) else None


def spelt_remainder(value: Any, other: int) -> Decimal | None:  # noqa: ANN401
    """Return the remainder of the number that a value spells."""
    return _spelt_remainder(value, other) if type(value) is str else remainder(number(value), other)


@functools.lru_cache(KEPT)
def _spelt_remainder(value: str, other: int) -> Decimal | None:
    return remainder(spelt(value), other)


def negated(value: Any) -> Number:  # noqa: ANN401
    """Return a number with the other sign."""
    if not numeric(value):
        raise Unsure
    return -numeric(value)


def rounded(value: Any, places: int = 0) -> Number:  # noqa: ANN401
    """Return a number with at most so many places, halves away from zero."""
    given = numeric(value)
    if isinstance(given, int) or -int(given.as_tuple().exponent) <= places:
        return given
    found = ROUNDING.quantize(given, QUANTA[places])
    if not found and given < 0:
        raise Unsure
    return found


def floor(value: Any) -> int:  # noqa: ANN401
    """Return the greatest whole number that is not above this one."""
    return math.floor(numeric(value))


def absolute(value: Any) -> Number:  # noqa: ANN401
    """Return a number without its sign."""
    found = numeric(value)
    return found if found >= 0 else -found


def largest(values: Any) -> Number:  # noqa: ANN401
    """Return the greatest of a list, of equal ones the last."""
    return max(numeric(value) for value in reversed(sequence(values)))


def smallest(values: Any) -> Number:  # noqa: ANN401
    """Return the least of a list, of equal ones the first."""
    return min(numeric(value) for value in sequence(values))


def total(values: Any) -> Number:  # noqa: ANN401
    """Return the sum of a list."""
    found: Number = 0
    for value in sequence(values):
        found = _exact(EXACT.add, found, value)
    return found


def length(value: Any) -> int:  # noqa: ANN401
    """Return how many things a list has, or bytes a string."""
    return len(value) if type(value) is list else len(words(value).encode())


def merge(values: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return one object of the fields of several; nulls are passed over."""
    found: dict[str, Any] = {}
    for value in sequence(values):
        found.update(fields(value))
    return found


def fields(value: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return the fields of an object, or of null, which has none."""
    if type(value) is dict:
        return value
    if value is None:
        return {}
    raise Unsure


def flattened(values: Sequence[Any]) -> list[Any]:
    """Return a list with the lists in it opened, one level deep."""
    found: list[Any] = []
    for value in values:
        if type(value) is list:
            found += value
        else:
            found.append(value)
    return found


def otherwise(value: Any, other: Callable[[], Any]) -> Any:  # noqa: ANN401
    """Return a value, the other one where it is null."""
    return other() if value is None else value


def contains(things: Any, value: Any) -> bool:  # noqa: ANN401
    """Tell whether a string has another in it, or a list a value."""
    return words(value) in things if type(things) is str else any(same(thing, value) for thing in sequence(things))


def put(context: dict[str, Any], name: str, value: Any) -> None:  # noqa: ANN401
    """Set a field that a node adds to its input; null takes it away, and objects would be merged."""
    if value is None:
        context.pop(name, None)
    elif type(value) is dict:
        raise Unsure
    else:
        context[name] = value


def absent(context: dict[str, Any], name: str) -> None:
    """Make sure that a field is not there."""
    if name in context:
        raise Unsure
