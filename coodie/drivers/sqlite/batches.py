"""
Batches: several writes in the one transaction of their caller.

Rules that live here:

* All writes of a batch carry one timestamp on Cassandra, where a deletion then wins over what it meets; so deletions
  come last here.
* The conditions of a batch are all asked before anything of it is written; where one does not hold, nothing is. Such a
  batch touches one partition of one table, and asks one kind of condition of a row.
* Counter updates go in a ``COUNTER`` batch, and nothing else does.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from coodie.drivers.refusals import reads_only
from coodie.drivers.sqlite import counter_rows, raw
from coodie.drivers.sqlite.conditions import Conditional, is_conditional, met, refusal
from coodie.drivers.sqlite.names import unsupported
from coodie.drivers.sqlite.parts import Write, parted, width
from coodie.drivers.sqlite.write import APPLIED, delete, full_key, insert, insert_json, inserted_key, update
from coodie.exceptions import InvalidQueryError, RowRejected
from coodie.statement import Batch, CounterUpdate, Delete, Insert, InsertJson, Raw, Rows, Statement, Update

Piece: TypeAlias = tuple[Write, tuple[Any, ...]]


def batch(connection: sqlite3.Connection, shape: Batch, statement: Statement) -> Rows:
    """Run the writes of a batch, all in the caller's transaction."""
    if shape.timestamp:
        raise unsupported("write timestamps", "make the batch without timestamp=")
    _refuse_mixed(shape)
    pieces = list(_pieces(shape.shapes, statement.values))
    conditional = any(is_conditional(each) for each, _ in pieces)
    if conditional:
        asked = list(_asked(pieces))
        _refuse_mixed_conditions(asked)
        if any(refusal(connection, *each) is not None for each in asked):
            rows = met(connection, [(each, key) for each, key, _ in asked])
            return Rows([{APPLIED: False, **row} for row in rows or [{}]])
        pieces = [_unconditional(*piece) for piece in pieces]
    for each, given in sorted(pieces, key=lambda piece: isinstance(piece[0], Delete)):
        _RUN[type(each)](connection, each, Statement(each, given))
    return Rows([{APPLIED: True}]) if conditional else Rows()


def _pieces(shapes: Sequence[Write], values: tuple[Any, ...]) -> Iterator[Piece]:
    start = 0
    for each in shapes:
        end = start + width(each)
        yield each, values[start:end]
        start = end
    if start != len(values):
        raise InvalidQueryError(f"The batch takes {start} values, not {len(values)}; nothing was written")


def _refuse_mixed(shape: Batch) -> None:
    counting = {isinstance(each, CounterUpdate) for each in shape.shapes if not isinstance(each, Raw)}
    if counting - {shape.kind == "COUNTER"}:
        raise InvalidQueryError(
            "Counter updates go in a batch of their own, of batch_type='COUNTER', and nothing else does; nothing was "
            "written"
        )
    if any(isinstance(each, Raw) and reads_only(each) for each in shape.shapes):
        raise InvalidQueryError("A batch takes writes, and was given a text that reads; nothing was written")


def _asked(pieces: Sequence[Piece]) -> Iterator[tuple[Conditional, list[Any], tuple[Any, ...]]]:
    """Yield the writes that have a condition, each with its key and what it compares with."""
    if len({_place(*piece) for piece in pieces}) > 1:
        raise InvalidQueryError("A batch with conditions touches one partition of one table; nothing was written")
    for shape, values in pieces:
        given = parted(shape, values)
        if isinstance(shape, Insert) and shape.if_not_exists:
            yield shape, inserted_key(shape, given), ()
        elif isinstance(shape, Update | Delete) and is_conditional(shape):
            yield shape, full_key(shape.table, shape.where, given.where), given.conditions


def _refuse_mixed_conditions(asked: Sequence[tuple[Conditional, list[Any], tuple[Any, ...]]]) -> None:
    """Refuse to ask of one row more than one of: that it exists, that it does not, what it holds."""
    kinds: dict[tuple[Any, ...], str] = {}
    for shape, key, _ in asked:
        kind = "IF NOT EXISTS" if isinstance(shape, Insert) else "IF EXISTS" if shape.if_exists else "IF conditions"
        if kinds.setdefault(tuple(key), kind) != kind:
            raise RowRejected(f"A batch cannot mix {kinds[tuple(key)]} and {kind} for one row; nothing was written")


def _place(shape: Write, values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the table and the partition that a write names."""
    if not isinstance(shape, Insert | Update | Delete):
        raise unsupported(f"batch with conditions and {type(shape).__name__}", "give it a batch of its own")
    given = parted(shape, values)
    if isinstance(shape, Insert):
        named = dict(zip(shape.columns, given.changes, strict=True))
    else:
        named = {
            term.column: value for term, value in zip(shape.where, given.where, strict=True) if term.operator == "="
        }
    return shape.table, *(named.get(column.name) for column in shape.table.partition_key)


def _unconditional(shape: Write, values: tuple[Any, ...]) -> Piece:
    """Return a write whose condition holds, without it."""
    if not is_conditional(shape):
        return shape, values
    if isinstance(shape, Insert):
        return replace(shape, if_not_exists=False), values
    assert isinstance(shape, Update | Delete)
    kept = len(values) - len(shape.conditions)
    return replace(shape, conditions=(), if_exists=False), values[:kept]


def _count(connection: sqlite3.Connection, shape: CounterUpdate, statement: Statement) -> None:
    layout = counter_rows.layout(shape)
    counter_rows.add(layout, layout.encoded([statement.values]), connection)


_RUN: dict[type[Any], Callable[..., Any]] = {
    Insert: insert,
    InsertJson: insert_json,
    Update: update,
    Delete: delete,
    CounterUpdate: _count,
    Raw: raw.run,
}
