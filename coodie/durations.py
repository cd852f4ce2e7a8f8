"""
CqlDuration: a length of time in months, days and nanoseconds, which Python has no type for.

Rules that live here: the three parts are kept apart, since months and days differ in length; they have one sign, as CQL
wants it. Two durations are equal when their parts are; there is no order among them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_UNITS = {"y": 12, "mo": 1, "w": 7, "d": 1, "h": 3_600_000_000_000, "m": 60_000_000_000, "s": 1_000_000_000}
_UNITS.update({"ms": 1_000_000, "us": 1_000, "µs": 1_000, "ns": 1})
_TEXT = re.compile(r"(-?)((?:\d+(?:y|mo|w|d|h|ms|us|µs|ns|m|s))*)")
_PART = re.compile(r"(\d+)(\D+)")


@dataclass(frozen=True, slots=True)
class CqlDuration:
    """
    A value of CQL's ``duration``: months and days of 32 bits, nanoseconds of 64, none of another sign than the rest.

    ``CqlDuration(1, 2, 3)`` prints as ``1mo2d3ns``, which CQL takes.
    """

    months: int = 0
    days: int = 0
    nanoseconds: int = 0

    def __post_init__(self) -> None:
        parts = (self.months, self.days, self.nanoseconds)
        for part, bits in zip(parts, (31, 31, 63), strict=True):
            if isinstance(part, bool) or not isinstance(part, int):
                raise TypeError(f"CqlDuration takes integers, not {type(part).__name__}")
            if not -(1 << bits) <= part < 1 << bits:
                raise ValueError(f"CqlDuration takes -2**{bits} .. 2**{bits} - 1, not {part}")
        if min(parts) < 0 < max(parts):
            raise ValueError("CqlDuration takes months, days and nanoseconds of one sign")

    def __str__(self) -> str:
        parts = ((self.months, "mo"), (self.days, "d"), (self.nanoseconds, "ns"))
        text = "".join(f"{abs(part)}{unit}" for part, unit in parts if part)
        sign = "-" if min(self.months, self.days, self.nanoseconds) < 0 else ""
        return f"{sign}{text or '0ns'}"

    @classmethod
    def parse(cls, text: str) -> CqlDuration:
        """Return the duration of a text such as ``1y2mo3w4d5h6m7s8ms9us10ns``; ValueError for any other form."""
        found = _TEXT.fullmatch(text)
        if found is None:
            raise ValueError("takes a duration such as 1mo2d3ns")
        sign = -1 if found[1] else 1
        months = days = nanoseconds = 0
        for digits, unit in _PART.findall(found[2]):
            amount = sign * int(digits) * _UNITS[unit]
            if unit in ("y", "mo"):
                months += amount
            elif unit in ("w", "d"):
                days += amount
            else:
                nanoseconds += amount
        return cls(months, days, nanoseconds)
