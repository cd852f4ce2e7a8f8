"""
Shapes: what a statement is, without its values.

Rules that live here:

* A shape is frozen and hashable and holds no values: equal shapes have equal text, so drivers cache prepared
  statements and renderings by shape or by text.
* The values of a statement are positional, complete and in the order in which its shape names them:
  Select = where terms, then per-partition limit if set, then limit if set; Insert = columns, then ttl, then timestamp;
  Update = ttl, then timestamp, then changes, then where terms, then conditions; Delete = elements, then timestamp,
  then where terms, then conditions; CounterUpdate = columns, then key columns; Batch = those of its shapes, one after
  the other; Raw = as the text has placeholders. An ``IN`` term takes one value: a tuple of alternatives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Term:
    """One condition of a WHERE clause or of an IF clause: ``column operator ?``."""

    column: str
    operator: str = "="  # one of: =  !=  <  <=  >  >=  IN  CONTAINS  CONTAINS KEY  LIKE
    token: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """
    One assignment of an UPDATE.

    ``set`` is c = ?, ``append`` c = c + ?, ``prepend`` c = ? + c, ``remove`` c = c - ?, ``put`` c[?] = ?.
    """

    column: str
    operation: str = "set"


@dataclass(frozen=True, slots=True)
class Selected:
    """
    One result column: plain, ``function(column)``, ``CAST(column AS cast)`` or ``function(CAST(column AS cast))``.

    ``column='*'`` only inside count.
    """

    column: str
    function: str | None = None  # count sum avg min max writetime ttl token
    cast: str | None = None


@dataclass(frozen=True, slots=True)
class Select:
    """``SELECT columns FROM t WHERE ...``."""

    table: Any
    columns: tuple[Selected, ...] = ()  # empty: every column of the table
    where: tuple[Term, ...] = ()
    order: tuple[tuple[str, bool], ...] = ()  # (column, descending)
    limited: bool = False
    allow_filtering: bool = False
    distinct: bool = False
    group_by: tuple[str, ...] = ()
    per_partition_limited: bool = False


@dataclass(frozen=True, slots=True)
class Insert:
    """``INSERT INTO t (columns) VALUES (...)``: an upsert, unless ``if_not_exists``."""

    table: Any
    columns: tuple[str, ...]
    if_not_exists: bool = False
    ttl: bool = False
    timestamp: bool = False


@dataclass(frozen=True, slots=True)
class Update:
    """``UPDATE t SET changes WHERE ... IF ...``."""

    table: Any
    changes: tuple[Change, ...]
    where: tuple[Term, ...]
    conditions: tuple[Term, ...] = ()
    if_exists: bool = False
    ttl: bool = False
    timestamp: bool = False


@dataclass(frozen=True, slots=True)
class CounterUpdate:
    """``UPDATE t SET a = a + ?, b = b + ? WHERE k = ? AND ...``: columns in table order, the key in key order."""

    table: Any
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Delete:
    """``DELETE columns, elements FROM t WHERE ... IF ...``; no columns: the row."""

    table: Any
    where: tuple[Term, ...]
    columns: tuple[str, ...] = ()
    elements: tuple[str, ...] = ()
    conditions: tuple[Term, ...] = ()
    if_exists: bool = False
    timestamp: bool = False


@dataclass(frozen=True, slots=True)
class CreateTable:
    """``CREATE TABLE IF NOT EXISTS`` with every column, the key, the clustering order and the table options."""

    table: Any


@dataclass(frozen=True, slots=True)
class AddColumn:
    """``ALTER TABLE t ADD column``."""

    table: Any
    column: str


@dataclass(frozen=True, slots=True)
class CreateIndex:
    """``CREATE INDEX IF NOT EXISTS index ON t (column)``."""

    table: Any
    column: str
    index: str


@dataclass(frozen=True, slots=True)
class DropIndex:
    """``DROP INDEX IF EXISTS index``."""

    table: Any
    index: str


@dataclass(frozen=True, slots=True)
class AlterOptions:
    """``ALTER TABLE t WITH options``."""

    table: Any
    options: tuple[tuple[str, str], ...]  # (name, CQL text of its value)


@dataclass(frozen=True, slots=True)
class DropTable:
    """``DROP TABLE IF EXISTS t``."""

    table: Any


@dataclass(frozen=True, slots=True)
class Truncate:
    """``TRUNCATE TABLE t``."""

    table: Any


@dataclass(frozen=True, slots=True)
class ReadColumns:
    """Ask for rows ``{"column_name", "type", "kind", "position"}``, type as CQL text; no rows: no such table."""

    table: Any


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """Ask the catalogue for the options of the table: one row, option name -> value; no rows where it has none."""

    table: Any


@dataclass(frozen=True, slots=True)
class ReadIndexes:
    """Ask the catalogue: rows ``{"index_name"}``."""

    table: Any


@dataclass(frozen=True, slots=True)
class Batch:
    """
    ``BEGIN UNLOGGED BATCH ...; ... APPLY BATCH``: writes to one table with one answer for all of them.

    Those to one partition are applied together or not at all.
    """

    shapes: tuple[Insert | Delete, ...]

    @property
    def table(self) -> Any:
        """Return the table of the first write: each other is to the same."""
        return self.shapes[0].table


@dataclass(frozen=True, slots=True)
class Raw:
    """A statement given as text, by ``execute_raw`` or the keyspace functions."""

    text: str


Shape: TypeAlias = (
    Select
    | Insert
    | Update
    | CounterUpdate
    | Delete
    | CreateTable
    | AddColumn
    | CreateIndex
    | DropIndex
    | AlterOptions
    | DropTable
    | Truncate
    | ReadColumns
    | ReadOptions
    | ReadIndexes
    | Batch
    | Raw
)

SCHEMA_SHAPES = (CreateTable, AddColumn, CreateIndex, DropIndex, AlterOptions, DropTable, Truncate)
