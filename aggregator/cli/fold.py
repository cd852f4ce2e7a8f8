"""
``aggregator fold``: merge the rows of retired writers of an exact table into those of a live one.

Rules that live here: what can be wrong with the call is found before anything is leased (exit code 2), but for names of
writers, which a fold looks up anyway. What was left alone is said, with its reason, and is no failure; what was begun
and not finished is one (exit code 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from aggregator.cli.connection import Connection, Database, Driver, Hosts, Keyspace, Port, journal_options
from aggregator.cli.failure import NOT_STORED, USAGE, Failure
from aggregator.cli.store import StoreOptions, connected
from aggregator.cli.terminal import say
from aggregator.folding import Folded, Folding
from aggregator.machine import now_us
from aggregator.retired import newest_write
from coodie.connections import driver_of
from coodie.cql import render
from coodie.exceptions import CoodieError
from coodie.plans import exact
from coodie.plans.kinds import refuse_other_kind
from coodie.run import run
from coodie.schema import WRITER, Column, Table
from coodie.statement import ReadColumns, Statement


def fold(
    table: Annotated[str, typer.Argument(metavar="TABLE", help="An exact table: NAME, or KEYSPACE.NAME.")],
    journal: Annotated[
        str,
        typer.Option(
            metavar="DIR", envvar="AGGREGATOR_JOURNAL", help="The journal whose dead slots' writers are retired."
        ),
    ],
    database: Database = None,
    hosts: Hosts = None,
    port: Port = None,
    keyspace: Keyspace = None,
    driver: Driver = None,
    connection: Connection = "default",
    dead: Annotated[
        list[str] | None,
        typer.Option(metavar="WRITER", help="A writer of a lost host or slot, to be folded too; may be repeated."),
    ] = None,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Nothing will ever write again as the writers named by --dead.")
    ] = False,
) -> None:
    """
    Merge the rows of retired writers of an exact table into those of a live one.

    A writer is retired when the journal's lease of its slot can be taken: what it holds is written first, then its rows
    are merged, each exactly once. Live processes go on counting; their writers are left alone. Interrupted at any step,
    the same command goes on where it stopped.

    While it runs, a read of a row that is being merged may be too high or too low for a moment: the merge of a row is
    applied as a whole, but a reader may see half of it. Fold rarely, and in a quiet hour.

    --dead names writers whose host is gone. Without --confirm it says what it would do (exit code 2). Run it on one
    host only, to its end, and never for a host that may come back: a writer that lives on counts twice.

    Exit code: 0 done; 1 something that was begun is not finished, or the store was not reached; 2 usage, also where a
    writer named by --dead has no row: it was folded before, or the name is wrong.
    """
    choice = StoreOptions(hosts, port, keyspace, driver, database).choice()
    options = journal_options(journal)
    with connected(choice, connection):
        store = driver_of(connection)
        found = _table(store, table)
        if dead and not confirm:
            _foretell(store, found, dead)
        report(Folding(options, store, connection, found, dead or ()).run())


def _table(driver: Any, name: str) -> Table:
    """Return an exact table as the catalogue describes it, or raise ``Failure``."""
    keyspace, _, short = name.rpartition(".")
    known = keyspace or (driver._default_keyspace if driver.needs_keyspace else None)
    if keyspace and not driver.needs_keyspace:
        raise Failure(f"{name}: the embedded store has no keyspaces; give the table's name alone", USAGE)
    rows = driver.submit(Statement(ReadColumns(Table(short, (), keyspace=known)), render=render)).items
    if not rows:
        raise Failure(f"there is no table {name}", USAGE)
    columns = tuple(_column(row) for row in rows if row["column_name"] != WRITER)
    table = Table(short, columns, keyspace=known, counters="exact")
    try:
        refuse_other_kind(table, rows)
    except CoodieError as error:
        raise Failure(f"{name} is no exact table: {error}", USAGE) from error
    return table


def _column(row: dict[str, Any]) -> Column:
    name, kind, place = row["column_name"], row["kind"], row["position"]
    if kind == "partition_key":
        return Column(name, row["type"], partition_index=place)
    if kind == "clustering":
        return Column(name, row["type"], clustering_index=place)
    return Column(name, "counter", int, counter=True)


def _foretell(driver: Any, table: Table, dead: Sequence[str]) -> None:
    """Say what would be folded, and raise ``Failure`` (usage)."""
    for writer in dead:
        rows = run(exact.rows_of(table, writer), driver)
        if rows:
            age = (now_us() - newest_write(rows)) / 60e6
            say(f"{writer}: {len(rows):,} rows would be merged; its last write was {age:,.0f} minutes ago")
        else:
            say(f"{writer}: it has no row in {table.full_name}")
    raise Failure("nothing was done; add --confirm if nothing will ever write again as these writers", USAGE)


def report(done: Folded) -> None:
    """Say what a fold did, or raise ``Failure`` where it is not finished."""
    say(f"{done.rows:,} rows merged, {len(done.gone):,} writers gone")
    for writer in done.gone:
        say(f"gone: {writer}")
    for what, why in done.skipped:
        say(f"left alone: {what}: {why}")
    if done.failure is not None:
        raise Failure(f"not finished, the same command goes on from here: {done.failure}", NOT_STORED)
    if done.absent:
        names = ", ".join(done.absent)
        raise Failure(f"--dead {names}: no such writer has a row; all else is done (was it folded before?)", USAGE)
