"""
SQLiteDriver: statements over one SQLite file, shared by threads, event loops and processes.

Rules that live here:

* A statement is rendered to SQL from its shape, never from its CQL text; tables need no keyspace.
* A sync call runs in the caller's thread. An async call runs in a thread of the driver's own: reads in a few, so that
  none waits for a write, writes in one, in the order in which they were awaited.
* Every write is one transaction; an increment carries the writer's sequence number like a flush, so its fate is known
  even where COMMIT fails.
* ``consistency`` means nothing here. ``timeout`` bounds the wait for other writers.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from coodie.drivers.outcomes import forget_refused
from coodie.drivers.protocol import Settle, Work
from coodie.drivers.refusals import reads_only
from coodie.drivers.sqlite import batches, counter_rows, lifetimes, raw, select, tables, write
from coodie.drivers.sqlite.errors import ERRORS, classified
from coodie.drivers.sqlite.flush import Flush
from coodie.drivers.sqlite.groups import Run
from coodie.drivers.sqlite.marks import forget, noted
from coodie.drivers.sqlite.opening import Clock, located
from coodie.drivers.sqlite.pool import Pool, transaction
from coodie.drivers.text import TextFace
from coodie.exceptions import CoodieError, TableRejected
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
    Rows,
    Select,
    Statement,
    Truncate,
    Update,
)

READ_THREADS = 4

_ROWS: dict[type[Any], Callable[..., Rows]] = {
    Select: select.run,
    Insert: write.insert,
    InsertJson: write.insert_json,
    Update: write.update,
    Delete: write.delete,
    Batch: batches.batch,
    Raw: raw.run,
}
_TABLES: dict[type[Any], Callable[..., Rows]] = {
    CreateTable: tables.create,
    AddColumn: tables.add_column,
    CreateIndex: tables.create_index,
    DropIndex: tables.drop_index,
    AlterOptions: tables.alter_options,
    DropTable: tables.drop,
    Truncate: tables.truncate,
    ReadColumns: tables.read_columns,
    ReadOptions: tables.read_options,
    ReadIndexes: tables.read_indexes,
}


def run(statement: Statement, connection: sqlite3.Connection) -> Rows:
    """Run a statement that is no counter update."""
    shape = statement.shape
    about_table = _TABLES.get(type(shape))
    return about_table(connection, shape) if about_table else _ROWS[type(shape)](connection, shape, statement)


def run_write(statement: Statement, connection: sqlite3.Connection) -> Rows:
    """Run a statement that writes inside the caller's transaction, where what is over is removed first."""
    while lifetimes.are_over(connection, statement.shape):
        lifetimes.sweep(connection)
    return run(statement, connection)


class SQLiteDriver(TextFace):
    """One SQLite database. Every method from any thread; the async ones from any loop; usable again after a fork."""

    needs_keyspace = False
    marks = True  # execute_many takes a mark
    rows_at_once = 64  # more at once live long enough to cost the collector full passes, of 15 ms each

    def __init__(
        self, database: str | os.PathLike[str], default_keyspace: str | None = None, clock: Clock = time.time
    ) -> None:
        """
        Open a file, made if missing, or ``:memory:``; ConfigurationError says what is wrong with the path.

        ``clock`` tells the seconds since 1970, by which what has a TTL ends.
        """
        self._default_keyspace = default_keyspace
        self._known_tables: dict[str, Any] = {}
        self._pool = Pool(located(database), clock)
        self._flush = Flush(self._pool, run_write)
        self._threads_by_pid: dict[int, _Threads] = {}
        with self._pool.reading():
            pass  # opens it now: what is wrong with the path shows here
        # A driver that is dropped unclosed closes its connections. Not at the end of the interpreter: a last flush may
        # still be to come.
        weakref.finalize(self, self._pool.close).atexit = False

    def __repr__(self) -> str:
        return f"SQLiteDriver({self._pool.database!r})"

    def submit(self, statement: Statement) -> Rows:
        """Run one statement and return its rows. From any thread; blocks it."""
        try:
            return self._increment(statement) if isinstance(statement.shape, CounterUpdate) else self._run(statement)
        except TableRejected as error:
            forget_refused(self._known_tables, error, statement)
            raise

    async def submit_async(self, statement: Statement) -> Rows:
        """Run one statement in a thread of the driver's own and return its rows. From any event loop."""
        self._pool.check_open()
        threads = self._threads_by_pid.setdefault(os.getpid(), _Threads())
        executor = threads.reads if reads_only(statement.shape) else threads.writes
        return await asyncio.get_running_loop().run_in_executor(executor, self.submit, statement)

    def execute_many(self, work: Work, limit: int, settle: Settle, mark: tuple[str, int] | None = None) -> None:
        """
        Write a stream of statements and tell the fate of each; see the protocol. From a thread that runs no event loop.

        ``limit`` has nothing to bound here: one transaction carries up to ``flush.CHUNK_ROWS`` rows. ``mark``: a
        writer's own text and the number of this flush (64 bits, each higher than the last): what is applied is noted
        under them, so that :meth:`marked` can tell it to a process that finds its predecessor dead.
        """
        self._flush.run(work, settle, self._known_tables, mark)

    def marked(self, writer: str, flush: int | None = None) -> tuple[int, list[Run]] | None:
        """
        Return (flush, items applied) as noted by ``execute_many(mark=)``; the items as (first index, count), in order.

        ``flush`` None: the writer's latest. None where nothing of it is noted: then it applied nothing, unless its
        notes were removed since. From any thread; blocks it.
        """
        try:
            with self._pool.reading() as connection:
                return noted(connection, writer, flush)
        except ERRORS as error:
            raise classified(error) from error

    def forget_marks(self, writer: str, before: int) -> None:
        """Remove the notes of a writer's flushes before one, when all they applied is settled. From any thread."""
        try:
            with self._pool.writing() as connection, transaction(connection):
                forget(connection, writer, before)
        except ERRORS as error:
            raise classified(error) from error

    def close(self) -> None:
        """Finish what async callers began, then close every connection of this process. Idempotent."""
        threads = self._threads_by_pid.pop(os.getpid(), None)
        if threads is not None:
            threads.close()
        if not self._pool.closed:
            self._flush.forget_writer()
            self._pool.close()

    async def close_async(self) -> None:
        """Close without blocking the loop. Idempotent."""
        await asyncio.to_thread(self.close)

    def _run(self, statement: Statement) -> Rows:
        """Run a statement that is no counter update."""
        try:
            if not reads_only(statement.shape):
                with self._pool.writing(statement.timeout) as connection, transaction(connection):
                    return run_write(statement, connection)
            while True:
                with self._pool.reading() as connection:
                    if not lifetimes.are_over(connection, statement.shape):
                        return run(statement, connection)
                with self._pool.writing(statement.timeout) as connection, transaction(connection):
                    lifetimes.sweep(connection)
        except CoodieError:
            raise  # of a class of sqlite3 too, and told already
        except ERRORS as error:
            raise classified(error, statement.cql) from error

    def _increment(self, statement: Statement) -> Rows:
        counter_rows.layout(statement.shape).encoded([statement.values])  # refuses bad values with InvalidQueryError
        error = self._flush.one(statement).error
        if error is not None:
            raise error
        return Rows()


class _Threads:
    """The threads that serve async calls of one process; they start when they are first needed."""

    def __init__(self) -> None:
        self.reads = ThreadPoolExecutor(READ_THREADS, thread_name_prefix="coodie-sqlite-read")
        self.writes = ThreadPoolExecutor(1, thread_name_prefix="coodie-sqlite-write")

    def close(self) -> None:
        """Wait for what was begun, then end the threads."""
        self.reads.shutdown()
        self.writes.shutdown()
