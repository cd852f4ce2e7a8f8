"""
Every type a field may have, with the values at its edges: the table that the round trips walk.

Rules that live here: a value stands for itself, or beside what is read where the two differ.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Any, Literal, NewType
from uuid import UUID, uuid1

from pydantic import AwareDatetime, Field, GetCoreSchemaHandler, StringConstraints
from pydantic_core import CoreSchema, core_schema

from coodie import CqlDuration
from coodie.fields import Ascii, BigInt, Double, Duration, Frozen, SmallInt, Time, TimeUUID, TinyInt, VarInt


class Colour(enum.Enum):
    """Stored as text."""

    RED = "red"


class Size(enum.Enum):
    """Stored as a number."""

    BIG = 7


class Mood(enum.StrEnum):
    """A text by itself."""

    GOOD = "good"


class Level(enum.IntEnum):
    """A number by itself."""

    HIGH = 3


class Slug(str):
    """A kind of text that pydantic can make."""

    __slots__ = ()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Make it of any text."""
        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema())


class Points(int):
    """A kind of number that pydantic can make."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Make it of any number."""
        return core_schema.no_info_after_validator_function(cls, core_schema.int_schema())


UserNumber = NewType("UserNumber", int)


@dataclass(frozen=True)
class Read:
    """A value and what is read where it was saved."""

    saved: Any
    read: Any


NOON = datetime(2024, 5, 1, 12, 30, 15, 123_000, tzinfo=UTC)
EAST = timezone(timedelta(hours=5, minutes=30))
ID, MOMENT_ID = UUID("aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"), uuid1()
MOMENTS = [
    NOON,
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(1, 1, 1, 0, 0, 0, 999_000, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC),
    datetime(2300, 7, 1, 1, 2, 3, 7_000, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC),
    Read(NOON.astimezone(EAST), NOON),
    Read(datetime(9999, 12, 31, 23, 59, 59, 999_999, EAST), datetime(9999, 12, 31, 18, 29, 59, 999_000, tzinfo=UTC)),
    Read(NOON + timedelta(microseconds=999), NOON),
    Read(
        datetime(1969, 12, 31, 23, 59, 59, 999_500, tzinfo=UTC), datetime(1969, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)
    ),
]
DECIMALS = [
    *map(Decimal, ["1.50", "-1.50", "0", "0.00", "1E+3", "1E-30", "12345678901234567890.123456789", "-128", "0.128"]),
    Decimal("9" * 4_000),
    Read(Decimal("-0.00"), Decimal("0.00")),
]
INTEGERS = [0, 127, 128, -128, -129, 2**31, 2**64, -(2**64), 7**5_000, -(7**5_000)]

TYPES: dict[str, tuple[Any, list[Any]]] = {
    "text": (str, ["", "text", "a\0b", "\u00e9", "e\u0301", "\N{SNOWMAN}\N{GRINNING FACE}", "x" * 70_000, "'\"\\\n"]),
    "text_ascii": (Annotated[str, Ascii()], ["", "plain\0"]),
    "text_limited": (Annotated[str, StringConstraints(min_length=1)], ["some"]),
    "text_slug": (Slug, [Slug("a-b")]),
    "text_literal": (Literal["on", "off"], ["on"]),
    "int_plain": (int, [0, 2**31 - 1, -(2**31)]),
    "int_big": (Annotated[int, BigInt()], [2**63 - 1, -(2**63)]),
    "int_small": (Annotated[int, SmallInt()], [2**15 - 1, -(2**15)]),
    "int_tiny": (Annotated[int, TinyInt()], [127, -128]),
    "int_var": (Annotated[int, VarInt()], INTEGERS),
    "int_limited": (Annotated[int, Field(ge=0)], [5]),
    "int_points": (Points, [Points(5)]),
    "int_new": (UserNumber, [5]),
    "float_plain": (
        float,
        [0.0, 0.1, -2.5, 1e-6, 16777217.0 - 1, 3.4028235e38, math.inf, -math.inf, Read(1 / 3, 0.33333334)],
    ),
    "float_double": (Annotated[float, Double()], [0.1, 1 / 3, 5e-324, 1.7976931348623157e308, math.inf]),
    "bool": (bool, [True, False]),
    "bytes": (bytes, [b"", b"\0\xff", b"x" * 70_000]),
    "uuid": (UUID, [ID]),
    "uuid_time": (Annotated[UUID, TimeUUID()], [MOMENT_ID]),
    "moment": (datetime, [*MOMENTS, Read(NOON.replace(tzinfo=None), NOON)]),
    "moment_aware": (AwareDatetime, MOMENTS),
    "day": (date, [date(2024, 2, 29), date(1, 1, 1), date(1969, 12, 31), date(9999, 12, 31)]),
    "clock": (time, [time(0), time(1, 2, 3, 4), time(23, 59, 59, 999_999)]),
    "clock_marked": (Annotated[time, Time()], [time(12)]),
    "decimal": (Decimal, DECIMALS),
    "address_4": (IPv4Address, [IPv4Address("10.0.0.1"), IPv4Address("0.0.0.0")]),
    "address_6": (IPv6Address, [IPv6Address("::1"), IPv6Address("2001:db8::ff")]),
    "address": (IPv4Address | IPv6Address, [IPv4Address("10.0.0.1"), IPv6Address("::1")]),
    "duration": (
        CqlDuration,
        [
            CqlDuration(1, 2, 3),
            CqlDuration(-1, -2, -3),
            CqlDuration(),
            CqlDuration(2**31 - 1, 2**31 - 1, 2**63 - 1),
            CqlDuration(nanoseconds=-1),
        ],
    ),
    "duration_marked": (Annotated[CqlDuration, Duration()], [CqlDuration(12)]),
    "enum_text": (Colour, [Read(Colour.RED, "red")]),
    "enum_number": (Annotated[Size, TinyInt()], [Read(Size.BIG, 7)]),
    "enum_str": (Mood, [Read(Mood.GOOD, "good")]),
    "enum_int": (Level, [Read(Level.HIGH, 3)]),
    "list_text": (list[str], [["b", "a", "b", ""]]),
    "list_float": (list[float], [[0.1, 2.5]]),
    "list_decimal": (list[Decimal], [[Decimal("1.50"), Decimal("1E-30")]]),
    "list_moment": (list[datetime], [MOMENTS[:5]]),
    "list_duration": (list[CqlDuration], [[CqlDuration(1, 2, 3), CqlDuration()]]),
    "list_bytes": (list[bytes], [[b"", b"\0"]]),
    "list_var": (list[Annotated[int, VarInt()]], [INTEGERS[:-2]]),
    "list_of_lists": (list[list[int]], [[[1, 2], [], [3]]]),
    "list_of_dicts": (list[dict[str, int]], [[{"a": 1}, {}]]),
    "list_of_sets": (list[set[int]], [[{1, 2}, set()]]),
    "list_frozen": (Annotated[list[int], Frozen()], [[], [1, 2]]),
    "list_enum": (list[Mood], [Read([Mood.GOOD], ["good"])]),
    "set_int": (set[Annotated[int, BigInt()]], [{1, 2**40}]),
    "set_address": (set[IPv4Address], [{IPv4Address("10.0.0.1")}]),
    "set_day": (set[date], [{date(2024, 1, 1), date(1, 1, 1)}]),
    "set_of_tuples": (set[tuple[int, str]], [{(1, "a"), (2, "b")}]),
    "set_of_sets": (set[frozenset[int]], [{frozenset({1, 2}), frozenset()}]),
    "set_frozen": (frozenset[str], [frozenset({"a", "b"}), frozenset()]),
    "dict_text": (dict[str, int], [{"a": 1, "": -1}]),
    "dict_uuid": (dict[UUID, Annotated[int, VarInt()]], [{ID: 2**70}]),
    "dict_moment": (dict[datetime, Decimal], [{NOON: Decimal("1.50")}]),
    "dict_nested": (dict[str, dict[str, list[int]]], [{"a": {"b": [1]}}]),
    "dict_by_set": (dict[frozenset[str], list[CqlDuration]], [{frozenset({"a"}): [CqlDuration(1)]}]),
    "dict_by_tuple": (dict[tuple[int, int], bytes], [{(1, 2): b"x"}]),
    "tuple": (tuple[int, str], [(1, "a"), (-1, "")]),
    "tuple_with_none": (
        tuple[int | None, str | None, IPv4Address | None],
        [(1, None, None), (None, "a", None), (None,) * 3],
    ),
    "tuple_nested": (tuple[list[int], tuple[UUID, time], Decimal], [([1], (ID, time(1)), Decimal("1.50"))]),
    "tuple_of_many": (
        tuple[float, datetime, date, bool, bytes, CqlDuration],
        [(0.1, NOON, date(2024, 1, 1), True, b"x", CqlDuration(1, 2, 3))],
    ),
}
"""Name -> annotation, values."""


def read_of(value: Any) -> Any:
    """Return what is read where a value was saved."""
    return value.read if isinstance(value, Read) else value


def saved_of(value: Any) -> Any:
    """Return what is saved."""
    return value.saved if isinstance(value, Read) else value


def stored_of(value: Any) -> Any:
    """Return a value without the class that pydantic makes it of."""
    return {Slug: str, Points: int}.get(type(value), lambda same: same)(value)


def shape_of(value: Any) -> Any:
    """Return a value in a form that is equal only where the types are too, inside collections as well."""
    if isinstance(value, dict):
        return type(value), sorted((repr(shape_of(key)), shape_of(each)) for key, each in value.items())
    if isinstance(value, set | frozenset):
        return type(value), sorted(repr(shape_of(each)) for each in value)
    if isinstance(value, list | tuple):
        return type(value), [shape_of(each) for each in value]
    return type(value), value.as_tuple() if isinstance(value, Decimal) else value
