"""
The kind of a counter table: the one its class declares, against the one the database has.

Rules that live here:

* A native table read as an exact one, or the other way round, would give wrong totals: it is refused instead. The
  catalogue is asked once per table and driver, before its first read or direct increment; ``sync_table`` asks anyway.
* An exact table has a clustering column ``writer`` that its class does not name; a native one has columns of type
  counter (a table made by other hands in SQLite need not).
* What was seen is remembered in ``known``, a dict that belongs to the driver, until the database refuses the table.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from coodie.cql import render
from coodie.exceptions import ConfigurationError
from coodie.schema import WRITER, Table
from coodie.statement import ReadColumns, Rows, Statement

T = TypeVar("T")


class Seen(NamedTuple):
    """What is known of a table: the kind of its counters, and its columns if it was synced."""

    counters: str | None
    columns: frozenset[str] | None = None


Known = dict[str, Seen]
"""Full name of a table -> what is known of it."""


def checked(table: Table, known: Known | None, plan: Generator[Statement, Rows, T]) -> Generator[Statement, Rows, T]:
    """Return a plan about a table, preceded by a look at its kind unless that is known; ``known`` None: not asked."""
    if table.counters is None or known is None:
        return plan
    seen = known.get(table.full_name)
    return plan if seen is not None and seen.counters == table.counters else _checking(table, known, plan)


def _checking(table: Table, known: Known, plan: Generator[Statement, Rows, T]) -> Generator[Statement, Rows, T]:
    columns = (yield Statement(ReadColumns(table), render=render)).items
    if columns:  # else there is no such table: the plan is told so
        refuse_other_kind(table, columns)
        known[table.full_name] = Seen(table.counters)
    return (yield from plan)


def refuse_other_kind(table: Table, columns: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a counter table whose columns, as the catalogue tells them, are of the other kind."""
    by_writer = any(column["column_name"] == WRITER and column.get("kind") == "clustering" for column in columns)
    if table.counters == "native" and by_writer and WRITER not in table.by_name:
        raise _other_kind(table, "has one row for each writer, as counters = 'exact' makes it", "exact")
    if table.counters == "exact" and any(column.get("type") == "counter" for column in columns):
        raise _other_kind(table, "has native counters", "native")
    if table.counters == "exact" and not by_writer:
        raise _other_kind(table, f"has no clustering column '{WRITER}'", None)


def _other_kind(table: Table, found: str, fitting: str | None) -> ConfigurationError:
    instead = f"set counters = '{fitting}', or use another table name" if fitting else "use another table name"
    return ConfigurationError(
        f"Settings.counters of table {table.full_name} is '{table.counters}', but the table in the database {found}: "
        f"{instead}. Nothing was changed"
    )
