"""Card data is emptied before anything is written; the rest of a body stays byte for byte as it came."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Sequence

import orjson

_STRING = rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)'  # one that is cut off ends with the body
_NUMBER = rb"-?[0-9][0-9.eE+-]*"
_KEY = re.compile(rb"(" + _STRING + rb")(\s*:\s*)?", re.DOTALL)
_SCALAR = re.compile(_STRING + rb"|" + _NUMBER + rb"|true|false", re.DOTALL)
_BRACKET = re.compile(_STRING + rb"|[{}\[\]]", re.DOTALL)
_DIGIT_GROUPS = re.compile(rb"[0-9]+(?:[ -][0-9]+)*")
_SHORTEST_CARD, _LONGEST_CARD = 13, 19
_MOST_GROUPS = 100
_STARRED = bytes(42 if 48 <= byte <= 57 else byte for byte in range(256))  # noqa: PLR2004 - ASCII 0 to 9, and *
_TO_NUMBERS = bytes(byte - 48 if 48 <= byte <= 57 else 0 for byte in range(256))  # noqa: PLR2004 - ASCII 0 to 9
_DOUBLED = bytes(byte * 2 - 9 if byte > 4 else byte * 2 for byte in range(10)) + bytes(246)  # noqa: PLR2004 - Luhn


def blank(body: bytes, fields: Sequence[str], *, is_json: bool = False) -> bytes:
    """Return `body` with the values of these JSON fields emptied; in a body that is not JSON, card-like numbers are struck out as well.

    `is_json` tells that the caller has parsed it.
    """
    encoding = "utf-8" if body.isascii() and b"\0" not in body else json.detect_encoding(body)
    if not encoding.startswith("utf-8"):
        try:
            text = body.decode(encoding).encode()
            blanked = blank(text, fields, is_json=is_json)
            return body if blanked == text else blanked.decode().encode(encoding)
        except UnicodeError:
            pass
    if is_json or _is_json(body):
        names = _names(tuple(fields))
        return _emptied(body, names) if _may_hold(body, names) else body
    if fields:
        either = b"|".join(re.escape(field.encode()) for field in fields)
        body = re.sub(rb'("(?:' + either + rb')"\s*:\s*)(?:' + _SCALAR.pattern + rb")", rb'\1""', body, flags=re.IGNORECASE | re.DOTALL)
    return _DIGIT_GROUPS.sub(_struck, body)


def _is_json(body: bytes) -> bool:
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:  # it is the stricter one
        try:
            json.loads(body)
        except (ValueError, RecursionError):
            return False
    return True


def _may_hold(body: bytes, names: frozenset[str]) -> bool:
    """Tell whether a name may stand anywhere in a JSON body: none does in most, and looking for it takes a thousandth of parsing it by hand."""
    if b"\\" in body and b"\\u" in body:  # a letter may be written so; one byte is found far faster than two
        return bool(names)
    text = body.lower().decode("ascii") if body.isascii() else body.decode("utf-8", "surrogatepass").casefold()
    return _shared(names) in text and any(name in text for name in names)


@functools.cache
def _names(fields: tuple[str, ...]) -> frozenset[str]:
    return frozenset(field.casefold() for field in fields)


@functools.cache
def _shared(names: frozenset[str]) -> str:
    """Return the longest text that stands in every name: where it does not stand, no name need be looked for."""
    first = min(names, default="")
    parts = (first[start:end] for start in range(len(first)) for end in range(start + 1, len(first) + 1))
    return max((part for part in parts if all(part in name for name in names)), key=len, default="")


def _emptied(body: bytes, names: frozenset[str]) -> bytes:
    kept, at = bytearray(), 0
    for key in _KEY.finditer(body):
        if key.start() < at or key.group(2) is None or _name(key.group(1)) not in names:
            continue
        scalar = _SCALAR.match(body, key.end())
        if scalar is not None:
            end = scalar.end()
        elif body[key.end()] in b"{[":
            end = _closed(body, key.end())
        else:  # null
            continue
        kept += body[at : key.end()] + b'""'
        at = end
    return bytes(kept + body[at:])


def _name(key: bytes) -> str:
    """Return a key as names are compared; few are written with escapes."""
    return str(json.loads(key) if b"\\" in key else key[1:-1].decode("utf-8", "surrogatepass")).casefold()


def _closed(body: bytes, start: int) -> int:
    """Return where the object or list that begins at `start` ends."""
    depth = 0
    for part in _BRACKET.finditer(body, start):
        depth += {b"{": 1, b"[": 1, b"}": -1, b"]": -1}.get(part.group(), 0)
        if depth == 0:
            return part.end()
    return len(body)


def _struck(match: re.Match[bytes]) -> bytes:
    """Return a run of digits with each card number in it struck out: groups side by side, of 13 to 19 digits that pass Luhn's check."""
    run = match.group()
    if len(run) < _SHORTEST_CARD:
        return run
    if run.count(b" ") + run.count(b"-") > _MOST_GROUPS:  # nothing that people write, and slow to search
        return run.translate(_STARRED)
    groups = list(re.finditer(rb"[0-9]+", run))
    struck, first = bytearray(run), 0
    while first < len(groups):
        last = _card(groups, first)
        for group in groups[first : last + 1]:
            struck[group.start() : group.end()] = b"*" * len(group.group())
        first = max(first, last) + 1
    return bytes(struck)


def _card(groups: list[re.Match[bytes]], first: int) -> int:
    """Return the last group of the longest card number that begins with the group `first`, -1 where none does."""
    digits, found = b"", -1
    for last in range(first, len(groups)):
        digits += groups[last].group()
        if len(digits) > _LONGEST_CARD:
            break
        if len(digits) >= _SHORTEST_CARD and _passes(digits):
            found = last
    return found


def _passes(digits: bytes) -> bool:
    backwards = digits.translate(_TO_NUMBERS)[::-1]
    return any(backwards) and (sum(backwards[::2]) + sum(backwards[1::2].translate(_DOUBLED))) % 10 == 0
