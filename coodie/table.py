"""
Column and Table: a table as plain values, and the form in which an exact one is stored.

Rules that live here:

* A Table is compared by identity, so shapes that hold one hash fast; ``Table.qualified`` gives the one Table of a
  keyspace, the same object each time. Columns are in the order of the class, keys included.
* An exact table is stored as ``Table.stored`` says: one row for each (primary key, writer), with that writer's own
  totals. Every statement is about the stored form; models, queries and the aggregator see the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from coodie.exceptions import ConfigurationError, InvalidQueryError
from coodie.types import canonical, key_writer_of, row_writer_of, writer_of

WRITER = "writer"
"""The clustering column that an exact table has beside those of its model."""
_EXACT_OPTIONS = {
    "compaction": {"class": "LeveledCompactionStrategy"},
    "gc_grace_seconds": 864_000,
    "default_time_to_live": 0,
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, CQL type text, and role."""

    name: str
    cql_type: str  # e.g. "text", "bigint", "counter", "list<int>", "frozen<set<text>>"
    annotation: Any = str  # the Python type, markers and Optional stripped: str, int, list[int], ...
    partition_index: int | None = None
    clustering_index: int | None = None
    descending: bool = False
    counter: bool = False
    static: bool = False
    index: str | None = None  # name of its secondary index
    optional: bool = False

    @property
    def is_key(self) -> bool:
        """Return whether the column is part of the primary key."""
        return self.partition_index is not None or self.clustering_index is not None


@dataclass(frozen=True, eq=False)
class Table:
    """One table: its name, columns and options; ``keyspace`` is None until resolved (and stays so on SQLite)."""

    name: str
    columns: tuple[Column, ...]
    keyspace: str | None = None
    options: tuple[tuple[str, Any], ...] = ()
    default_ttl: int | None = None
    counters: str | None = None  # None: no counter table; "native" or "exact"
    per_writer: bool = False  # the stored form of an exact table: each row is one writer's
    _in_keyspace: dict[str, Table] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        by_name = {column.name: column for column in self.columns}
        partition = sorted(
            (c for c in self.columns if c.partition_index is not None), key=lambda c: c.partition_index or 0
        )
        clustering = sorted(
            (c for c in self.columns if c.clustering_index is not None), key=lambda c: c.clustering_index or 0
        )
        put = object.__setattr__
        put(self, "by_name", by_name)
        put(self, "partition_key", tuple(partition))
        put(self, "clustering", tuple(clustering))
        put(self, "primary_key", (*partition, *clustering))
        put(self, "counter_columns", tuple(c for c in self.columns if c.counter))
        put(self, "stored", _stored(self) if self.counters == "exact" else self)

    by_name: dict[str, Column] = field(init=False, repr=False)
    partition_key: tuple[Column, ...] = field(init=False, repr=False)
    clustering: tuple[Column, ...] = field(init=False, repr=False)
    primary_key: tuple[Column, ...] = field(init=False, repr=False)
    counter_columns: tuple[Column, ...] = field(init=False, repr=False)
    stored: Table = field(init=False, repr=False)
    """The table as the database has it: itself but for an exact one, always the same object."""

    @property
    def full_name(self) -> str:
        """Return ``keyspace.table``, or ``table`` alone where there is no keyspace."""
        return f"{self.keyspace}.{self.name}" if self.keyspace else self.name

    def qualified(self, keyspace: str) -> Table:
        """Return this table in a keyspace: the same object for the same keyspace."""
        found = self._in_keyspace.get(keyspace)
        if found is None:
            made = replace(self, keyspace=keyspace, _in_keyspace={})
            found = self._in_keyspace.setdefault(keyspace, made)
        return found

    @cached_property
    def write_row(self) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
        """Return what gives the values of a row, by name, as they are written, in table order; keys canonical."""
        keys = {column.name: key_writer_of(column, self.key_value) for column in self.primary_key}
        return row_writer_of({**self.writers, **keys})

    @cached_property
    def writers(self) -> dict[str, Callable[[Any], Any]]:
        """Return, for each column in table order, what checks a value and gives the form in which it is written."""
        return {column.name: writer_of(column) for column in self.columns}

    def key_value(self, column: Column, value: Any) -> Any:
        """Return the canonical form of a value for a column, refusing what the key as a whole cannot be."""
        checked = canonical(column, value)
        if isinstance(checked, str | bytes) and not checked and self.partition_key == (column,):
            raise InvalidQueryError(f"Column '{column.name}' is the whole partition key and cannot be empty")
        return checked


def _stored(table: Table) -> Table:
    """Return the stored form of an exact table: the key, the writer, and bigint totals, in this order."""
    writer = Column(
        WRITER, "text", clustering_index=1 + max((c.clustering_index or 0 for c in table.clustering), default=-1)
    )
    totals = (replace(column, cql_type="bigint", counter=False) for column in table.counter_columns)
    return replace(
        table,
        columns=(*table.primary_key, writer, *totals),
        options=tuple({**_EXACT_OPTIONS, **dict(table.options)}.items()),
        counters=None,
        per_writer=True,
        _in_keyspace={},
    )


def require_native(table: Table) -> Table:
    """Return the table, refusing an exact one: its totals are written by an aggregator alone."""
    if table.counters == "exact":
        raise not_started(table)
    return table


def not_started(table: Table) -> ConfigurationError:
    """Return the error of a change to an exact table that no aggregator takes."""
    return ConfigurationError(
        f"Table {table.name} has Settings.counters = 'exact': its counters need a started Aggregator; nothing was "
        "written"
    )
