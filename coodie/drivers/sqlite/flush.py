"""
Writing a stream of statements, in transactions of many rows, and telling the fate of each.

Rules that live here:

* A chunk is one transaction: all of it is applied or none.
* One bad row must not lose the others: a refused chunk is halved until the bad rows stand alone; a missing table
  takes only the rows of its own template with it.
* The transaction also writes the writer's sequence number. Where COMMIT fails and it is unclear whether it was applied,
  the number is read back on a fresh connection: equal, applied; another, not applied; unreadable, unknown. Numbers are
  nanoseconds of the clock, ever rising, so rows that dead writers left can be recognised by age and removed.
* The file is neither lent nor locked while the caller's iterator or ``settle`` runs.
"""

from __future__ import annotations

import logging
import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any, TypeAlias

from coodie.drivers.outcomes import forget_refused, outcome_of
from coodie.drivers.protocol import Settle, Work
from coodie.drivers.sqlite import counter_rows, exact_rows
from coodie.drivers.sqlite.errors import ERRORS, classified
from coodie.drivers.sqlite.groups import Group, Taking, parted
from coodie.drivers.sqlite.marks import Marks
from coodie.drivers.sqlite.opening import open_connection
from coodie.drivers.sqlite.pool import Pool, transaction
from coodie.exceptions import (
    ConfigurationError,
    DriverError,
    InvalidQueryError,
    MaybeApplied,
    NotApplied,
    TableRejected,
)
from coodie.statement import APPLIED, CounterUpdate, Fate, Outcome, Statement

_log = logging.getLogger("coodie")

CHUNK_ROWS = 32_768
STALE_NS = 24 * 3600 * 10**9

Step: TypeAlias = Callable[[sqlite3.Connection], Any]
Write: TypeAlias = Callable[[Statement, sqlite3.Connection], Any]

_MARK = "INSERT INTO coodie_flushes VALUES (?, ?) ON CONFLICT (writer) DO UPDATE SET seq = excluded.seq"
_MARKED = "SELECT seq FROM coodie_flushes WHERE writer = ?"


class Writer:
    """What one driver in one process writes with: its id, and the number of its last transaction."""

    def __init__(self) -> None:
        self.id = secrets.token_hex(16)
        self.pid = os.getpid()
        self.seq = 0

    def next_seq(self) -> int:
        """Return a number above every earlier one. The caller is the one writer of the process."""
        self.seq = max(self.seq + 1, time.time_ns())
        return self.seq


class Flush:
    """Writes chunks for one driver. From any thread; ``write`` runs a statement that is no counter update."""

    def __init__(self, pool: Pool, write: Write) -> None:
        self._pool = pool
        self._write = write
        self._writer = Writer()
        self._marked: dict[str, int] = {}  # the latest flush of each writer that was marked here

    def run(self, work: Work, settle: Settle, known: dict[str, Any], mark: tuple[str, int] | None = None) -> None:
        """
        Write everything the work yields, telling the fate of each; an error of the iterator ends it, after that.

        ``known``: the driver's memory of synced tables, from which refused ones are removed. ``mark``: (writer, number)
        of the flush, to note in each transaction what it applied.
        """
        marks = None
        if mark is not None:
            marks = Marks(*mark, self._marked.get(mark[0]))
            self._marked[mark[0]] = mark[1]
        remaining, start = iter(work), 0
        failure: BaseException | None = None
        while failure is None:
            taking = Taking(start)
            try:
                taking.take(islice(remaining, CHUNK_ROWS))
            except BaseException as error:  # raised below: what it yielded first is owed an outcome
                failure = error
            if not taking.groups:
                break
            self._settle(taking.groups, settle, known, marks)
            start = taking.next_index()
        if failure is not None:
            raise failure

    def one(self, statement: Statement) -> Outcome:
        """Write one counter update and return its fate."""
        return self._written([Group(statement, [(0, 1)], [statement.values])], statement.timeout)

    def forget_writer(self) -> None:
        """Remove this writer's number from the file, as far as that is possible."""
        if self._writer.seq and self._writer.pid == os.getpid():
            try:
                with self._pool.writing(timeout=1.0) as connection:
                    connection.execute("DELETE FROM coodie_flushes WHERE writer = ?", [self._writer.id])
            except (*ERRORS, DriverError, ConfigurationError):
                _log.debug("The number of this SQLite writer stays in the file until another writer removes it by age")

    def _settle(self, chunk: Sequence[Group], settle: Settle, known: dict[str, Any], marks: Marks | None) -> None:
        outcome = self._written(chunk, marks=marks)
        if outcome.fate is Fate.REJECTED:
            parts = parted(chunk, whole_groups=isinstance(outcome.error, TableRejected))
            if len(parts) > 1:
                for part in parts:
                    self._settle(part, settle, known, marks)
                return
        for group in chunk:
            forget_refused(known, outcome.error, group.template)
            for start, count in group.runs:
                settle(start, outcome, count)

    def _written(self, chunk: Sequence[Group], timeout: float | None = None, marks: Marks | None = None) -> Outcome:
        """Write a chunk as one transaction and return the fate of all of it."""
        try:
            steps = [step for group in chunk for step in self._steps(group)]
            if marks is not None:
                steps.append(partial(marks.note, chunk=chunk))
            with self._pool.writing(timeout) as connection:
                return self._committed(connection, steps)
        except (DriverError, InvalidQueryError) as error:
            return outcome_of(error)
        except ConfigurationError as error:  # closed, or the file cannot be opened any more
            return Outcome(Fate.NOT_APPLIED, NotApplied(f"Nothing was written: {error}"))

    def _committed(self, connection: sqlite3.Connection, steps: Sequence[Step]) -> Outcome:
        writer = self._own_writer()
        is_first, seq = not writer.seq, writer.next_seq()
        try:
            with transaction(connection):
                if is_first:
                    connection.execute("DELETE FROM coodie_flushes WHERE seq < ?", [seq - STALE_NS])
                for step in steps:
                    step(connection)
                connection.execute(_MARK, [writer.id, seq])
        except MaybeApplied as error:
            return self._read_back(connection, writer, seq, error)
        except ERRORS as error:
            raise classified(error) from error
        return APPLIED

    def _read_back(self, connection: sqlite3.Connection, writer: Writer, seq: int, error: MaybeApplied) -> Outcome:
        """
        Return the fate of a transaction whose COMMIT failed unclearly.

        Another number is written after reading: where the log of the failed transaction is complete on disk although it
        does not count, that overwrites it, so no later recovery can bring it back.
        """
        try:
            with self._fresh(connection) as other, transaction(other):
                found = other.execute(_MARKED, [writer.id]).fetchone()
                other.execute(_MARK, [writer.id, writer.next_seq()])
        except (*ERRORS, DriverError, ConfigurationError):
            return Outcome(Fate.UNKNOWN, error)
        if found == (seq,):
            return APPLIED
        return Outcome(Fate.NOT_APPLIED, NotApplied(f"Nothing was written: {error.__cause__}"))

    @contextmanager
    def _fresh(self, connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
        if self._pool.in_memory:
            yield connection
            return
        other = open_connection(self._pool.database)
        try:
            yield other
        finally:
            other.close()

    def _own_writer(self) -> Writer:
        """Return the writer of this process: a forked child is another one."""
        if self._writer.pid != os.getpid():
            self._writer = Writer()
        return self._writer

    def _steps(self, group: Group) -> list[Step]:
        """Return what writes the rows of one template."""
        shape = group.template.shape
        if isinstance(shape, CounterUpdate):
            layout = counter_rows.layout(shape)
            return [partial(counter_rows.add, layout, layout.encoded(group.rows))]
        if exact_rows.is_exact(shape):
            layout = exact_rows.layout(shape)
            return [partial(exact_rows.put, layout, layout.encoded(group.rows))]
        return [partial(self._write, group.template.with_values(values)) for values in group.rows]
