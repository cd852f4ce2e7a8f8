"""
Conditional writes: whether one applies, and what it answers where it does not.

Rules that live here: a condition is asked in the transaction of the write it guards, so they are one step; a missing
row is one of NULLs, as Cassandra takes it; what decided is answered: the columns of the conditions, or the whole row
that an INSERT IF NOT EXISTS met; of a batch, the rows that all of its conditions met, with their keys.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, TypeAlias

from coodie.drivers.sqlite.names import listed, quoted, table_name
from coodie.drivers.sqlite.select import decoded
from coodie.drivers.sqlite.where import equal, placed, sizes, where, where_values
from coodie.schema import Table
from coodie.statement import Delete, Insert, Term, Update

Conditional: TypeAlias = Insert | Update | Delete
Refusal: TypeAlias = dict[str, Any]
"""The columns that kept a write from being applied."""


def is_conditional(shape: Any) -> bool:
    """Return whether a write has a condition."""
    if isinstance(shape, Insert):
        return shape.if_not_exists
    return isinstance(shape, Update | Delete) and bool(shape.conditions or shape.if_exists)


def refusal(
    connection: sqlite3.Connection, shape: Conditional, key: list[Any], values: tuple[Any, ...]
) -> Refusal | None:
    """Return what a conditional write of a row does not apply for, None where it applies or has no condition."""
    if not is_conditional(shape):
        return None
    table = shape.table
    if isinstance(shape, Insert):
        names = tuple(column.name for column in table.columns)
        row = connection.execute(_read_text(table, names), key).fetchone()
        return None if row is None else decoded(table, names, row)
    terms = shape.conditions
    text = _condition_text(table, terms, sizes(terms, values))
    holds, exists, *found = connection.execute(
        text, [*where_values(table, terms, values, null_safe=True), *key]
    ).fetchone()
    if holds and (exists or not shape.if_exists):
        return None
    names = tuple(dict.fromkeys(term.column for term in terms))
    return decoded(table, names, found) if exists else {}


def met(connection: sqlite3.Connection, asked: Sequence[tuple[Conditional, list[Any]]]) -> list[Refusal]:
    """
    Return the rows that the conditional writes of a batch (each with its key) met, in their order, each once.

    They have the key and the columns of all conditions; every column where there is an INSERT IF NOT EXISTS among them.
    """
    table = asked[0][0].table
    named = [column.name for column in table.primary_key]
    for shape, _ in asked:
        named += table.by_name if isinstance(shape, Insert) else [term.column for term in shape.conditions]
    names = tuple(dict.fromkeys(named))
    which = " OR ".join([f"({equal(table)})"] * len(asked))
    order = ", ".join(f"{placed(column)}{' DESC' if column.descending else ''}" for column in table.primary_key)
    text = f"SELECT {listed(names)} FROM {table_name(table)} WHERE {which} ORDER BY {order}"
    found = connection.execute(text, [value for _, key in asked for value in key])
    return [decoded(table, names, row) for row in found]


@lru_cache(maxsize=1024)
def _read_text(table: Table, names: tuple[str, ...]) -> str:
    return f"SELECT {listed(names)} FROM {table_name(table)} WHERE {equal(table)}"


@lru_cache(maxsize=1024)
def _condition_text(table: Table, terms: tuple[Term, ...], counts: tuple[int, ...]) -> str:
    """Return the question whether conditions hold; a missing row is one of NULLs."""
    names = tuple(dict.fromkeys(term.column for term in terms))
    answers = ", ".join([f"({where(table, terms, counts, null_safe=True)})", "present", *map(quoted, names)])
    row = f"SELECT *, 1 AS present FROM {table_name(table)} WHERE {equal(table)}"
    return f"SELECT {answers} FROM (SELECT 1) LEFT JOIN ({row}) ON 1"
