"""
CQL's ``float``: 32 bits, where Python's has 64.

Rules that live here: a number is written rounded to 32 bits, and read as the shortest decimal that rounds to the same:
0.1 is stored as 0.100000001490116..., and comes back as 0.1. Numbers of up to six digits, and those that 32 bits hold
exactly, come back equal to what was saved; others were rounded when they were written.
"""

from __future__ import annotations

import struct

_FLOAT = struct.Struct("<f")
_EXACT_INTEGERS = float(1 << 24)
_LEAST_WITH_ALL_BITS = 2.0**-126  # numbers nearer to zero have fewer bits, and fewer digits


def in_32_bits(number: float) -> float:
    """Return a number rounded to 32 bits; OverflowError where it is too large for them."""
    rounded: float = _FLOAT.unpack(_FLOAT.pack(number))[0]
    return rounded


def shortest(number: float) -> float:
    """Return the number that the shortest decimal of 32 bits names; infinities and NaN as they are."""
    if -_EXACT_INTEGERS < number < _EXACT_INTEGERS and number.is_integer():
        return number
    stored = _FLOAT.pack(number)
    for digits in (6, 7, 8) if abs(number) > _LEAST_WITH_ALL_BITS else range(1, 9):
        short = float(f"{number:.{digits}g}")
        if _FLOAT.pack(short) == stored:
            return short
    return float(f"{number:.9g}")
