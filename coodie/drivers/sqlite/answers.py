"""
What a SELECT answers: columns, casts, functions and aggregates as SQL text, and how each is read.

Rules that live here:

* Answers are named as Cassandra names them: ``count``, ``system.max(views)``, ``cast(views as text)``.
* Sums of integers and of ``decimal`` are exact at any size; SQLite's own fail beyond 64 bits.
* A CAST is made in Python from the value that was read, so that its answer has the type asked for; integers that are
  too wide lose their upper bits, as on Cassandra.
* A sum over both infinities is NaN, which SQLite has no value for: it is answered as text.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, Inexact
from typing import Any, TypeAlias, get_origin

from coodie.drivers.sqlite.collections import parsed, storage
from coodie.drivers.sqlite.lifetimes import left_text
from coodie.drivers.sqlite.names import WRITTEN_AT, column_of, quoted, unsupported
from coodie.drivers.sqlite.values import INTEGER_BITS
from coodie.drivers.sqlite.where import collated
from coodie.exceptions import InvalidQueryError
from coodie.floats import in_32_bits, shortest
from coodie.schema import Column, Table
from coodie.statement import Selected

Decode: TypeAlias = Callable[[Any], Any]
Answer: TypeAlias = tuple[str, str, Decode | None]
"""The name of an answer, its SQL text, and how it is read (None: as it comes)."""

_EPOCH, _MILLISECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(milliseconds=1)
_AGGREGATES = ("count", "sum", "avg", "min", "max")
_REALS = ("float", "double")
_TEXTS = ("text", "ascii", "varchar")
_SPELLED = ("uuid", "timeuuid", "inet", "date", "varint", *_TEXTS, *INTEGER_BITS)


def aggregates(selected: Selected) -> bool:
    """Return whether an answer is made of many rows."""
    return selected.function in _AGGREGATES


def answer(table: Table, selected: Selected) -> Answer:
    """Return one answer of a SELECT; InvalidQueryError for what SQLite cannot answer."""
    function, cast = selected.function, selected.cast
    if selected.column == "*":
        return "count", "count(*)", None
    column = column_of(table, selected.column)
    if function is None:
        return _cast(column, cast.lower()) if cast else (column.name, quoted(column.name), decoder(column))
    if function in ("ttl", "writetime") and not cast:
        return _of_cell(table, column, function)
    if cast:
        return _of_cast(column, function, cast.lower())
    return _aggregate(column, function)


class Sum:
    """The SQL aggregate ``coodie_sum``: an exact sum of numbers stored as text, 0 of none."""

    _exactly = Context(prec=100_000, Emin=-(10**9), Emax=10**9, traps=[Inexact])

    def __init__(self) -> None:
        self._total = Decimal(0)

    def step(self, number: str | int | None) -> None:
        """Add one number; NULL adds nothing."""
        if number is not None:
            self._total = self._exactly.add(self._total, Decimal(number))

    def finalize(self) -> str:
        """Return the sum."""
        return str(self._total)


def decoder(column: Column) -> Decode | None:
    """Return what reads the stored values of a column, or None where they are values of its type already."""
    decode = storage(column.cql_type).decode
    if decode is not None and get_origin(column.annotation) is frozenset:
        return lambda stored: frozenset(decode(stored))
    return decode


def _of_cell(table: Table, column: Column, function: str) -> Answer:
    """Return what is kept beside a value: the seconds it has left; when a total of an exact table was written."""
    name = f"{function}({column.name})"
    if column.is_key or column.counter:
        raise InvalidQueryError(f"Column {column.name!r} of table {table.name} has no {function}; nothing was sent")
    if function == "writetime" and table.per_writer:
        return name, f"CASE WHEN {quoted(column.name)} IS NOT NULL THEN {quoted(WRITTEN_AT)} END", None
    if function == "writetime":
        raise unsupported("write timestamps, hence no writetime()")
    if parsed(column.cql_type)[0] in ("list", "set", "map"):
        raise unsupported(f"ttl() of the elements of a collection ({column.name!r})")
    return name, left_text(table, column.name), None


def _aggregate(column: Column, function: str) -> Answer:
    name, how = quoted(column.name), storage(column.cql_type)
    called = f"system.{function}({column.name})"
    if function not in _AGGREGATES:
        raise unsupported(f"{function}()")
    if function == "count":
        return called, f"count({name})", None
    if function in ("min", "max"):
        return called, f"{function}({collated(column)})", how.decode
    if how.numeric_text and function == "sum":
        return called, f"coalesce(coodie_sum({name}), '0')", how.decode
    if column.cql_type not in (*INTEGER_BITS, *_REALS):
        raise unsupported(f"{function}() of {column.cql_type}", "add up in Python")
    if column.cql_type in _REALS:
        return called, _of_reals(function, name), float
    text = f"coalesce({function}({name}), 0)"
    whole = column.cql_type in INTEGER_BITS and function == "avg"
    return called, (f"CAST({text} AS INTEGER)" if whole else text), None


def _of_reals(function: str, value: str) -> str:
    """Return a sum or average of reals as SQL text."""
    both = f"max({value}) = 9e999 AND min({value}) = -9e999"
    return f"CASE WHEN {both} THEN 'nan' ELSE coalesce({function}({value}), 0.0) END"


def _of_cast(column: Column, function: str, cql_type: str) -> Answer:
    """Return a sum of integers as ``varint``, or a sum or average of numbers as ``double``."""
    name, called = quoted(column.name), f"system.{function}(cast({column.name} as {cql_type}))"
    if (function, cql_type) == ("sum", "varint") and column.cql_type in INTEGER_BITS:
        return called, f"coalesce(sum({name} >> 32) || ' ' || sum({name} & 4294967295), '0 0')", _joined
    if (function, cql_type) == ("sum", "varint") and column.cql_type == "varint":
        return called, f"coalesce(coodie_sum({name}), '0')", int
    if function in ("sum", "avg") and cql_type == "double" and column.cql_type in (*INTEGER_BITS, *_REALS):
        return called, _of_reals(function, f"CAST({name} AS REAL)"), float
    raise unsupported(f"{function}() of {column.cql_type} as {cql_type}", "convert the values in Python")


def _joined(halves: str) -> int:
    high, low = halves.split(" ")
    return (int(high) << 32) + int(low)


def _cast(column: Column, cql_type: str) -> Answer:
    convert = _conversion(column.cql_type, cql_type)
    if convert is None:
        raise unsupported(f"CAST of {column.cql_type} as {cql_type}", "convert the value in Python")
    decode = None if column.cql_type == "float" else decoder(column)  # all of the 32 bits are cast
    called = f"cast({column.name} as {cql_type})"
    if decode is None:
        return called, quoted(column.name), convert
    return called, quoted(column.name), lambda stored: convert(decode(stored))


def _conversion(source: str, target: str) -> Decode | None:
    """Return how a value of one type becomes one of another, None where nothing does it as Cassandra would."""
    if source == target:
        return lambda value: value
    if target in _TEXTS[:2] and source in _SPELLED:
        return str
    if target in _TEXTS[:2] and source == "boolean":
        return lambda value: str(bool(value)).lower()
    numeric = source in INTEGER_BITS or source in (*_REALS, "varint")
    if numeric and target in INTEGER_BITS and target != "counter":
        return _narrowed(INTEGER_BITS[target])
    if numeric and target in _REALS:
        return float if target == "double" else _single
    if source in INTEGER_BITS and target in ("varint", "decimal"):
        return int if target == "varint" else Decimal
    if source == "timestamp" and target in ("bigint", "varint"):
        return lambda value: (value - _EPOCH) // _MILLISECOND
    return None


def _narrowed(bits: int) -> Decode:
    bound, most = 1 << (bits - 1), 1 << (max(bits, 32) - 1)

    def narrow(value: Any) -> int:
        if isinstance(value, float):  # as Java does it: first the nearest int of 32 or 64 bits
            value = most - 1 if value >= most else max(value, -most)
        return (int(value) + bound) % (2 * bound) - bound

    return narrow


def _single(value: Any) -> float:
    try:
        return shortest(in_32_bits(value))
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
