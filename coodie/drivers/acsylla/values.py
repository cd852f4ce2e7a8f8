"""
Values between Python and acsylla, chosen by the columns of a statement's table, since its results carry no types.

Rules that live here:

* UUIDs, addresses and durations arrive as text, ``varint`` (``SUM(CAST(n AS varint))`` too) as signed big-endian bytes,
  and what ``detours`` sends around as JSON or bytes; all other types arrive as they are declared. A statement given as
  text has no table: its values stay as they arrive.
* On the way in a ``varint`` wants the same bytes, and a time without zone is UTC (acsylla would take it as local). A
  ``Decimal`` for a text of the user's is refused: acsylla would store another number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache, partial
from ipaddress import ip_address
from typing import Any, NamedTuple, get_origin
from uuid import UUID

from coodie.drivers.acsylla.detours import AS_BYTES, Result, goes_as_json, results_of
from coodie.drivers.acsylla.kinds import kinds_of
from coodie.exceptions import InvalidQueryError
from coodie.json_values import json_text, json_value
from coodie.statement import Select
from coodie.type_text import collection_of
from coodie.types import CqlDuration, shortest

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Converter = Callable[[Any], Any]

_READERS: dict[str, Converter] = {
    "uuid": UUID,
    "timeuuid": UUID,
    "inet": ip_address,
    "varint": lambda value: int.from_bytes(value, "big", signed=True),
    "float": shortest,
    "duration": CqlDuration.parse,
}


def _without_nul(value: str) -> str:
    """Return text for a column of type ascii, which acsylla would cut at a NUL."""
    if "\0" in value:
        raise InvalidQueryError("acsylla cannot write ascii text with a NUL in it; nothing was sent")
    return value


_WRITERS: dict[str, Converter] = {
    "varint": lambda value: value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True),
    "timestamp": lambda value: value.replace(tzinfo=UTC) if value.tzinfo is None else value,
    "duration": lambda value: (value.months, value.days, value.nanoseconds),
    "ascii": _without_nul,
}


class Readers(NamedTuple):
    """How rows of one result are read: their column names where acsylla gives others, and the converters."""

    called: tuple[str, ...] | None
    converters: tuple[tuple[str, Converter], ...]


def readers_of(names: Sequence[str], shape: Any) -> Readers:
    """Return how to read the rows of a result from its column names and what was asked."""
    if getattr(shape, "table", None) is None:
        return Readers(None, ())
    results = _results(names, shape)
    called = tuple(result.name or name for result, name in zip(results, names, strict=True))
    return Readers(None if called == tuple(names) else called, tuple(_converters(called, results, shape.table)))


def convert_rows(rows: list[dict[str, Any]], readers: Readers) -> None:
    """Turn the values of a page into the declared Python types, in place."""
    called, converters = readers
    if called is not None:
        rows[:] = [dict(zip(called, row.values(), strict=True)) for row in rows]
    for name, converter in converters:
        for row in rows:
            value = row[name]
            if value is not None:
                row[name] = converter(value)


def writers_of(shape: Any) -> tuple[tuple[int, Converter], ...]:
    """Return the positions of a shape's values that need help on the way in, each with what helps it."""
    return tuple((i, writer) for i, kind in enumerate(kinds_of(shape)) if kind and (writer := _writer(kind)))


def _results(names: Sequence[str], shape: Any) -> Sequence[Result]:
    """Return what is known of the columns of a result; that of a write has the columns of its table."""
    selected = results_of(shape) if isinstance(shape, Select) else ()
    if len(selected) == len(names):
        return selected
    found = (shape.table.by_name.get(name) for name in names)
    return [Result(None, column and column.cql_type, None) for column in found]


def _converters(names: Sequence[str], results: Sequence[Result], table: Any) -> Iterator[tuple[str, Converter]]:
    """Yield the result columns that need a converter."""
    for name, result in zip(names, results, strict=True):
        reader = _reader(result)
        column = table.by_name.get(name)
        if column is not None and frozenset in (column.annotation, get_origin(column.annotation)):
            reader = _frozen(reader)
        if reader is not None:
            yield name, reader


def _reader(result: Result) -> Converter | None:
    if result.kind is None:
        return None
    if result.way == AS_BYTES:
        return _moment
    return partial(json_value, result.kind) if result.way else _converter(result.kind, True)


def _writer(kind: str) -> Converter | None:
    if kind == "?":
        return _without_decimals
    return partial(json_text, kind) if goes_as_json(kind, reading=False) else _converter(kind, False)


def _moment(value: bytes) -> datetime:
    return _EPOCH + timedelta(milliseconds=int.from_bytes(value, "big", signed=True))


def _without_decimals(value: Any) -> Any:
    """Return a value for a text of the user's, refusing a Decimal in it."""
    if isinstance(value, Decimal):
        raise InvalidQueryError(
            "acsylla would store another number: write fromJson(?) in the text, give it as JSON; nothing was sent"
        )
    if isinstance(value, dict | list | tuple | set | frozenset):
        for each in (*value, *value.values()) if isinstance(value, dict) else value:
            _without_decimals(each)
    return value


@lru_cache(maxsize=1024)
def _converter(kind: str, reading: bool) -> Converter | None:
    """Return what converts values of a CQL type, or None where they are right as they are."""
    plain = (_READERS if reading else _WRITERS).get(kind)
    if plain is not None or "<" not in kind:
        return plain
    outer, arguments = collection_of(kind)
    inner = [_converter(argument, reading) for argument in arguments]
    if not any(inner):
        return None
    if outer == "map":
        return lambda value: {_or_none(inner[0], k): _or_none(inner[1], v) for k, v in value.items()}
    if outer == "tuple":
        return lambda value: tuple(_or_none(convert, v) for convert, v in zip(inner, value, strict=False))
    collection = set if outer == "set" else list
    return lambda value: collection(_or_none(inner[0], v) for v in value)


def _or_none(convert: Converter | None, value: Any) -> Any:
    return value if value is None or convert is None else convert(value)


def _frozen(convert: Converter | None) -> Converter:
    return frozenset if convert is None else lambda value: frozenset(convert(value))
