"""
The CQL type of each value of a statement, in the order of its values, as its shape and table tell.

Rules that live here: None stands for a value that needs no help on its way in, ``"?"`` for those of a text, of which
only the number is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from coodie.drivers.refusals import placeholders
from coodie.statement import (
    Batch,
    Change,
    CounterUpdate,
    Delete,
    Insert,
    InsertJson,
    Raw,
    Select,
    Term,
    Update,
)
from coodie.type_text import collection_of

Kinds = Iterator[str | None]


def kinds_of(shape: Any) -> Kinds:
    """Yield the CQL type of each value of a shape, or None where it does not matter."""
    kinds = _KINDS.get(type(shape))
    return iter(()) if kinds is None else kinds(shape)


def _select(shape: Select) -> Kinds:
    return (_of_term(shape.table, term) for term in shape.where)


def _insert(shape: Insert) -> Kinds:
    yield from (shape.table.by_name[name].cql_type for name in shape.columns)
    yield from _options(shape.ttl, shape.timestamp)


def _insert_json(shape: InsertJson) -> Kinds:
    return _options(True, shape.ttl, shape.timestamp)


def _update(shape: Update) -> Kinds:
    yield from _options(shape.ttl, shape.timestamp)
    for change in shape.changes:
        yield from _of_change(shape.table, change)
    yield from (_of_term(shape.table, term) for term in (*shape.where, *shape.conditions))


def _counter_update(shape: CounterUpdate) -> Kinds:
    yield from (None for _ in shape.columns)
    yield from (column.cql_type for column in shape.table.primary_key)


def _delete(shape: Delete) -> Kinds:
    yield from (_of_place(shape.table, name) for name in shape.elements)
    yield from _options(shape.timestamp)
    yield from (_of_term(shape.table, term) for term in (*shape.where, *shape.conditions))


def _batch(shape: Batch) -> Kinds:
    yield from _options(shape.timestamp)
    for each in shape.shapes:
        yield from kinds_of(each)


def _raw(shape: Raw) -> Kinds:
    return ("?" for _ in range(placeholders(shape.text)))


def _options(*given: bool) -> Kinds:
    return (None for each in given if each)


def _of_term(table: Any, term: Term) -> str | None:
    """Return the type of the value of a condition."""
    column = table.by_name.get(term.column)
    if column is None or term.token:
        return None
    arguments = collection_of(column.cql_type)[1]
    if term.operator in ("CONTAINS", "CONTAINS KEY"):
        return arguments[0 if term.operator == "CONTAINS KEY" else -1] if arguments else None
    return f"list<{column.cql_type}>" if term.operator == "IN" else str(column.cql_type)


def _of_change(table: Any, change: Change) -> tuple[str | None, ...]:
    """Return the types of the values of an assignment: ``c[?] = ?`` has two, and keys are taken out of a map."""
    kind: str = table.by_name[change.column].cql_type
    arguments = collection_of(kind)[1]
    if change.operation == "put":
        return _of_place(table, change.column), arguments[-1]
    if change.operation == "remove" and len(arguments) == 2:
        return (f"set<{arguments[0]}>",)
    return (kind,)


def _of_place(table: Any, name: str) -> str | None:
    """Return the type of what names one element: a key, a member, or in a list its position."""
    kind, arguments = collection_of(table.by_name[name].cql_type)
    return None if kind == "list" else arguments[0]


_KINDS: dict[type[Any], Callable[[Any], Kinds]] = {
    Select: _select,
    Insert: _insert,
    InsertJson: _insert_json,
    Update: _update,
    CounterUpdate: _counter_update,
    Delete: _delete,
    Batch: _batch,
    Raw: _raw,
}
