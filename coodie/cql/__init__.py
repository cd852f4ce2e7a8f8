"""
Statements as CQL text: pure functions of a shape.

Rules that live here: one function for each kind of shape, looked up by its class. ``render`` keeps what it made on the
shape itself, and by value for equal shapes, because shapes are few and statements are many.
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
    InsertJson,
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
    InsertJson: write.insert_json,
    Raw: write.raw,
    ReadColumns: select.read_columns,
    ReadIndexes: select.read_indexes,
    ReadOptions: select.read_options,
    Select: select.select,
    Truncate: ddl.truncate,
    Update: write.update,
}


def render(shape: Shape) -> str:
    """Return the CQL text of a shape, one ``?`` for each of its values. From any thread."""
    try:
        return shape._cql
    except AttributeError:  # the first time
        text = shape._cql = _rendered(shape)
        return text


@lru_cache(maxsize=4096)
def _rendered(shape: Shape) -> str:
    return _RENDERERS[type(shape)](shape)
