"""
INSERT, UPDATE, DELETE and batches of them: their text, cached by shape, and running them.

Rules that live here:

* Each function runs inside a transaction that its caller opened, so a condition and the write it guards are one step.
* INSERT and UPDATE are upserts, as on Cassandra: they replace the columns they name and leave the others.
* A conditional write answers one row: ``"[applied]"``, and where it was not applied the columns that decided it.
* TTL and timestamps are refused by name: rows here carry neither, but for those of exact tables, which have timestamps.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from coodie.drivers.sqlite import exact_rows
from coodie.drivers.sqlite.change import assignment, assignment_values, value_count
from coodie.drivers.sqlite.collections import storage
from coodie.drivers.sqlite.names import WRITTEN_AT, column_of, listed, quoted, table_name, unsupported
from coodie.drivers.sqlite.select import decoded
from coodie.drivers.sqlite.values import encode
from coodie.drivers.sqlite.where import sizes, where, where_values
from coodie.exceptions import InvalidQueryError
from coodie.schema import Table
from coodie.statement import Batch, Change, Delete, Insert, Rows, Statement, Term, Update

_APPLIED = "[applied]"


def insert(connection: sqlite3.Connection, shape: Insert, statement: Statement) -> Rows:
    """Run an INSERT, or an INSERT IF NOT EXISTS."""
    if shape.table.per_writer:
        parts = exact_rows.layout(shape)
        exact_rows.put(parts, parts.encoded([statement.values]), connection)
        return Rows()
    _refuse_options(shape)
    values = _column_values(shape.table, shape.columns, statement.values)
    written = connection.execute(_insert_text(shape), values).rowcount
    if not shape.if_not_exists:
        return Rows()
    if written:
        return Rows([{_APPLIED: True}])
    given = dict(zip(shape.columns, values, strict=True))
    key = [given[column.name] for column in shape.table.primary_key]
    names = tuple(column.name for column in shape.table.columns)
    found = connection.execute(_read_text(shape.table, names), key).fetchone()
    return Rows([{_APPLIED: False, **decoded(shape.table, names, found)}])


def update(connection: sqlite3.Connection, shape: Update, statement: Statement) -> Rows:
    """Run an UPDATE of one row, making the row where it is missing."""
    _refuse_options(shape)
    table, changes, where_given, conditions = _split(shape, statement.values)
    key = _full_key(table, shape.where, where_given)
    refused = _refusal(connection, shape, key, conditions)
    if refused is not None:
        return refused
    names = [column.name for column in table.primary_key]
    connection.execute(_touch_text(table), key)
    stored = assignment_values(table, shape.changes, changes)
    connection.execute(_update_text(table, shape.changes, tuple(names)), [*stored, *key])
    return _applied(shape)


def delete(connection: sqlite3.Connection, shape: Delete, statement: Statement) -> Rows:
    """Run a DELETE of rows, of columns, or of elements of collections."""
    _refuse_options(shape)
    table = shape.table
    changes = (
        *(Change(name, "clear") for name in shape.columns),
        *(Change(name, "discard") for name in shape.elements),
    )
    elements = statement.values[: len(shape.elements)]
    written = statement.values[len(elements) : len(elements) + shape.timestamp]
    rest = statement.values[len(elements) + len(written) :]
    terms, conditions = rest[: len(shape.where)], rest[len(shape.where) :]
    if shape.conditions or shape.if_exists:
        refused = _refusal(connection, shape, _full_key(table, shape.where, terms), conditions)
        if refused is not None:
            return refused
    text = _delete_text(shape, sizes(shape.where, terms), changes)
    stored = assignment_values(table, changes, elements)
    connection.execute(text, [*stored, *where_values(table, shape.where, terms), *written])
    return _applied(shape)


def batch(connection: sqlite3.Connection, shape: Batch, statement: Statement) -> Rows:
    """Run the writes of a batch, all in the caller's transaction."""
    start = 0
    for each in shape.shapes:
        given = statement.values[start : start + _width(each)]
        start += len(given)
        if isinstance(each, Insert):
            insert(connection, each, Statement(each, given))
        else:
            delete(connection, each, Statement(each, given))
    return Rows()


def _width(shape: Insert | Delete) -> int:
    """Return how many values a write takes."""
    if isinstance(shape, Insert):
        return len(shape.columns) + shape.ttl + shape.timestamp
    return len(shape.elements) + shape.timestamp + len(shape.where) + len(shape.conditions)


def _applied(shape: Update | Delete) -> Rows:
    return Rows([{_APPLIED: True}]) if shape.conditions or shape.if_exists else Rows()


def _refuse_options(shape: Insert | Update | Delete) -> None:
    if getattr(shape, "ttl", False):
        raise unsupported("TTL yet", "save without ttl=")
    if shape.timestamp and not shape.table.per_writer:
        raise unsupported("write timestamps", "save without timestamp=")


def _column_values(table: Table, names: Sequence[str], values: Sequence[Any]) -> list[Any]:
    stored = []
    for name, value in zip(names, values, strict=True):
        column = column_of(table, name)
        stored.append(encode(table, column, storage(column.cql_type).encode, value))
        if stored[-1] is None and column.is_key:
            raise InvalidQueryError(f"Key column {name!r} of table {table.name} takes no None; nothing was written")
    return stored


def _split(shape: Update, values: tuple[Any, ...]) -> tuple[Table, tuple[Any, ...], tuple[Any, ...], tuple[Any, ...]]:
    """Return the table, and the values of the changes, of the key and of the conditions."""
    first = sum(map(value_count, shape.changes))
    second = first + len(shape.where)
    return shape.table, values[:first], values[first:second], values[second:]


def _full_key(table: Table, terms: Sequence[Term], values: Sequence[Any]) -> list[Any]:
    """Return the stored values of the key, in its order; InvalidQueryError where ``=`` does not name all of it."""
    given = {term.column: value for term, value in zip(terms, values, strict=True) if term.operator == "="}
    names = [column.name for column in table.primary_key]
    if set(given) != set(names) or len(terms) != len(names):
        raise InvalidQueryError(
            f"This write to table {table.name} needs the full primary key by equality ({', '.join(names)}); "
            "nothing was written"
        )
    return _column_values(table, names, [given[name] for name in names])


def _refusal(
    connection: sqlite3.Connection, shape: Update | Delete, key: list[Any], conditions: tuple[Any, ...]
) -> Rows | None:
    """Return the answer of a conditional write that does not apply, None where it does (or has no condition)."""
    if not (shape.conditions or shape.if_exists):
        return None
    table, terms = shape.table, shape.conditions
    text = _condition_text(table, terms, sizes(terms, conditions))
    holds, exists, *found = connection.execute(text, [*where_values(table, terms, conditions), *key]).fetchone()
    if holds and (exists or not shape.if_exists):
        return None
    names = tuple(dict.fromkeys(term.column for term in terms))
    return Rows([{_APPLIED: False, **(decoded(table, names, found) if exists else {})}])


@lru_cache(maxsize=1024)
def _insert_text(shape: Insert) -> str:
    table = shape.table
    keys = [column.name for column in table.primary_key]
    missing = [name for name in keys if name not in shape.columns]
    if missing:
        raise InvalidQueryError(
            f"INSERT into {table.name} needs the key columns {', '.join(missing)}; nothing was sent"
        )
    others = [name for name in shape.columns if name not in keys]
    if others and not shape.if_not_exists:
        changes = ", ".join(f"{quoted(name)} = excluded.{quoted(name)}" for name in others)
        action = f"UPDATE SET {changes}"
    else:
        action = "NOTHING"
    marks = ", ".join("?" * len(shape.columns))
    into = f"INSERT INTO {table_name(table)} ({listed(shape.columns)}) VALUES ({marks})"
    return f"{into} ON CONFLICT ({listed(keys)}) DO {action}"


@lru_cache(maxsize=1024)
def _touch_text(table: Table) -> str:
    """Return the statement that makes a row of a key unless there is one: an UPDATE is an upsert."""
    keys = [column.name for column in table.primary_key]
    marks = ", ".join("?" * len(keys))
    return f"INSERT INTO {table_name(table)} ({listed(keys)}) VALUES ({marks}) ON CONFLICT DO NOTHING"


@lru_cache(maxsize=1024)
def _update_text(table: Table, changes: tuple[Change, ...], names: tuple[str, ...]) -> str:
    return f"UPDATE {table_name(table)} SET {assignment(table, changes)} WHERE {_equal(names)}"


@lru_cache(maxsize=1024)
def _delete_text(shape: Delete, counts: tuple[int, ...], changes: tuple[Change, ...]) -> str:
    """Return the statement of a DELETE; columns and elements are changes of rows that stay."""
    table, which = shape.table, where(shape.table, shape.where, counts)
    if shape.timestamp:  # as on Cassandra: what was written later stays
        which += f" AND {quoted(WRITTEN_AT)} <= ?"
    if not changes:
        return f"DELETE FROM {table_name(table)} WHERE {which}"
    return f"UPDATE {table_name(table)} SET {assignment(table, changes)} WHERE {which}"


@lru_cache(maxsize=1024)
def _read_text(table: Table, names: tuple[str, ...]) -> str:
    keys = tuple(column.name for column in table.primary_key)
    return f"SELECT {listed(names)} FROM {table_name(table)} WHERE {_equal(keys)}"


@lru_cache(maxsize=1024)
def _condition_text(table: Table, terms: tuple[Term, ...], counts: tuple[int, ...]) -> str:
    """Return the question whether conditions hold; a missing row is one of NULLs, as Cassandra takes it."""
    names = tuple(dict.fromkeys(term.column for term in terms))
    answers = ", ".join([f"({where(table, terms, counts, null_safe=True)})", "present", *map(quoted, names)])
    keys = tuple(column.name for column in table.primary_key)
    row = f"SELECT *, 1 AS present FROM {table_name(table)} WHERE {_equal(keys)}"
    return f"SELECT {answers} FROM (SELECT 1) LEFT JOIN ({row}) ON 1"


def _equal(names: tuple[str, ...]) -> str:
    return " AND ".join(f"{quoted(name)} = ?" for name in names)
