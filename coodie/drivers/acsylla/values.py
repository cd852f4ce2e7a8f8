"""
Values between Python and acsylla, chosen by the columns of a statement's table, since its results carry no types.

Rules that live here:

* UUIDs and addresses arrive as text, ``varint`` (``SUM(CAST(n AS varint))`` too) as signed big-endian bytes; all other
  types arrive as they are declared. A statement given as text has no table: its values stay as they arrive.
* On the way in a ``varint`` wants the same bytes, and a time without zone is UTC (acsylla would take it as local).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC
from functools import lru_cache
from ipaddress import ip_address
from typing import Any, get_origin
from uuid import UUID

from coodie.statement import Batch, Change, CounterUpdate, Delete, Insert, Select, Term, Update

Converter = Callable[[Any], Any]

_READERS: dict[str, Converter] = {
    "uuid": UUID,
    "timeuuid": UUID,
    "inet": ip_address,
    "varint": lambda value: int.from_bytes(value, "big", signed=True),
}
_WRITERS: dict[str, Converter] = {
    "varint": lambda value: value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True),
    "timestamp": lambda value: value.replace(tzinfo=UTC) if value.tzinfo is None else value,
}
_OF_THE_COLUMN = (None, "sum", "avg", "min", "max")  # functions whose result has the type of their argument


def convert_rows(rows: list[dict[str, Any]], names: Sequence[str], shape: Any) -> None:
    """Turn the values of a page into the declared Python types, in place."""
    if getattr(shape, "table", None) is None:
        return
    for name, converter in _converters(names, shape):
        for row in rows:
            value = row[name]
            if value is not None:
                row[name] = converter(value)


def writers_of(shape: Any) -> tuple[tuple[int, Converter], ...]:
    """Return the positions of a shape's values that need help on the way in, each with what helps it."""
    return tuple((i, writer) for i, kind in enumerate(_kinds(shape)) if kind and (writer := _converter(kind, False)))


def _converters(names: Sequence[str], shape: Any) -> Iterator[tuple[str, Converter]]:
    """Yield the result columns that need a converter."""
    by_name = shape.table.by_name
    selected = shape.columns if isinstance(shape, Select) and len(shape.columns) == len(names) else ()
    for position, name in enumerate(names):
        column, kind = by_name.get(name), None
        if selected:
            chosen = selected[position]
            column = by_name.get(chosen.column) if chosen.function in _OF_THE_COLUMN else None
            kind = chosen.cast if chosen.function in _OF_THE_COLUMN else None
        if kind is None and column is not None:
            kind = column.cql_type
        reader = _converter(kind, True) if kind else None
        if column is not None and frozenset in (column.annotation, get_origin(column.annotation)):
            reader = _frozen(reader)
        if reader is not None:
            yield name, reader


def _kinds(shape: Any) -> Iterator[str | None]:
    """Yield the CQL type of each value of a shape, or None where it does not matter, in the order of its values."""
    if isinstance(shape, Insert):
        yield from (shape.table.by_name[name].cql_type for name in shape.columns)
        yield from (None for given in (shape.ttl, shape.timestamp) if given)
    elif isinstance(shape, CounterUpdate):
        yield from (None for _ in shape.columns)
        yield from (column.cql_type for column in shape.table.primary_key)
    elif isinstance(shape, Select):
        yield from (_kind_of_term(shape.table, term) for term in shape.where)
    elif isinstance(shape, Update):
        yield from (None for given in (shape.ttl, shape.timestamp) if given)
        for change in shape.changes:
            yield from _kinds_of_change(shape.table, change)
        yield from (_kind_of_term(shape.table, term) for term in (*shape.where, *shape.conditions))
    elif isinstance(shape, Delete):
        yield from (None for _ in (shape.elements if not shape.timestamp else (None, *shape.elements)))
        yield from (_kind_of_term(shape.table, term) for term in (*shape.where, *shape.conditions))
    elif isinstance(shape, Batch):
        for each in shape.shapes:
            yield from _kinds(each)


def _kind_of_term(table: Any, term: Term) -> str | None:
    """Return the type of the value of a condition."""
    column = table.by_name.get(term.column)
    if column is None or term.token:
        return None
    arguments = _arguments(column.cql_type)
    if term.operator in ("CONTAINS", "CONTAINS KEY"):
        return arguments[0 if term.operator == "CONTAINS KEY" else -1] if arguments else None
    return f"list<{column.cql_type}>" if term.operator == "IN" else str(column.cql_type)


def _kinds_of_change(table: Any, change: Change) -> tuple[str | None, ...]:
    """Return the types of the values of an assignment: ``c[?] = ?`` has two."""
    kind: str = table.by_name[change.column].cql_type
    if change.operation != "put":
        return (kind,)
    arguments = _arguments(kind)
    return (arguments[0], arguments[1]) if len(arguments) == 2 else (None, arguments[0] if arguments else None)


@lru_cache(maxsize=1024)
def _converter(kind: str, reading: bool) -> Converter | None:
    """Return what converts values of a CQL type, or None where they are right as they are."""
    plain = (_READERS if reading else _WRITERS).get(kind)
    if plain is not None or "<" not in kind:
        return plain
    outer, arguments = kind.split("<", 1)[0], _arguments(kind)
    if outer == "frozen":
        return _converter(arguments[0], reading)
    inner = [_converter(argument, reading) for argument in arguments]
    if not any(inner):
        return None
    if outer == "map":
        return lambda value: {_or_none(inner[0], k): _or_none(inner[1], v) for k, v in value.items()}
    if outer == "tuple":
        return lambda value: tuple(_or_none(convert, v) for convert, v in zip(inner, value, strict=False))
    collection = set if outer == "set" else list
    return lambda value: collection(_or_none(inner[0], v) for v in value)


@lru_cache(maxsize=1024)
def _arguments(kind: str) -> tuple[str, ...]:
    """Return the arguments of a parametrised type: ``map<text, list<int>>`` -> ``text``, ``list<int>``."""
    if "<" not in kind:
        return ()
    found, depth, start = [], 0, kind.index("<") + 1
    for position, sign in enumerate(kind):
        depth += (sign == "<") - (sign == ">")
        if (sign == "," and depth == 1) or (sign == ">" and depth == 0):
            found.append(kind[start:position].strip())
            start = position + 1
    return tuple(found)


def _or_none(convert: Converter | None, value: Any) -> Any:
    return value if value is None or convert is None else convert(value)


def _frozen(convert: Converter | None) -> Converter:
    return frozenset if convert is None else lambda value: frozenset(convert(value))
