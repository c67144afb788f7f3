"""Numbers and decimals as Avro encodes them: what the readers and writers that are made of schemas call."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from decimal import Context, Decimal
from typing import Final

DECIMAL: Final = "towpath-decimal"
"""How parsed schemas name Avro's `decimal`, so that fastavro's own way with it is not taken; the files keep the standard name."""
LONGEST_DECIMAL: Final = 16
MORE_FOLLOW: Final = 0x80
"""The bit of a number's byte that says that more follow."""
LONGEST_LONG: Final = 70
"""Bits of the ten bytes that 64 bits take."""
MORE: Final = 0x8080808080808080
EIGHT_BYTES: Final = MORE >> 8
"""Of eight bytes, the bits that say that more follow; and as they are in a number of just eight."""
MOST_AMOUNTS: Final = 10_000
"""About 2 MB of them."""
SIZES: Final = tuple(0 if first & 129 else (first >> 1) + 1 for first in range(256))
"""By the first byte of what is read after its length, how many bytes it takes with that one; 0: more bytes say so, or it is negative."""
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Amounts(dict[bytes, Decimal]):
    """Decimals by the bytes that they stand in; the same few amounts come again and again."""

    def __init__(self, precision: int, scale: int) -> None:
        super().__init__()
        self._largest, self._scale, self._context = 10**precision, scale, Context(prec=precision)

    def __missing__(self, data: bytes) -> Decimal:
        unscaled = int.from_bytes(data[: LONGEST_DECIMAL + 1], "big", signed=True)
        if len(data) > LONGEST_DECIMAL or not -self._largest < unscaled < self._largest:
            raise ValueError("a decimal of too many digits")
        if len(self) >= MOST_AMOUNTS:
            self.clear()
        found = self[data] = self._context.scaleb(Decimal(unscaled), -self._scale)
        return found


@functools.cache
def amounts_of(precision: int, scale: int) -> Amounts:
    """Return the decimals of a type, kept for all that read it."""
    return Amounts(precision, scale)


def long_at(data: bytes, at: int) -> tuple[int, int]:
    """Return a zigzag number and where it ends."""
    word = int.from_bytes(data[at : at + 8], "little")
    if word & MORE == EIGHT_BYTES:  # microseconds of our days: all eight groups of seven bits at once
        word = (word & 0x7F007F007F007F) | (word & 0x7F007F007F007F00) >> 1
        word = (word & 0x3FFF00003FFF) | (word & 0x3FFF00003FFF0000) >> 2
        word = (word & 0xFFFFFFF) | (word & 0xFFFFFFF00000000) >> 4
        return (word >> 1) ^ -(word & 1), at + 8
    shift = found = 0
    while True:
        byte = data[at]
        at += 1
        found |= (byte & 0x7F) << shift
        if byte < MORE_FOLLOW:
            break
        shift += 7
        if shift >= LONGEST_LONG:
            raise ValueError("an endless number")
    if found >= 1 << 64:
        raise ValueError("a number of more than 64 bits")
    return (found >> 1) ^ -(found & 1), at


def size_at(data: bytes, at: int) -> tuple[int, int]:
    """Return a number that must not be negative, and where it ends."""
    first, second = data[at], data[at + 1]
    if first & 129 == MORE_FOLLOW and second < MORE_FOLLOW:  # as nearly every size that does not fit into one byte
        return (first & 0x7F) >> 1 | second << 6, at + 2
    size, at = long_at(data, at)
    if size < 0:
        raise ValueError("a negative size")
    return size, at
