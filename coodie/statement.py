"""
The plain values that walk between plans and drivers: statements and their answers.

Rules that live here:

* This module imports nothing of ours but the shapes, which are the other half of it and are offered here too.
* A statement is structure first (a shape and its values); its CQL text is made on demand, so that a driver that does
  not speak CQL (SQLite) renders its own from the same shape.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import field
from enum import Enum
from typing import Any, TypeAlias

from coodie.records import record
from coodie.shapes import (
    SCHEMA_SHAPES,
    AddColumn,
    AlterOptions,
    Batch,
    Change,
    CounterUpdate,
    CreateIndex,
    CreateTable,
    Delete,
    DropIndex,
    DropTable,
    Insert,
    InsertJson,
    Raw,
    ReadColumns,
    ReadIndexes,
    ReadOptions,
    Select,
    Selected,
    Shape,
    Term,
    Truncate,
    Update,
)

__all__ = [
    "APPLIED",
    "SCHEMA_SHAPES",
    "AddColumn",
    "AlterOptions",
    "Batch",
    "Change",
    "CounterUpdate",
    "CreateIndex",
    "CreateTable",
    "Delete",
    "DropIndex",
    "DropTable",
    "Fate",
    "Insert",
    "InsertJson",
    "Outcome",
    "Plan",
    "Raw",
    "ReadColumns",
    "ReadIndexes",
    "ReadOptions",
    "Rows",
    "Select",
    "Selected",
    "Shape",
    "Statement",
    "Term",
    "Truncate",
    "Update",
]


@record(frozen=True, slots=True)
class Statement:
    """
    One statement for one round trip: what it is, its values, and how it is to be sent.

    ``render`` turns a shape into CQL text (``coodie.cql.render``, which caches). Timeouts are seconds. ``fetch_size``
    None: all rows, page by page behind the scenes; a number: one page of at most that many rows, its successor named
    by ``Rows.paging_state``. ``together``: in a fan-out, how many partitions of this template may share one unlogged
    batch of at most 5 KiB; above 1 only for what may be sent twice, since such a batch has one answer for all.
    """

    shape: Shape
    values: tuple[Any, ...] = ()
    render: Callable[[Shape], str] = field(default=str, repr=False, compare=False)
    consistency: str | None = None
    timeout: float | None = None
    fetch_size: int | None = None
    paging_state: bytes | None = None
    together: int = 1

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
        if isinstance(shape, Insert | InsertJson):
            return not getattr(shape, "if_not_exists", False)
        if isinstance(shape, Delete):
            return not (shape.conditions or shape.if_exists or shape.elements)
        if isinstance(shape, Batch):
            return all(Statement(each).idempotent for each in shape.shapes)
        return isinstance(shape, Select | ReadColumns | ReadOptions | ReadIndexes)

    def with_values(self, values: tuple[Any, ...]) -> Statement:
        """Return the same statement with other values."""
        return Statement(
            self.shape,
            values,
            self.render,
            self.consistency,
            self.timeout,
            self.fetch_size,
            self.paging_state,
            self.together,
        )


# --- answers ------------------------------------------------------------------------------------------------------


@record(frozen=True, slots=True)
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


@record(frozen=True, slots=True)
class Outcome:
    """The fate of one statement of a fan-out; ``error`` is a ``DriverError`` unless it was applied."""

    fate: Fate
    error: Exception | None = None


APPLIED = Outcome(Fate.APPLIED)

Plan: TypeAlias = Generator[Statement, Rows, Any]
"""Yields statements, is sent their rows, returns its answer; see ``coodie.run``."""
