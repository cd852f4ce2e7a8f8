"""
Documents: writing and deleting one row.

Rules that live here: every column is named, in table order, None included; the key is canonical and complete. TTL (s)
and timestamp (us since 1970) are bound. A conditional write answers an ``LWTResult``, any other None.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from coodie.cql import render
from coodie.exceptions import InvalidQueryError
from coodie.plans.counters import key_of
from coodie.query import (
    CONDITION_OPERATORS,
    column_named,
    conditions,
    consistency_level,
)
from coodie.results import LWTResult
from coodie.schema import Table
from coodie.statement import (
    Change,
    Delete,
    Insert,
    Rows,
    Shape,
    Statement,
    Term,
    Update,
)

Write = Generator[Statement, Rows, LWTResult | None]


@dataclass(frozen=True)
class WriteOptions:
    """How a write is sent: ``ttl`` and ``timeout`` in seconds, ``timestamp`` in microseconds since 1970."""

    ttl: int | None = None
    timestamp: int | None = None
    consistency: str | None = None
    timeout: float | None = None

    def values(self) -> list[int]:
        """Return the values of the USING clause, in its order."""
        given: dict[str, Any] = {"ttl": self.ttl, "timestamp": self.timestamp}
        for name, number in given.items():
            if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number < 0):
                raise InvalidQueryError(f"{name} takes an integer, 0 or more, not {number!r}; nothing was sent")
        return [number for number in given.values() if number is not None]

    def statement(self, shape: Shape, values: list[Any]) -> Statement:
        """Return the statement of a shape, sent as these options say."""
        return Statement(shape, tuple(values), render, consistency_level(self.consistency), self.timeout)


NO_OPTIONS = WriteOptions()


def save(document: Any, table: Table, options: WriteOptions = NO_OPTIONS) -> Generator[Statement, Rows, None]:
    """Return the plan that writes every column of a document, over an existing row."""
    return _send(_insert(document, table, options, if_not_exists=False))


def insert(document: Any, table: Table, options: WriteOptions = NO_OPTIONS) -> Generator[Statement, Rows, LWTResult]:
    """Return the plan that writes every column of a document unless its row exists, and answers which it was."""
    return _compare(_insert(document, table, options, if_not_exists=True))


def _insert(document: Any, table: Table, options: WriteOptions, if_not_exists: bool) -> Statement:
    key = dict(zip((column.name for column in table.primary_key), key_of(document, table), strict=True))
    values = [key[name] if name in key else _stored(document.__dict__.get(name)) for name in table.by_name]
    shape = Insert(table, tuple(table.by_name), if_not_exists, options.ttl is not None, options.timestamp is not None)
    return options.statement(shape, values + options.values())


def update(
    document: Any,
    table: Table,
    changes: Mapping[str, Any],
    *,
    if_conditions: Mapping[str, Any] | None = None,
    if_exists: bool = False,
    ttl: int | None = None,
) -> Write:
    """Return the plan that sets some columns of a document's row, and then those of the document, if it was applied."""
    for name in changes:
        if column_named(table, name).is_key:
            raise InvalidQueryError(f"Column '{name}' is part of the primary key of {table.name} and cannot be changed")
    names = [name for name in table.by_name if name in changes]
    terms, expected = conditions(table, if_conditions or {}, CONDITION_OPERATORS, nullable=True)
    options = WriteOptions(ttl)
    values = [*options.values(), *(_stored(changes[name]) for name in names), *key_of(document, table), *expected]
    assignments = tuple(Change(name) for name in names)
    shape = Update(table, assignments, key_terms(table), terms, if_exists and not terms, ttl is not None)
    return _assign(document, changes, options.statement(shape, values), conditional=bool(terms) or if_exists)


def _assign(document: Any, changes: Mapping[str, Any], statement: Statement, conditional: bool) -> Write:
    if not changes:
        return None
    result = yield from _write(statement, conditional)
    if result is None or result.applied:
        for name, value in changes.items():
            setattr(document, name, value)
    return result


def delete(
    document: Any,
    table: Table,
    options: WriteOptions = NO_OPTIONS,
    *,
    if_exists: bool = False,
    if_conditions: Mapping[str, Any] | None = None,
) -> Write:
    """Return the plan that deletes a document's row."""
    timed = options.timestamp is not None
    if table.counters and (if_exists or if_conditions or timed):
        raise InvalidQueryError("Rows of counter tables are deleted without conditions and timestamps")
    terms, expected = conditions(table, if_conditions or {}, CONDITION_OPERATORS, nullable=True)
    shape = Delete(table, key_terms(table), conditions=terms, if_exists=if_exists and not terms, timestamp=timed)
    statement = options.statement(shape, [*options.values(), *key_of(document, table), *expected])
    return _write(statement, conditional=bool(terms) or if_exists)


def key_terms(table: Table) -> tuple[Term, ...]:
    """Return the terms that name one row: every key column, in key order."""
    return tuple(Term(column.name) for column in table.primary_key)


def _write(statement: Statement, conditional: bool) -> Write:
    return _compare(statement) if conditional else _send(statement)


def _send(statement: Statement) -> Generator[Statement, Rows, None]:
    yield statement


def _compare(statement: Statement) -> Generator[Statement, Rows, LWTResult]:
    items = (yield statement).items
    answer = dict(items[0]) if items else {"[applied]": True}  # test doubles of users answer nothing
    applied = bool(answer.pop("[applied]"))
    return LWTResult(applied, None if applied else answer)


def _stored(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value
