"""
Shapes: what a statement is, without its values.

Rules that live here:

* A shape is frozen and hashable and holds no values: equal shapes have equal text, so drivers cache prepared
  statements and renderings by shape or by text.
* The values of a statement are positional, complete and in the order in which its shape names them:
  Select = where terms, then per-partition limit if set, then limit if set; Insert = columns, then ttl, then timestamp;
  InsertJson = the JSON text, then ttl, then timestamp;
  Update = ttl, then timestamp, then changes, then where terms, then conditions; Delete = elements, then timestamp,
  then where terms, then conditions; CounterUpdate = columns, then key columns; Batch = timestamp,
  then those of its shapes, one after the other; Raw = as the text has placeholders. An ``IN`` term takes one value: a
  tuple of alternatives.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

from coodie.records import record


class Renderable:
    """What every shape has besides its fields: room for the text that was made of it."""

    __slots__ = ("_cql",)
    _cql: str


class Term(NamedTuple):
    """One condition of a WHERE clause or of an IF clause: ``column operator ?``."""

    column: str
    operator: str = "="  # one of: =  !=  <  <=  >  >=  IN  CONTAINS  CONTAINS KEY  LIKE
    token: bool = False


class Change(NamedTuple):
    """
    One assignment of an UPDATE.

    ``set`` is c = ?, ``append`` c = c + ?, ``prepend`` c = ? + c, ``remove`` c = c - ?, ``put`` c[?] = ?.
    """

    column: str
    operation: str = "set"


class Selected(NamedTuple):
    """
    One result column: plain, ``function(column)``, ``CAST(column AS cast)`` or ``function(CAST(column AS cast))``.

    ``column='*'`` only inside count.
    """

    column: str
    function: str | None = None  # count sum avg min max writetime ttl token
    cast: str | None = None
    others: tuple[str, ...] = ()  # the further columns of a token of a composite partition key


@record(frozen=True, slots=True)
class Select(Renderable):
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


@record(frozen=True, slots=True)
class Insert(Renderable):
    """``INSERT INTO t (columns) VALUES (...)``: an upsert, unless ``if_not_exists``."""

    table: Any
    columns: tuple[str, ...]
    if_not_exists: bool = False
    ttl: bool = False
    timestamp: bool = False


@record(frozen=True, slots=True)
class InsertJson(Renderable):
    """``INSERT INTO t JSON ?``: a whole row as JSON; a column it does not name becomes null."""

    table: Any
    ttl: bool = False
    timestamp: bool = False


@record(frozen=True, slots=True)
class Update(Renderable):
    """``UPDATE t SET changes WHERE ... IF ...``."""

    table: Any
    changes: tuple[Change, ...]
    where: tuple[Term, ...]
    conditions: tuple[Term, ...] = ()
    if_exists: bool = False
    ttl: bool = False
    timestamp: bool = False


@record(frozen=True, slots=True)
class CounterUpdate(Renderable):
    """``UPDATE t SET a = a + ?, b = b + ? WHERE k = ? AND ...``: columns in table order, the key in key order."""

    table: Any
    columns: tuple[str, ...]


@record(frozen=True, slots=True)
class Delete(Renderable):
    """``DELETE columns, elements FROM t WHERE ... IF ...``; no columns: the row."""

    table: Any
    where: tuple[Term, ...]
    columns: tuple[str, ...] = ()
    elements: tuple[str, ...] = ()
    conditions: tuple[Term, ...] = ()
    if_exists: bool = False
    timestamp: bool = False


@record(frozen=True, slots=True)
class CreateTable(Renderable):
    """``CREATE TABLE IF NOT EXISTS`` with every column, the key, the clustering order and the table options."""

    table: Any


@record(frozen=True, slots=True)
class AddColumn(Renderable):
    """``ALTER TABLE t ADD column``."""

    table: Any
    column: str


@record(frozen=True, slots=True)
class CreateIndex(Renderable):
    """``CREATE INDEX IF NOT EXISTS index ON t (column)``."""

    table: Any
    column: str
    index: str


@record(frozen=True, slots=True)
class DropIndex(Renderable):
    """``DROP INDEX IF EXISTS index``."""

    table: Any
    index: str


@record(frozen=True, slots=True)
class AlterOptions(Renderable):
    """``ALTER TABLE t WITH options``."""

    table: Any
    options: tuple[tuple[str, str], ...]  # (name, CQL text of its value)


@record(frozen=True, slots=True)
class DropTable(Renderable):
    """``DROP TABLE IF EXISTS t``."""

    table: Any


@record(frozen=True, slots=True)
class Truncate(Renderable):
    """``TRUNCATE TABLE t``."""

    table: Any


@record(frozen=True, slots=True)
class ReadColumns(Renderable):
    """Ask for rows ``{"column_name", "type", "kind", "position"}``, type as CQL text; no rows: no such table."""

    table: Any


@record(frozen=True, slots=True)
class ReadOptions(Renderable):
    """Ask the catalogue for the options of the table: one row, option name -> value; no rows where it has none."""

    table: Any


@record(frozen=True, slots=True)
class ReadIndexes(Renderable):
    """Ask the catalogue: rows ``{"index_name"}``."""

    table: Any


@record(frozen=True, slots=True)
class Raw(Renderable):
    """A statement given as text, by ``execute_raw`` or the keyspace functions."""

    text: str


@record(frozen=True, slots=True)
class Batch(Renderable):
    """
    ``BEGIN UNLOGGED BATCH ...; ... APPLY BATCH``: writes with one answer for all of them.

    Those to one partition are applied together or not at all; with ``kind`` ``"LOGGED"`` all of them are, sooner or
    later. ``"COUNTER"``: counter updates alone.
    """

    shapes: tuple[Insert | InsertJson | Update | CounterUpdate | Delete | Raw, ...]
    kind: str = "UNLOGGED"
    timestamp: bool = False

    @property
    def table(self) -> Any:
        """Return the table of the first write, None where that is a text."""
        return getattr(self.shapes[0], "table", None)


Shape: TypeAlias = (
    Select
    | Insert
    | InsertJson
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
