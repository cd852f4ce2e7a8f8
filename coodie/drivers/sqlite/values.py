"""
How a value of each CQL type is stored in SQLite, and read back as the declared Python type.

Rules that live here:

* Encoding checks: the wrong type or a value outside the CQL type's range is a ``TypeError`` or ``ValueError`` here,
  made into an ``InvalidQueryError`` that names the column by :func:`encode`. SQLite itself would store ``5`` in a TEXT
  column as ``'5'``.
* A key column's storage class sorts as the CQL type does: timestamps are integer milliseconds since 1970 (UTC), times
  integer nanoseconds, dates ISO text, booleans 0 and 1. ``timeuuid`` is stored in the field order of UUID version 6,
  which sorts by time, the signs of the last 8 bytes turned: Cassandra compares these as signed ones. What does not
  sort by itself (``uuid`` and ``inet`` as their canonical text, ``decimal`` and ``varint`` as text of any length) is
  compared by the collations of :mod:`coodie.drivers.sqlite.orders`.
* ``float`` is rounded to the 32 bits that it has on a server, and read as there; ``duration`` is text.
* SQLite has no NaN (it stores NULL), so NaN is refused.
"""

from __future__ import annotations

import ipaddress
import math
import operator
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

from coodie.durations import CqlDuration
from coodie.exceptions import InvalidQueryError
from coodie.floats import in_32_bits, shortest
from coodie.schema import Column, Table

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST, _SIGNS = 0xFFFF_FFFF_FFFF_FFFF, 0x8080_8080_8080_8080
INTEGER_BITS = {"tinyint": 8, "smallint": 16, "int": 32, "bigint": 64, "counter": 64}


@dataclass(frozen=True, slots=True)
class Storage:
    """
    How one CQL type is stored.

    ``decode`` None: what SQLite returns is the value. ``plain``: values of exactly this type need no encoding.
    """

    sql_type: str
    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any] | None = None
    plain: type[Any] | None = None
    numeric_text: bool = False


def _expect(value: Any, *allowed: type[Any]) -> None:
    if not isinstance(value, allowed):
        raise TypeError(f"takes {' or '.join(kind.__name__ for kind in allowed)}, not {type(value).__name__}")


def _text(value: Any) -> str:
    _expect(value, str)
    return value if type(value) is str else str.__str__(value)


def _ascii(value: Any) -> str:
    text = _text(value)
    if not text.isascii():
        raise ValueError("takes ASCII characters only")
    return text


def _integer(bits: int) -> Callable[[Any], int]:
    bound = 1 << (bits - 1)

    def encode_integer(value: Any) -> int:
        if isinstance(value, bool) or not hasattr(value, "__index__"):
            raise TypeError(f"takes int, not {type(value).__name__}")
        number = operator.index(value)
        if not -bound <= number < bound:
            raise ValueError(f"takes -2**{bits - 1} .. 2**{bits - 1} - 1")
        return number

    return encode_integer


def _varint(value: Any) -> str:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"takes int, not {type(value).__name__}")
    return str(operator.index(value))


def _real(value: Any) -> float:
    if isinstance(value, bool):
        raise TypeError("takes float, not bool")
    _expect(value, float, int)
    number = float(value)
    if math.isnan(number):
        raise ValueError("takes no NaN, which SQLite cannot store")
    return number


def _boolean(value: Any) -> int:
    _expect(value, bool)
    return int(value)


def _blob(value: Any) -> bytes:
    _expect(value, bytes, bytearray, memoryview)
    return bytes(value)


def _as_uuid(value: Any) -> uuid.UUID:
    _expect(value, uuid.UUID, str)
    return value if isinstance(value, uuid.UUID) else uuid.UUID(value)


def _uuid(value: Any) -> str:
    return str(_as_uuid(value))


def _timeuuid(value: Any) -> str:
    given = _as_uuid(value)
    if given.version != 1:
        raise ValueError("takes UUIDs of version 1")
    ticks = given.time
    fields = (ticks >> 28, (ticks >> 12) & 0xFFFF, 0x6000 | (ticks & 0xFFF))
    last = f"{(given.int & _LAST) ^ _SIGNS:016x}"
    return f"{fields[0]:08x}-{fields[1]:04x}-{fields[2]:04x}-{last[:4]}-{last[4:]}"


def _from_timeuuid(text: str) -> uuid.UUID:
    ticks = (int(text[:8], 16) << 28) | (int(text[9:13], 16) << 12) | (int(text[14:18], 16) & 0xFFF)
    low, middle, high = (ticks & 0xFFFFFFFF, (ticks >> 32) & 0xFFFF, 0x1000 | (ticks >> 48))
    last = int(text[19:23] + text[24:], 16) ^ _SIGNS
    return uuid.UUID(f"{low:08x}-{middle:04x}-{high:04x}-{last:016x}")


def _timestamp(value: Any) -> int:
    _expect(value, datetime)
    aware = value if value.tzinfo else value.replace(tzinfo=UTC)
    return int((aware - EPOCH) // timedelta(milliseconds=1))


def _from_timestamp(milliseconds: int) -> datetime:
    return EPOCH + timedelta(milliseconds=milliseconds)


def _date(value: Any) -> str:
    if isinstance(value, datetime):
        raise TypeError("takes date, not datetime")
    _expect(value, date)
    return str(value.isoformat())


def _time(value: Any) -> int:
    _expect(value, time)
    seconds = (value.hour * 60 + value.minute) * 60 + value.second
    return int((seconds * 1_000_000 + value.microsecond) * 1000)


def _from_time(nanoseconds: int) -> time:
    return (EPOCH + timedelta(microseconds=nanoseconds // 1000)).time()


def _decimal(value: Any) -> str:
    _expect(value, Decimal)
    if not value.is_finite():
        raise ValueError("takes finite numbers")
    return str(value)


def _inet(value: Any) -> str:
    _expect(value, ipaddress.IPv4Address, ipaddress.IPv6Address, str)
    return str(ipaddress.ip_address(value))


def _duration(value: Any) -> str:
    _expect(value, CqlDuration)
    return str(value)


_SCALARS: dict[str, Storage] = {
    "text": Storage("TEXT", _text, plain=str),
    "ascii": Storage("TEXT", _ascii),
    "float": Storage("REAL", lambda value: in_32_bits(_real(value)), shortest),
    "double": Storage("REAL", _real),
    "boolean": Storage("INTEGER", _boolean, bool),
    "blob": Storage("BLOB", _blob, plain=bytes),
    "uuid": Storage("TEXT", _uuid, uuid.UUID),
    "timeuuid": Storage("TEXT", _timeuuid, _from_timeuuid),
    "timestamp": Storage("INTEGER", _timestamp, _from_timestamp),
    "date": Storage("TEXT", _date, date.fromisoformat),
    "time": Storage("INTEGER", _time, _from_time),
    "decimal": Storage("TEXT", _decimal, Decimal, numeric_text=True),
    "varint": Storage("TEXT", _varint, int, numeric_text=True),
    "duration": Storage("TEXT", _duration, CqlDuration.parse),
    "inet": Storage("TEXT", _inet, ipaddress.ip_address),
}
_SCALARS["varchar"] = _SCALARS["text"]
_SCALARS.update({name: Storage("INTEGER", _integer(bits)) for name, bits in INTEGER_BITS.items()})
# An int beyond 64 bits cannot be bound at all (OverflowError), so the widest types may skip the check.
_SCALARS.update({name: Storage("INTEGER", _integer(64), plain=int) for name in ("bigint", "counter")})


@cache
def scalar(cql_type: str) -> Storage:
    """Return how a type that is no collection is stored; InvalidQueryError where SQLite cannot hold it."""
    found = _SCALARS.get(cql_type.strip().lower())
    if found is None:
        known = ", ".join(sorted(_SCALARS))
        raise InvalidQueryError(f"The SQLite store has no type {cql_type!r}; it has collections and {known}")
    return found


def encode(table: Table, column: Column, how: Callable[[Any], Any], value: Any) -> Any:
    """Return a value as it is stored, None as NULL; InvalidQueryError names the column and the value's fault."""
    if value is None:
        return None
    try:
        return how(value)
    except (TypeError, ValueError, ArithmeticError) as error:
        raise InvalidQueryError(
            f"Column {column.name!r} of table {table.name} ({column.cql_type}): {error}; nothing was written"
        ) from error
