"""
The one canonical form of a key value.

Rules that live here:

* Equal keys get one spelling, so that what merges in memory is one row in every database: a UUID and its text, a naive
  and an aware UTC time, a mutable collection and its frozen copy. Text is never normalised: two Unicode spellings are
  two keys.
* What no database would take as a key is refused here, before it can fail a whole flush. Texts never show the value.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Any
from uuid import UUID

from coodie.durations import CqlDuration
from coodie.exceptions import InvalidQueryError
from coodie.floats import in_32_bits
from coodie.type_text import collection_of

if TYPE_CHECKING:
    from coodie.schema import Column

KEY_BYTES_MAX = 65_535
_KEY_DIGITS_MAX = 157_820
"""No decimal of more digits fits ``KEY_BYTES_MAX``; the exact size of a longer one would take seconds to find."""


def canonical(column: Column, value: Any) -> Any:
    """
    Check one value for its column and return its canonical form, hashable and unchangeable.

    Raises ``InvalidQueryError`` naming the column, never the value, for what the column cannot hold: None, another
    type, an integer out of range, text with a lone surrogate, a key above 65,535 bytes.
    """
    if type(value) is str and column.cql_type == "text":
        return _text(column, value)
    if isinstance(value, Enum):
        value = value.value
    check = _CHECKS.get(column.cql_type)
    if value is None:
        raise refused(column, "cannot be compared with, or keyed by, None")
    return check(column, value) if check else _frozen(column, value)


def encoded_size(cql_type: str, value: Any) -> int:
    """Return how many bytes a canonical value takes as a value of its type, without the length that precedes it."""
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode())
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, tuple | frozenset):
        kind, inner = collection_of(cql_type)
        head, types = (0, inner) if kind == "tuple" else (4, inner * len(value))
        return head + sum(4 + encoded_size(*element) for element in zip(types, value, strict=True))
    if cql_type == "decimal":
        sign, digits, _ = value.as_tuple()
        return 4 + _varint_size(int(Decimal((sign, digits, 0))))
    if cql_type == "inet":
        return len(value.packed)
    return _varint_size(value) if cql_type == "varint" else _WIDTHS.get(cql_type, 8)


def _varint_size(number: int) -> int:
    return (number if number >= 0 else ~number).bit_length() // 8 + 1


def refused(column: Column, why: str) -> InvalidQueryError:
    """Return the error of a value that a column does not take."""
    return InvalidQueryError(f"Column '{column.name}' ({column.cql_type}) {why}; nothing was sent")


def wrong_type(column: Column, value: Any, wanted: str) -> InvalidQueryError:
    """Return the error of a value of a type that a column does not take."""
    return refused(column, f"takes {wanted}, not {type(value).__name__}")


def _sized(column: Column, value: Any, size: int) -> Any:
    if size > KEY_BYTES_MAX and column.is_key:
        raise refused(column, f"takes at most {KEY_BYTES_MAX} bytes as a key, not {size}")
    return value


def _text(column: Column, value: Any) -> str:
    if not isinstance(value, str):
        raise wrong_type(column, value, "str")
    text = value if type(value) is str else str.__str__(value)
    try:
        size = len(text) if text.isascii() else len(text.encode())
    except UnicodeEncodeError:
        raise refused(column, "cannot hold a lone surrogate") from None
    if column.cql_type == "ascii" and not text.isascii():
        raise refused(column, "takes 7-bit characters only")
    return _sized(column, text, size)  # type: ignore[no-any-return]  # it gives back what it is given


def _blob(column: Column, value: Any) -> bytes:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise wrong_type(column, value, "bytes")
    return _sized(column, bytes(value), len(value))  # type: ignore[no-any-return]  # it gives back what it is given


def _integer(column: Column, value: Any) -> int:
    if isinstance(value, bool):
        raise wrong_type(column, value, "int")
    try:
        number = operator.index(value)
    except TypeError:
        raise wrong_type(column, value, "int") from None
    bits = INTEGER_BITS[column.cql_type]
    if bits and not -(1 << bits) <= number < 1 << bits:
        raise refused(column, f"takes integers from -2**{bits} to 2**{bits} - 1")
    return number if bits else _sized(column, number, _varint_size(number))


def _boolean(column: Column, value: Any) -> bool:
    if not isinstance(value, bool):
        raise wrong_type(column, value, "bool")
    return value


def _real(column: Column, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong_type(column, value, "float")
    try:
        number = float(value) + 0.0  # -0.0 and 0.0 are equal in Python and two keys in a database
        if column.cql_type == "float":
            number = in_32_bits(number) + 0.0  # what rounds to zero has lost its sign too
    except OverflowError:
        raise refused(column, "takes numbers within its width") from None
    if math.isnan(number):
        raise refused(column, "cannot be compared with, or keyed by, NaN")
    return number


def _decimal(column: Column, value: Any) -> Decimal:
    if not isinstance(value, Decimal) or not value.is_finite():
        raise wrong_type(column, value, "a finite Decimal")
    exact = _shortest(value) if column.is_key else value or value.copy_abs()  # a stored zero has no sign
    _, digits, exponent = exact.as_tuple()
    if not -(2**31) < int(exponent) <= 2**31:  # its negation is stored, in 32 bits
        raise refused(column, "takes exponents from -2**31 + 1 to 2**31")
    if not column.is_key:
        return exact
    if len(digits) > _KEY_DIGITS_MAX:
        raise refused(column, f"takes at most {KEY_BYTES_MAX} bytes as a key, not {len(digits)} digits")
    return _sized(column, exact, encoded_size("decimal", exact))  # type: ignore[no-any-return]  # it gives back what it is given


def _shortest(value: Decimal) -> Decimal:
    """Take trailing zeros off: 1.0 and 1.00 are equal in Python and two partition keys in Cassandra."""
    if not value:
        return Decimal(0)
    sign, digits, exponent = value.as_tuple()  # Decimal.normalize() would round
    kept = len(digits)
    while digits[kept - 1] == 0:
        kept -= 1
    return Decimal((sign, digits[:kept], int(exponent) + len(digits) - kept))


def _uuid(column: Column, value: Any) -> UUID:
    if isinstance(value, str):
        try:
            value = UUID(value)
        except ValueError:
            raise refused(column, "takes a UUID or its text") from None
    if not isinstance(value, UUID):
        raise wrong_type(column, value, "a UUID or its text")
    if column.cql_type == "timeuuid" and value.version != 1:
        raise refused(column, "takes version 1 UUIDs only")
    return value


def _timestamp(column: Column, value: Any) -> datetime:
    if not isinstance(value, datetime):
        raise wrong_type(column, value, "datetime")
    try:
        moment = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        raise refused(column, "takes times between the years 1 and 9999 of UTC") from None
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000, fold=0)


def _date(column: Column, value: Any) -> date:
    if not isinstance(value, date) or isinstance(value, datetime):
        raise wrong_type(column, value, "date")
    return value


def _time(column: Column, value: Any) -> time:
    if not isinstance(value, time) or value.tzinfo is not None:
        raise wrong_type(column, value, "a time without zone")
    return value


def _duration(column: Column, value: Any) -> CqlDuration:
    if not isinstance(value, CqlDuration):
        raise wrong_type(column, value, "a CqlDuration")
    return value


def _address(column: Column, value: Any) -> IPv4Address | IPv6Address:
    if isinstance(value, str):
        try:
            value = ip_address(value)
        except ValueError:
            raise refused(column, "takes an IP address or its text") from None
    if not isinstance(value, IPv4Address | IPv6Address):
        raise wrong_type(column, value, "an IP address or its text")
    if isinstance(value, IPv6Address) and value.scope_id is not None:
        raise refused(column, "takes IPv6 addresses without a scope ('%...')")  # only SQLite could keep it
    if isinstance(value, IPv6Address) and value.ipv4_mapped is not None:  # Cassandra finds it by = alone, not by IN
        raise refused(column, "takes no IPv4 address inside an IPv6 one ('::ffff:...'): give the IPv4 address")
    return value


def _frozen(column: Column, value: Any) -> Any:
    """Copy a collection into one that cannot change under whoever keeps it, its elements canonical too."""
    copy = _copied(column, value)
    return _sized(column, copy, encoded_size(column.cql_type, copy)) if column.is_key else copy


def _copied(column: Column, value: Any) -> Any:
    kind, inner = collection_of(column.cql_type)
    if kind == "set" and isinstance(value, set | frozenset):
        return frozenset(canonical(replace(column, cql_type=inner[0]), element) for element in value)
    if kind in ("list", "tuple") and isinstance(value, list | tuple):
        types = inner * len(value) if kind == "list" else inner
        if len(types) == len(value):
            pairs = zip(types, value, strict=True)
            return tuple(canonical(replace(column, cql_type=cql_type), element) for cql_type, element in pairs)
    raise wrong_type(column, value, f"a {kind}" if kind != "map" else "no value as a key or in a filter")


_WIDTHS = {"boolean": 1, "tinyint": 1, "smallint": 2, "int": 4, "float": 4, "date": 4, "uuid": 16, "timeuuid": 16}
"""Bytes of the types of fixed width; the others of them take 8."""
INTEGER_BITS = {"int": 31, "bigint": 63, "smallint": 15, "tinyint": 7, "varint": 0}
_CHECKS: dict[str, Callable[[Column, Any], Any]] = {
    "text": _text,
    "ascii": _text,
    "blob": _blob,
    "boolean": _boolean,
    "float": _real,
    "double": _real,
    "decimal": _decimal,
    "uuid": _uuid,
    "timeuuid": _uuid,
    "timestamp": _timestamp,
    "date": _date,
    "time": _time,
    "inet": _address,
    "duration": _duration,
    **dict.fromkeys(INTEGER_BITS, _integer),
}
