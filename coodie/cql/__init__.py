"""
Statements as CQL text: pure functions of a shape.

Rules that live here: one function for each kind of shape, looked up by its class; ``render`` remembers what it made,
because shapes are few and statements are many.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from coodie.cql import ddl, select, write
from coodie.statement import (
    AddColumn,
    AlterOptions,
    Batch,
    CounterUpdate,
    CreateIndex,
    CreateTable,
    Delete,
    DropIndex,
    DropTable,
    Insert,
    Raw,
    ReadColumns,
    ReadIndexes,
    ReadOptions,
    Select,
    Shape,
    Truncate,
    Update,
)

__all__ = ["render"]


def _raw(shape: Raw) -> str:
    return shape.text


_RENDERERS: dict[type[Any], Callable[[Any], str]] = {
    AddColumn: ddl.add_column,
    AlterOptions: ddl.alter_options,
    Batch: write.batch,
    CounterUpdate: write.counter_update,
    CreateIndex: ddl.create_index,
    CreateTable: ddl.create_table,
    Delete: write.delete,
    DropIndex: ddl.drop_index,
    DropTable: ddl.drop_table,
    Insert: write.insert,
    Raw: _raw,
    ReadColumns: select.read_columns,
    ReadIndexes: select.read_indexes,
    ReadOptions: select.read_options,
    Select: select.select,
    Truncate: ddl.truncate,
    Update: write.update,
}


@lru_cache(maxsize=4096)
def render(shape: Shape) -> str:
    """Return the CQL text of a shape, one ``?`` for each of its values. From any thread."""
    return _RENDERERS[type(shape)](shape)
