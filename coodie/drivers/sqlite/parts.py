"""
The values of a write, parted as its shape names them.

Rules that live here: the order of values is that of ``coodie.shapes``; a batch takes those of its writes, one after the
other, so each write must know how many are its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, TypeAlias

from coodie.drivers.refusals import placeholders
from coodie.drivers.sqlite.change import value_count
from coodie.statement import CounterUpdate, Delete, Insert, InsertJson, Raw, Update

Write: TypeAlias = Insert | InsertJson | Update | CounterUpdate | Delete | Raw


@dataclass(frozen=True, slots=True)
class Parts:
    """The values of one write; ``changes`` are those of columns, elements, or whatever else a shape begins with."""

    ttl: int | None
    timestamp: int | None
    changes: tuple[Any, ...]
    where: tuple[Any, ...]
    conditions: tuple[Any, ...]


def parted(shape: Write, values: tuple[Any, ...]) -> Parts:
    """Return the values of a write in their parts."""
    remaining = iter(values)
    options = (getattr(shape, "ttl", False), getattr(shape, "timestamp", False))
    ttl = timestamp = None
    if isinstance(shape, Update):
        ttl, timestamp = _options(options, remaining)
    changes = tuple(islice(remaining, _begins_with(shape)))
    if not isinstance(shape, Update):
        ttl, timestamp = _options(options, remaining)
    where = tuple(islice(remaining, len(getattr(shape, "where", ()))))
    return Parts(ttl, timestamp, changes, where, tuple(remaining))


def width(shape: Write) -> int:
    """Return how many values a write takes."""
    clauses = (getattr(shape, "where", ()), getattr(shape, "conditions", ()))
    options = getattr(shape, "ttl", False) + getattr(shape, "timestamp", False)
    return _begins_with(shape) + options + len(list(chain(*clauses)))


def _begins_with(shape: Write) -> int:
    if isinstance(shape, Insert):
        return len(shape.columns)
    if isinstance(shape, Update):
        return sum(map(value_count, shape.changes))
    if isinstance(shape, CounterUpdate):
        return len(shape.columns) + len(shape.table.primary_key)
    if isinstance(shape, Delete):
        return len(shape.elements)
    return 1 if isinstance(shape, InsertJson) else placeholders(shape.text)


def _options(asked: tuple[bool, bool], remaining: Iterator[Any]) -> tuple[int | None, int | None]:
    return tuple(next(remaining) if one else None for one in asked)  # type: ignore[return-value]  # two of two
