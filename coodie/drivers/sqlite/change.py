"""
The changes of an UPDATE as SQL text, and their values as stored.

Rules that live here: a change inside a collection is made by the SQL function ``coodie_change`` on the stored JSON; on
a counter ``append`` adds and ``remove`` subtracts, and clearing one makes it 0. ``put`` takes two values, a key or a
position and the new element; every other change takes one, ``clear`` none. One column is changed once in a write, but
for several elements that are taken from a set or a map.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from coodie.drivers.sqlite.collections import dumped, element, storage, unfrozen
from coodie.drivers.sqlite.names import column_of, quoted, unsupported
from coodie.drivers.sqlite.values import encode
from coodie.exceptions import InvalidQueryError
from coodie.schema import Column, Table
from coodie.statement import Change

_SIGNS = {"append": "+", "remove": "-"}


def value_count(change: Change) -> int:
    """Return how many values a change takes."""
    return {"put": 2, "clear": 0}.get(change.operation, 1)


def assignment(table: Table, changes: Sequence[Change]) -> str:
    """Return changes as the SET clause of an UPDATE, its placeholders numbered: nested ones are out of their order."""
    expressions: dict[str, str] = {}
    number = 1
    for change in changes:
        column = column_of(table, change.column)
        name = quoted(column.name)
        if name in expressions and (change.operation != "discard" or unfrozen(column.cql_type)[0] == "list"):
            raise unsupported(f"several changes of column {column.name!r} in one write", "make them one by one")
        marks = [f"?{number + place}" for place in range(value_count(change))]
        expressions[name] = _changed(table, column, change.operation, expressions.get(name, name), marks)
        number += len(marks)
    return ", ".join(f"{name} = {expression}" for name, expression in expressions.items())


def assignment_values(table: Table, changes: Sequence[Change], values: Sequence[Any]) -> list[Any]:
    """Return the values of changes as stored, one for each placeholder."""
    stored: list[Any] = []
    remaining = iter(values)
    for change in changes:
        column = column_of(table, change.column)
        operands = [next(remaining) for _ in range(value_count(change))]
        for how, operand in zip(_encodings(column, change.operation), operands, strict=False):
            stored.append(encode(table, column, how, operand))
    return stored


def _changed(table: Table, column: Column, operation: str, before: str, marks: Sequence[str]) -> str:
    """Return the SQL text of a column's value after a change of what was there before."""
    if column.is_key:
        raise InvalidQueryError(f"Key column {column.name!r} of table {table.name} cannot be changed; nothing was sent")
    if operation == "set":
        return marks[0]
    if operation == "clear":
        return "0" if column.counter else "NULL"
    if column.counter and operation in _SIGNS:
        return f"{before} {_SIGNS[operation]} {marks[0]}"
    return f"coodie_change('{_kind(column, operation)}', '{operation}', {before}, {', '.join(marks)})"


def _kind(column: Column, operation: str) -> str:
    """Return the kind of collection that takes a change; InvalidQueryError where there is none."""
    kind = unfrozen(column.cql_type)[0]
    allowed = {
        "list": ("append", "prepend", "remove", "put", "discard"),
        "set": ("append", "remove", "discard"),
        "map": ("append", "remove", "put", "discard"),
    }
    if operation not in allowed.get(kind, ()):
        raise InvalidQueryError(
            f"Column {column.name!r} of type {column.cql_type} takes no {operation!r}; nothing was sent"
        )
    return kind


def _encodings(column: Column, operation: str) -> list[Any]:
    """Return how each operand of a change is stored."""
    kind, arguments = unfrozen(column.cql_type)
    if operation in ("put", "discard"):
        place = "int" if kind == "list" else arguments[0]
        return [_json(place), _json(arguments[-1])]
    if operation == "remove" and kind == "map":
        return [storage(f"set<{arguments[0]}>").encode]
    return [storage(column.cql_type).encode]


def _json(cql_type: str) -> Any:
    """Return how one element is stored as JSON text of its own; None is not an element."""
    pack = element(cql_type).pack
    return lambda value: dumped(pack(value))
