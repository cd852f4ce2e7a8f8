"""
Tables: creating, comparing, dropping and emptying them.

Rules that live here: columns are added, never dropped or retyped; a column the model does not know is reported to the
caller, who warns of it. What was synced is remembered in ``known``, a dict that belongs to the driver: the plan reads
and writes it, nothing else is kept. An exact table is made as ``Table.stored`` says; of the options that gives it, an
existing table is held only to what its class asks for, and to living without a TTL.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

from coodie.cql import render
from coodie.cql.quote import literal, stored_name
from coodie.exceptions import InvalidQueryError
from coodie.plans import sums
from coodie.plans.documents import insert_shape, key_terms
from coodie.plans.kinds import Known, Seen, refuse_other_kind
from coodie.schema import Table
from coodie.statement import (
    AddColumn,
    AlterOptions,
    CreateIndex,
    CreateTable,
    DropIndex,
    DropTable,
    ReadColumns,
    ReadIndexes,
    ReadOptions,
    Rows,
    Select,
    Shape,
    Statement,
    Truncate,
)

Steps = Generator[Statement, Rows, None]


@dataclass
class Sync:
    """One ``sync_table``: the statements so far, and the columns only the database has."""

    table: Table
    dry_run: bool
    statements: list[str] = field(default_factory=list)
    unknown_columns: tuple[str, ...] = ()

    @property
    def ahead(self) -> list[Statement]:
        """Return what is worth preparing now that the table is there: reading a row by its key, and writing one."""
        if self.dry_run or not self.statements:
            return []
        table = self.table
        if table.counters == "exact":
            return [next(sums.totals(table, ()))]
        read: Shape = Select(table, where=key_terms(table), limited=True)
        shapes = [read] if table.counters else [read, insert_shape(table)]
        return [Statement(shape, render=render) for shape in shapes]

    def change(self, shape: Shape) -> Steps:
        """Note a change, and make it unless this is a dry run."""
        statement = Statement(shape, render=render)
        self.statements.append(statement.cql)
        if not self.dry_run:
            yield statement


def sync(
    table: Table, known: Known, dry_run: bool = False, drop_removed_indexes: bool = False
) -> Generator[Statement, Rows, Sync]:
    """
    Create the table or add what it lacks; answer the statements in their order, and the columns the model lacks.

    A table already synced with the same column names on this driver is not asked for again, unless one of the two
    options is given. A dry run reads, and changes nothing.
    """
    task = Sync(table, dry_run)
    seen = Seen(table.counters, frozenset(table.by_name))
    if known.get(table.full_name) == seen and not dry_run and not drop_removed_indexes:
        return task
    yield from task.change(CreateTable(table.stored))
    yield from _sync_columns(task)
    yield from _sync_options(task)
    for column in table.columns:
        if column.index is not None:
            yield from task.change(CreateIndex(table, column.name, column.index))
    if drop_removed_indexes:
        yield from _drop_indexes(task)
    if not dry_run:
        known[table.full_name] = seen
    return task


def _sync_columns(task: Sync) -> Steps:
    table = task.table.stored
    columns = (yield Statement(ReadColumns(table), render=render)).items
    if columns and task.table.counters:
        refuse_other_kind(task.table, columns)
    found = {row["column_name"] for row in columns}
    missing = [column for column in table.columns if column.name not in found] if found else []
    for column in missing:
        if column.is_key:
            raise InvalidQueryError(
                f"Table {table.full_name} exists without the key column '{column.name}', and a primary key cannot be "
                "changed: use another table name"
            )
        yield from task.change(AddColumn(table, column.name))
    task.unknown_columns = tuple(sorted(found - set(table.by_name)))


def _sync_options(task: Sync) -> Steps:
    wanted = dict(task.table.options)
    if task.table.counters == "exact":
        wanted["default_time_to_live"] = 0  # a total that expires takes the whole of the writer's count with it
    if task.table.default_ttl is not None:
        wanted["default_time_to_live"] = task.table.default_ttl
    if not wanted:
        return
    rows = (yield Statement(ReadOptions(task.table), render=render)).items
    if not rows:
        return
    changed = tuple((name, literal(value)) for name, value in wanted.items() if not _same(value, rows[0].get(name)))
    if changed:
        yield from task.change(AlterOptions(task.table, changed))


def _same(wanted: Any, stored: Any) -> bool:
    """Compare an option by its text; a map may be stored with more than was asked for."""
    if isinstance(wanted, Mapping):
        return isinstance(stored, Mapping) and all(_same_entry(each, stored.get(name)) for name, each in wanted.items())
    return str(wanted) == str(stored)


def _same_entry(wanted: Any, stored: Any) -> bool:
    """Compare an entry of a map, where all values are text: a class may be stored with its package."""
    text, found = str(wanted).lower(), str(stored).lower()
    return found == text or found.endswith("." + text)


def _drop_indexes(task: Sync) -> Steps:
    indexes = [column.index for column in task.table.columns if column.index is not None]
    kept = {*indexes, *map(stored_name, indexes)}  # SQLite stores a name as it is given
    rows = (yield Statement(ReadIndexes(task.table), render=render)).items
    for row in rows:
        if row["index_name"] not in kept:
            yield from task.change(DropIndex(task.table, row["index_name"]))


def drop(table: Table, known: Known) -> Steps:
    """Drop the table, if it exists, and forget that it was synced."""
    yield Statement(DropTable(table), render=render)
    known.pop(table.full_name, None)


def truncate(table: Table) -> Steps:
    """Remove every row of the table."""
    yield Statement(Truncate(table), render=render)
