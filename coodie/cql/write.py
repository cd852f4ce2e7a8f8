"""
Writes as CQL text: INSERT, UPDATE, DELETE, the counter update, and batches of them.

Rules that live here: TTL and timestamp are bound, never literals, so that one prepared statement serves them all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from coodie.cql.quote import column_name, table_name
from coodie.cql.where import conditions, using, where
from coodie.statement import Batch, Change, CounterUpdate, Delete, Insert, InsertJson, Raw, Update


def insert(shape: Insert) -> str:
    """Return ``INSERT INTO ...``."""
    names = ", ".join(map(column_name, shape.columns))
    marks = ", ".join("?" * len(shape.columns))
    condition = " IF NOT EXISTS" if shape.if_not_exists else ""
    options = using(ttl=shape.ttl, timestamp=shape.timestamp)
    return f"INSERT INTO {table_name(shape.table)} ({names}) VALUES ({marks}){condition}{options}"


def update(shape: Update) -> str:
    """Return ``UPDATE ... SET ...``."""
    options = using(ttl=shape.ttl, timestamp=shape.timestamp)
    changes = ", ".join(map(_change, shape.changes))
    tail = where(shape.where) + conditions(shape.conditions, shape.if_exists)
    return f"UPDATE {table_name(shape.table)}{options} SET {changes}{tail}"


def _change(change: Change) -> str:
    return _CHANGES[change.operation].format(column_name(change.column))


_CHANGES = {
    "set": "{0} = ?",
    "append": "{0} = {0} + ?",
    "prepend": "{0} = ? + {0}",
    "remove": "{0} = {0} - ?",
    "put": "{0}[?] = ?",
}


def counter_update(shape: CounterUpdate) -> str:
    """Return ``UPDATE t SET "a" = "a" + ?, ... WHERE "k" = ? AND ...``: a decrement adds a negative delta."""
    names = (column_name(name) for name in shape.columns)
    changes = ", ".join(f"{name} = {name} + ?" for name in names)
    key = " AND ".join(f"{column_name(column.name)} = ?" for column in shape.table.primary_key)
    return f"UPDATE {table_name(shape.table)} SET {changes} WHERE {key}"


def delete(shape: Delete) -> str:
    """Return ``DELETE ... FROM ...``: of the row, of some columns, or of single elements of collections."""
    parts = [column_name(name) for name in shape.columns] + [f"{column_name(name)}[?]" for name in shape.elements]
    what = f" {', '.join(parts)}" if parts else ""
    tail = where(shape.where) + conditions(shape.conditions, shape.if_exists)
    return f"DELETE{what} FROM {table_name(shape.table)}{using(timestamp=shape.timestamp)}{tail}"


def insert_json(shape: InsertJson) -> str:
    """Return ``INSERT INTO ... JSON ?``."""
    return f"INSERT INTO {table_name(shape.table)} JSON ?{using(ttl=shape.ttl, timestamp=shape.timestamp)}"


def batch(shape: Batch) -> str:
    """Return ``BEGIN ... BATCH ... APPLY BATCH``, each write ended by a semicolon."""
    kind = "" if shape.kind == "LOGGED" else f"{shape.kind} "
    writes = "; ".join(_WRITES[type(each)](each) for each in shape.shapes)
    return f"BEGIN {kind}BATCH{using(timestamp=shape.timestamp)} {writes}; APPLY BATCH"


def raw(shape: Raw) -> str:
    """Return the text as it was given."""
    return shape.text


_WRITES: dict[type[Any], Callable[[Any], str]] = {
    Insert: insert,
    InsertJson: insert_json,
    Update: update,
    CounterUpdate: counter_update,
    Delete: delete,
    Raw: raw,
}
