"""
Checks of exact tables: how many writers a row has, and whether what this host has written is still there.

Rules that live here:

* A row that a journal says was written with a total, and that is stored without one, was removed behind our back. The
  journal is read before and after the database, and only rows whose total it held settled both times are judged.
* At most ``ROWS`` rows of a slot, and ``SCANNED`` rows of a table, are looked at: enough to see that a table was
  emptied, quick enough to ask at any time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from aggregator.cli.doctor_checks import Check, Checks, finding, ok
from aggregator.cli.failure import in_one_line
from aggregator.cli.stats_journal import held
from aggregator.core.taken import Key
from aggregator.exceptions import JournalError
from aggregator.journal.directory import Directory
from aggregator.journal.holdings import Holdings, Row, holdings
from aggregator.keeping import table_of
from coodie.cql import render
from coodie.exceptions import CoodieError
from coodie.plans import exact
from coodie.run import run
from coodie.schema import WRITER, Table
from coodie.statement import Select, Selected, Statement

ROWS = 500
SCANNED = 50_000
MOST_WRITERS = 32
"""Rows of writers that a key may have before reading it takes notably longer than reading one row."""

_PAGE = 5_000


def writers(driver: Any, table: Table) -> Check:
    """Count the rows that writers have under one key."""
    counts: Counter[Any] = Counter()
    try:
        counts.update(islice(_keys(driver, table), SCANNED))
    except CoodieError as error:
        return finding("writers", f"{table.full_name} cannot be read: {in_one_line(error)}", "see to the table")
    if not counts:
        return ok("writers", f"{table.full_name} is empty")
    most = max(counts.values())
    looked = f"{table.full_name}: at most {most} rows of writers for one key ({counts.total():,} rows looked at)"
    if most <= MOST_WRITERS:
        return ok("writers", looked)
    change = (
        f"aggregator fold {table.name} --journal DIR merges those of retired writers. A journal lets processes that "
        "start again go on as the writer they were, and an agent makes one writer of a host"
    )
    return finding("writers", looked, change)


def _keys(driver: Any, table: Table) -> Iterator[tuple[Any, ...]]:
    names = [*(column.name for column in table.primary_key), WRITER]
    statement = Statement(Select(table.stored, tuple(map(Selected, names))), (), render, fetch_size=_PAGE)
    while True:
        rows = driver.submit(statement)
        for row in rows.items:
            yield tuple(map(str, list(row.values())[:-1]))
        if rows.paging_state is None:
            return
        statement = replace(statement, paging_state=rows.paging_state)


def exact_tables(directories: Iterable[Directory], connection: str) -> dict[str, Table]:
    """Return the exact tables that a journal knows of a connection, by name."""
    return {each.name: table_of(each.record) for _path, each in _exact(directories, connection)}


def _exact(directories: Iterable[Directory], connection: str) -> Iterator[tuple[str, Holdings]]:
    for path, found in held(directories):
        for each in found if not isinstance(found, str) else ():
            if each.record.counters == "exact" and each.record.connection == connection and each.writer:
                yield path, each


def stored(driver: Any, directories: Iterable[Directory], connection: str) -> Checks:
    """Compare what writers of this host have written with what is stored."""
    for path, each in _exact(directories, connection):
        where = f"{each.name}, {Path(path).name}"
        try:
            looked, gone, different = _compared(driver, path, each)
        except (CoodieError, JournalError) as error:
            yield finding("stored", f"{where}: {in_one_line(error)}", "see to the table and the journal")
            continue
        if not gone and not different:
            yield ok("stored", f"{where}: {looked:,} rows are stored as the journal has them")
        elif gone:
            yield finding(
                "stored",
                f"{where}: {gone:,} of {looked:,} rows that were written are not stored any more",
                "something else empties the table. The next hit of such a row writes its whole total again: to empty a "
                "table for good, truncate() or delete through coodie with the aggregator started",
            )
        if different:
            yield finding(
                "stored",
                f"{where}: {different:,} of {looked:,} rows are stored with other totals than were written",
                "something else writes the table, or a backup was restored: the next hit of such a row writes the "
                "journal's total. Keep other programs from this table",
            )


def _compared(driver: Any, path: str, each: Holdings) -> tuple[int, int, int]:
    """Return how many rows were looked at, how many are not stored, and how many differ."""
    table, writer = table_of(each.record), each.writer or ""
    before = dict(islice(_written(each), ROWS))
    found = {key: run(exact.own_row(table, each.key_values(key), writer), driver) for key in before}
    again = next((one for one in holdings(Path(path)) if one.name == each.name), None)
    after = dict(_written(again)) if again is not None and again.writer == writer else {}
    judged = {key: totals for key, totals in before.items() if after.get(key) == totals}
    gone = sum(not found[key] for key in judged)
    different = sum(
        any(found[key].get(name, (0, 0))[0] != total for name, total in totals.items())
        for key, totals in judged.items()
        if found[key]
    )
    return len(judged), gone, different


def _written(each: Holdings) -> Iterator[tuple[Key, dict[str, int]]]:
    """Give the rows that were written as they are, with their totals: nothing of them is pending or was refused."""
    for row in each.rows:
        if row.is_known and row.key not in each.rejected and _is_settled(row):
            yield row.key, {name: cell.settled for name, cell in row.cells.items()}


def _is_settled(row: Row) -> bool:
    cells = row.cells.values()
    return any(cell.settled for cell in cells) and all(cell.total == cell.settled for cell in cells)
