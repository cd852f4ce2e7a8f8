"""
The plain values that walk between plans and drivers.

Rules that live here:

* This module imports nothing of ours.
* A statement is structure first (a shape and its values); its CQL text is made on demand, so that a driver that does
  not speak CQL (SQLite) renders its own from the same shape.
* A shape is frozen and hashable and holds no values: equal shapes have equal text, so drivers cache prepared
  statements and renderings by shape or by text.
* ``values`` are positional, complete and in the order in which the shape names them:
  Select = where terms, then per-partition limit if set, then limit if set; Insert = columns, then ttl, then timestamp;
  Update = ttl, then timestamp, then changes, then where terms, then conditions; Delete = elements, then timestamp,
  then where terms, then conditions; CounterUpdate = columns, then key columns; Raw = as the text has placeholders.
  An ``IN`` term takes one value: a tuple of alternatives.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from enum import Enum
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
    """One result column: plain, ``function(column)`` or ``CAST(column AS cast)``; ``column='*'`` only inside count."""

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
    | Raw
)

SCHEMA_SHAPES = (CreateTable, AddColumn, CreateIndex, DropIndex, AlterOptions, DropTable, Truncate)


@dataclass(frozen=True, slots=True)
class Statement:
    """
    One statement for one round trip: what it is, its values, and how it is to be sent.

    ``render`` turns a shape into CQL text (``coodie.cql.render``, which caches). Timeouts are seconds. ``fetch_size``
    None: all rows, page by page behind the scenes; a number: one page of at most that many rows, its successor named
    by ``Rows.paging_state``.
    """

    shape: Shape
    values: tuple[Any, ...] = ()
    render: Callable[[Shape], str] = field(default=str, repr=False, compare=False)
    consistency: str | None = None
    timeout: float | None = None
    fetch_size: int | None = None
    paging_state: bytes | None = None

    @property
    def cql(self) -> str:
        """Return the CQL text, with one ``?`` for each value."""
        return self.render(self.shape)

    @property
    def idempotent(self) -> bool:
        """Return whether sending it twice leaves the database as sending it once would."""
        shape = self.shape
        if isinstance(shape, Update):
            plain = all(change.operation in ("set", "put") for change in shape.changes)
            return plain and not shape.conditions and not shape.if_exists
        if isinstance(shape, Insert):
            return not shape.if_not_exists
        if isinstance(shape, Delete):
            return not (shape.conditions or shape.if_exists or shape.elements)
        return isinstance(shape, Select | ReadColumns | ReadOptions | ReadIndexes)

    def with_values(self, values: tuple[Any, ...]) -> Statement:
        """Return the same statement with other values."""
        return replace(self, values=values)


# --- answers ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rows:
    """
    The answer to one statement: rows as dicts in the order of the result, and the state of the next page, if any.

    A conditional statement answers one row with ``"[applied]"`` in it.
    """

    items: list[dict[str, Any]] = field(default_factory=list)
    paging_state: bytes | None = None


class Fate(Enum):
    """What is known of a write."""

    APPLIED = "applied"
    NOT_APPLIED = "not applied"
    UNKNOWN = "unknown"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The fate of one statement of a fan-out; ``error`` is a ``DriverError`` unless it was applied."""

    fate: Fate
    error: Exception | None = None


APPLIED = Outcome(Fate.APPLIED)

Plan: TypeAlias = Generator[Statement, Rows, Any]
"""Yields statements, is sent their rows, returns its answer; see ``coodie.run``."""
