"""
Documents: writing and deleting one row.

Rules that live here: every column is named, in table order, None included; the key is canonical and complete. What
touches static columns alone names the partition alone, as CQL wants it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from coodie.cql import render
from coodie.exceptions import InvalidQueryError
from coodie.json_values import row_json
from coodie.plans.changes import changes_of, place_of, refuse_shadowed, split
from coodie.plans.counters import key_of
from coodie.plans.writing import NO_OPTIONS, Write, WriteOptions, if_clause, send, sent
from coodie.schema import Column, Table
from coodie.statement import Delete, Insert, InsertJson, Statement, Term, Update

BYPASSES_MIGRATIONS = (
    "delete_columns() changes rows past the model and its migrations: a column that is null now reads as its default, "
    "or not at all where the field has none"
)


def save(document: Any, table: Table, options: WriteOptions = NO_OPTIONS) -> Write:
    """Return the plan that writes every column of a document, over an existing row."""
    return send(whole_row(document, table, options))


def insert(document: Any, table: Table, options: WriteOptions = NO_OPTIONS) -> Write:
    """Return the plan that writes every column of a document unless its row exists, and answers which it was."""
    return sent(whole_row(document, table, options, if_not_exists=True), conditional=True)


def save_json(document: Any, table: Table, options: WriteOptions = NO_OPTIONS) -> Write:
    """Return the plan that writes a document as one JSON text, over an existing row."""
    text = row_json(table, dict(zip(table.by_name, _row(document, table), strict=True)))
    shape = InsertJson(table, options.ttl is not None, options.timestamp is not None)
    return sent(options.statement(shape, [text, *options.values()]), conditional=False)


def whole_row(
    document: Any, table: Table, options: WriteOptions = NO_OPTIONS, if_not_exists: bool = False
) -> Statement:
    """Return the statement that writes every column of a document."""
    values = _row(document, table)
    if options is NO_OPTIONS:
        return Statement(insert_shape(table, if_not_exists), values, render)
    shape = insert_shape(table, if_not_exists, options.ttl is not None, options.timestamp is not None)
    return options.statement(shape, [*values, *options.values()])


@lru_cache(maxsize=4096)
def insert_shape(table: Table, if_not_exists: bool = False, ttl: bool = False, timestamp: bool = False) -> Insert:
    """Return the shape of the INSERT of whole rows: one object for each set of options."""
    return Insert(table, tuple(table.by_name), if_not_exists, ttl, timestamp)


def _row(document: Any, table: Table) -> tuple[Any, ...]:
    """Return the values of a document's row, in table order; refuse one that was read in part."""
    if len(table.partition_key) > 1:
        key_of(document, table)  # refuses what is too long together
    try:
        return table.write_row(document.__dict__)
    except KeyError as error:
        raise InvalidQueryError(
            f"This {type(document).__name__} has no {error}: only() or defer() left that out, and writing the whole "
            "row would delete it. Use update(); nothing was sent"
        ) from error


def update(
    document: Any,
    table: Table,
    changes: Mapping[str, Any],
    *,
    if_conditions: Mapping[str, Any] | None = None,
    if_exists: bool = False,
    ttl: int | None = None,
) -> Write:
    """
    Return the plan that changes some columns of a document's row, and sets those of the document if it was applied.

    What is changed inside a collection is not set on the document: what the row then holds is not known here. Nor is
    a frozen field.
    """
    refuse_shadowed(table, ttl=ttl, if_exists=if_exists, if_conditions=if_conditions)
    assignments, operands, assigned = changes_of(type(document), table, changes)
    terms, expected, exists = if_clause(table, if_conditions, if_exists)
    touched = [*(change.column for change in assignments), *(term.column for term in terms)]
    where, key = _named(document, table, touched)
    options = WriteOptions(ttl)
    shape = Update(table, assignments, where, terms, exists, ttl is not None)
    statement = options.statement(shape, [*options.values(), *operands, *key, *expected])
    if not assignments:
        return nothing()
    return _assign(document, assigned, sent(statement, conditional=bool(terms) or if_exists))


def _assign(document: Any, assigned: Mapping[str, Any], write: Write) -> Write:
    result = yield from write
    if result is None or result.applied:
        model = type(document)
        if not model.model_config.get("frozen"):
            held = {name: value for name, value in assigned.items() if not model.model_fields[name].frozen}
            document.__dict__.update(held)  # checked before it was sent: pydantic need not check it again
            document.__pydantic_fields_set__.update(held)
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
    terms, expected, exists = if_clause(table, if_conditions, if_exists)
    shape = Delete(table, key_terms(table), conditions=terms, if_exists=exists, timestamp=timed)
    statement = options.statement(shape, [*options.values(), *key_of(document, table), *expected])
    return sent(statement, conditional=bool(terms) or if_exists)


def delete_columns(
    document: Any,
    table: Table,
    names: Sequence[str],
    options: WriteOptions = NO_OPTIONS,
    *,
    elements: Iterable[tuple[str, Any]] = (),
) -> Write:
    """Return the plan that sets columns of a document's row null, and takes single elements out of collections."""
    columns = tuple(dict.fromkeys(_data_column(table, name).name for name in names))
    pairs: list[Any] = list(elements)
    if not all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in pairs):
        raise InvalidQueryError(f"collection_elements takes pairs (column, key or position), not {pairs!r}")
    places = [(_data_column(table, name), place) for name, place in pairs]
    if not columns and not places:
        raise InvalidQueryError("Name at least one column or element to delete; nothing was sent")
    within = tuple(column.name for column, _ in places)
    where, key = _named(document, table, (*columns, *within))
    shape = Delete(table, where, columns, within, timestamp=options.timestamp is not None)
    found = [place_of(column, place) for column, place in places]
    return sent(options.statement(shape, [*found, *options.values(), *key]), conditional=False)


def _data_column(table: Table, name: str) -> Column:
    column, suffix = split(table, name)
    if suffix:
        raise InvalidQueryError(f"delete_columns() takes names of columns, not '{name}'; nothing was sent")
    return column


def nothing() -> Write:
    """Return the plan that sends nothing."""
    return None
    yield  # what makes it a generator


def key_terms(table: Table) -> tuple[Term, ...]:
    """Return the terms that name one row: every key column, in key order."""
    return tuple(Term(column.name) for column in table.primary_key)


def _named(document: Any, table: Table, touched: Sequence[str]) -> tuple[tuple[Term, ...], tuple[Any, ...]]:
    """Return the terms and values that name a document's row, or its partition where only static columns matter."""
    terms, key = key_terms(table), key_of(document, table)
    if touched and all(table.by_name[name].static for name in touched):
        parts = len(table.partition_key)
        return terms[:parts], key[:parts]
    return terms, key
