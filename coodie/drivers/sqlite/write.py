"""
INSERT, UPDATE and DELETE: their text, cached by shape, and running them.

Rules that live here:

* Each function runs inside a transaction that its caller opened, in which what is over (TTL) was removed.
* INSERT and UPDATE are upserts, as on Cassandra: they replace the columns they name and leave the others.
* A conditional write answers one row: ``"[applied]"``, and where it was not applied the columns that decided it.
* A DELETE names what Cassandra's may: a row, a partition, a range of clustering columns; columns only of one row.
* Timestamps are refused by name: rows here have none, but for those of exact tables.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from coodie.drivers.sqlite import exact_rows, lifetimes
from coodie.drivers.sqlite.change import assignment, assignment_values, value_count
from coodie.drivers.sqlite.collections import storage, unfrozen
from coodie.drivers.sqlite.conditions import is_conditional, refusal
from coodie.drivers.sqlite.names import WRITTEN_AT, column_of, listed, quoted, table_name, unsupported
from coodie.drivers.sqlite.parts import Parts, parted
from coodie.drivers.sqlite.values import encode
from coodie.drivers.sqlite.where import check_deletable, equal, sizes, where, where_values
from coodie.exceptions import InvalidQueryError, RowRejected
from coodie.json_values import values_of
from coodie.schema import Table
from coodie.statement import Change, Delete, Insert, InsertJson, Rows, Statement, Term, Update

APPLIED = "[applied]"


def insert(connection: sqlite3.Connection, shape: Insert, statement: Statement) -> Rows:
    """Run an INSERT, or an INSERT IF NOT EXISTS."""
    table = shape.table
    if table.per_writer:
        parts = exact_rows.layout(shape)
        exact_rows.put(parts, parts.encoded([statement.values]), connection)
        return Rows()
    given = parted(shape, statement.values)
    _refuse_timestamp(shape.timestamp, table)
    text = _insert_text(shape)
    key = inserted_key(shape, given)
    refused = refusal(connection, shape, key, ())
    if refused is not None:
        return Rows([{APPLIED: False, **refused}])
    stored = dict(zip(shape.columns, _column_values(table, shape.columns, given.changes), strict=True))
    connection.execute(text, list(stored.values()))
    if lifetimes.have(table):
        lifetimes.inserted(connection, table, key, _without_key(table, stored), lifetimes.seconds(table, given.ttl))
    return _applied(shape)


def insert_json(connection: sqlite3.Connection, shape: InsertJson, statement: Statement) -> Rows:
    """Run an INSERT of a whole row given as JSON; what it does not name becomes NULL."""
    values = values_of(shape.table, statement.values[0])
    names = tuple(shape.table.by_name)
    whole = Insert(shape.table, names, ttl=shape.ttl, timestamp=shape.timestamp)
    return insert(
        connection, whole, statement.with_values((*(values.get(name) for name in names), *statement.values[1:]))
    )


def update(connection: sqlite3.Connection, shape: Update, statement: Statement) -> Rows:
    """Run an UPDATE of one row, making the row where it is missing."""
    table, given = shape.table, parted(shape, statement.values)
    _refuse_timestamp(shape.timestamp, table)
    key = full_key(table, shape.where, given.where)
    refused = refusal(connection, shape, key, given.conditions)
    if refused is not None:
        return Rows([{APPLIED: False, **refused}])
    stored = assignment_values(table, shape.changes, given.changes)
    made = bool(connection.execute(_touch_text(table), key).rowcount)
    connection.execute(_update_text(table, shape.changes), [*stored, *key])
    if lifetimes.have(table):
        changes = _paired(shape.changes, stored)
        lifetimes.updated(connection, table, key, changes, lifetimes.seconds(table, given.ttl), made=made)
    return _applied(shape)


def delete(connection: sqlite3.Connection, shape: Delete, statement: Statement) -> Rows:
    """Run a DELETE of rows, of columns, or of elements of collections."""
    table, given = shape.table, parted(shape, statement.values)
    _refuse_timestamp(shape.timestamp, table)
    if is_conditional(shape):
        refused = refusal(connection, shape, full_key(table, shape.where, given.where), given.conditions)
        if refused is not None:
            return Rows([{APPLIED: False, **refused}])
    if shape.columns or shape.elements:
        _delete_columns(connection, shape, given)
    else:
        _delete_rows(connection, shape, given)
    return _applied(shape)


def _delete_rows(connection: sqlite3.Connection, shape: Delete, given: Parts) -> None:
    table = shape.table
    check_deletable(table, shape.where)
    which = where(table, shape.where, sizes(shape.where, given.where))
    values = where_values(table, shape.where, given.where)
    if lifetimes.have(table):
        lifetimes.forget(connection, table, which, values)
    if shape.timestamp:  # as on Cassandra: what was written later stays
        which += f" AND {quoted(WRITTEN_AT)} <= ?"
        values.append(given.timestamp)
    connection.execute(f"DELETE FROM {table_name(table)} WHERE {which}", values)


def _delete_columns(connection: sqlite3.Connection, shape: Delete, given: Parts) -> None:
    table = shape.table
    if table.per_writer:
        raise InvalidQueryError(f"Columns of the exact table {table.name} are not deleted; nothing was written")
    changes = (
        *(Change(name, "clear") for name in shape.columns),
        *(Change(name, "discard") for name in shape.elements),
    )
    key = full_key(table, shape.where, given.where)
    stored = assignment_values(table, changes, given.changes)
    found = connection.execute(_update_text(table, changes), [*stored, *key]).rowcount
    if not found and any(unfrozen(column_of(table, name).cql_type)[0] == "list" for name in shape.elements):
        raise RowRejected(f"Table {table.name}: a list has no element at the position given; nothing was written")
    if lifetimes.have(table):
        lifetimes.updated(connection, table, key, _paired(changes, stored), 0)


def inserted_key(shape: Insert, given: Parts) -> list[Any]:
    """Return the stored values of the key that an INSERT names, in its order."""
    values = dict(zip(shape.columns, given.changes, strict=True))
    names = [column.name for column in shape.table.primary_key]
    missing = [name for name in names if name not in values]
    if missing:
        raise InvalidQueryError(
            f"INSERT into {shape.table.name} needs the key columns {', '.join(missing)}; nothing was sent"
        )
    return _column_values(shape.table, names, [values[name] for name in names])


def full_key(table: Table, terms: Sequence[Term], values: Sequence[Any]) -> list[Any]:
    """Return the stored values of the key, in its order; InvalidQueryError where ``=`` does not name all of it."""
    given = {term.column: value for term, value in zip(terms, values, strict=True) if term.operator == "="}
    names = [column.name for column in table.primary_key]
    if set(given) != set(names) or len(terms) != len(names):
        raise InvalidQueryError(
            f"This write to table {table.name} needs the full primary key by equality ({', '.join(names)}); "
            "nothing was written"
        )
    return _column_values(table, names, [given[name] for name in names])


def _applied(shape: Insert | Update | Delete) -> Rows:
    return Rows([{APPLIED: True}]) if is_conditional(shape) else Rows()


def _refuse_timestamp(asked: bool, table: Table) -> None:
    if asked and not table.per_writer:
        raise unsupported("write timestamps", "write without timestamp=")


def _column_values(table: Table, names: Sequence[str], values: Sequence[Any]) -> list[Any]:
    stored = []
    for name, value in zip(names, values, strict=True):
        column = column_of(table, name)
        stored.append(encode(table, column, storage(column.cql_type).encode, value))
        if stored[-1] is None and column.is_key:
            raise InvalidQueryError(f"Key column {name!r} of table {table.name} takes no None; nothing was written")
    return stored


def _without_key(table: Table, stored: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in stored.items() if not table.by_name[name].is_key}


def _paired(changes: Sequence[Change], stored: Sequence[Any]) -> list[tuple[Change, Any]]:
    """Return each change with the first of its stored values, None where it has none."""
    remaining = iter(stored)
    taken = [[next(remaining) for _ in range(value_count(change))] for change in changes]
    return [(change, values[0] if values else None) for change, values in zip(changes, taken, strict=True)]


@lru_cache(maxsize=1024)
def _insert_text(shape: Insert) -> str:
    table = shape.table
    keys = [column.name for column in table.primary_key]
    others = [column_of(table, name).name for name in shape.columns if name not in keys]
    changes = ", ".join(f"{quoted(name)} = excluded.{quoted(name)}" for name in others)
    action = f"UPDATE SET {changes}" if others else "NOTHING"
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
def _update_text(table: Table, changes: tuple[Change, ...]) -> str:
    return f"UPDATE {table_name(table)} SET {assignment(table, changes)} WHERE {equal(table)}"
