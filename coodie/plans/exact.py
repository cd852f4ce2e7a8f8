"""
Exact tables: writing one writer's totals, reading them back, and what folding a retired writer needs.

Rules that live here:

* A write names the whole key, the writer, its absolute totals and their timestamp (us since 1970). Sending it twice
  changes nothing, and one that comes late is ignored: so it may be retried, and share a batch.
* A writer is known by the text ``<host-uuid>/<slot>/<incarnation>``; nothing here makes or judges one.
* What is read to be written on, is read at ``LOCAL_QUORUM``; what is read to be deleted, at ``ALL``.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from coodie.cql import render
from coodie.plans.documents import key_terms
from coodie.schema import WRITER, Table
from coodie.statement import Batch, Delete, Insert, Rows, Select, Selected, Statement, Term

Own: TypeAlias = dict[str, tuple[int, int]]
"""Column -> (total, its timestamp in us) of one writer's row; columns without a value are left out."""

TOGETHER = 10
"""Partitions in one unlogged batch: the number above which Cassandra warns."""

_templates: dict[tuple[Table, tuple[str, ...]], Statement] = {}


def write(table: Table, columns: tuple[str, ...]) -> Statement:
    """
    Return the template that writes a writer's totals of these counters: one object for the same columns in any order.

    Its values are to be the key in key order, the writer, the totals in table order, and the timestamp in us. From any
    thread.
    """
    found = _templates.get((table, columns))
    if found is None:
        template = Statement(_insert(table, columns), render=render, consistency="LOCAL_QUORUM", together=TOGETHER)
        ordered = tuple(column.name for column in table.counter_columns if column.name in columns)
        template = _templates.setdefault((table, ordered), template)
        found = _templates.setdefault((table, columns), template)
    return found


def own_row(
    table: Table, key: Sequence[Any], writer: str, consistency: str = "LOCAL_QUORUM"
) -> Generator[Statement, Rows, Own]:
    """Answer one writer's row; empty where it has none. ``key`` is canonical, in key order."""
    shape = Select(table.stored, _with_writetimes(table), key_terms(table.stored))
    rows = yield Statement(shape, (*key, writer), render, consistency)
    return _own(table, list(rows.items[0].values())) if rows.items else {}


def writers(table: Table, consistency: str = "LOCAL_QUORUM") -> Generator[Statement, Rows, list[str]]:
    """Answer every writer that has a row, in alphabetical order. Reads the whole table, page by page."""
    found: set[str] = set()
    statement = Statement(Select(table.stored, (Selected(WRITER),)), (), render, consistency, fetch_size=_PAGE_ROWS)
    while True:
        rows = yield statement
        found.update(row[WRITER] for row in rows.items)
        if rows.paging_state is None:
            return sorted(found)
        statement = _next_page(statement, rows)


def rows_of(table: Table, writer: str) -> Generator[Statement, Rows, list[tuple[tuple[Any, ...], Own]]]:
    """
    Answer every (key, row) of one writer, read at ``ALL``: with a replica missing, this fails rather than miss a row.

    Reads the whole table, page by page; the writer's own rows are held in memory.
    """
    keys = tuple(Selected(column.name) for column in table.primary_key)
    shape = Select(table.stored, (*keys, *_with_writetimes(table)), (Term(WRITER),), allow_filtering=True)
    found = []
    statement = Statement(shape, (writer,), render, "ALL", fetch_size=_PAGE_ROWS)
    while True:
        rows = yield statement
        for row in rows.items:
            values = list(row.values())
            found.append((tuple(values[: len(keys)]), _own(table, values[len(keys) :])))
        if rows.paging_state is None:
            return found
        statement = _next_page(statement, rows)


def fold_row(
    table: Table,
    key: Sequence[Any],
    into: str,
    totals: Mapping[str, int],
    timestamp: int,
    dead: str,
    dead_timestamp: int,
) -> Statement:
    """
    Return the batch that writes ``totals`` of the writer ``into`` and deletes the row of ``dead``, in one partition.

    ``timestamp`` is the next of ``into``; ``dead_timestamp`` must not be below any timestamp ``dead`` ever wrote this
    row with. Sending it twice changes nothing.
    """
    columns = tuple(column.name for column in table.counter_columns if column.name in totals)
    deletion = Delete(table.stored, key_terms(table.stored), timestamp=True)
    amounts = [totals[name] for name in columns]
    values = (*key, into, *amounts, timestamp, dead_timestamp, *key, dead)
    return Statement(Batch((_insert(table, columns), deletion)), values, render, "LOCAL_QUORUM")


_PAGE_ROWS = 5_000


def _insert(table: Table, columns: Iterable[str]) -> Insert:
    wanted = set(columns)
    totals = [column.name for column in table.counter_columns if column.name in wanted]
    names = (*(column.name for column in table.primary_key), WRITER, *totals)
    return Insert(table.stored, names, timestamp=True)


def _with_writetimes(table: Table) -> tuple[Selected, ...]:
    names = [column.name for column in table.counter_columns]
    return tuple(one for name in names for one in (Selected(name), Selected(name, "writetime")))


def _own(table: Table, values: Sequence[Any]) -> Own:
    """Return a row read by ``_with_writetimes``, whose columns come in the order in which they were selected."""
    pairs = zip(table.counter_columns, values[::2], values[1::2], strict=True)
    return {column.name: (total, written) for column, total, written in pairs if total is not None}


def _next_page(statement: Statement, rows: Rows) -> Statement:
    return replace(statement, paging_state=rows.paging_state)
