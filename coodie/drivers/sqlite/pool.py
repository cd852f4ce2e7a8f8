"""
The open connections of one database: lending them to threads, one writer at a time, and letting go of them at a fork.

Rules that live here:

* A connection is lent to one call at a time and carries nothing from one call to the next. Any number of readers work
  beside one writer; writers of this process queue at a lock, those of other processes at SQLite's own, each at most
  ``BUSY_TIMEOUT_S``. A database in memory is one connection, lent to one call at a time.
* WAL with ``synchronous=FULL``: what was committed survives the death of the process and the loss of power. NORMAL
  would lose the last commits with the power, after an aggregator has been told that they are applied.
* No connection of a file is open while the process forks: the fork waits for lent ones, closes all, and both sides
  open anew when they next need one. Opening anew in the child alone is not enough: SQLite keeps the locks of a file per
  process, the child would inherit that book-keeping and take none itself, and the parent's last close would unlink the
  write-ahead log under it (seen: rows committed by the child were lost).
* Where a fork came without Python's hooks, the child leaves inherited connections alone for ever: never used, never
  closed. An in-memory database belongs to the process that opened it.
"""

from __future__ import annotations

import ctypes
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from coodie.drivers.outcomes import raised_as
from coodie.drivers.sqlite.errors import primary_code
from coodie.drivers.sqlite.opening import BUSY_TIMEOUT_S, MEMORY, Clock, open_connection
from coodie.exceptions import ConfigurationError, MaybeApplied, NotApplied

IDLE_MAX = 8
FORK_WAIT_S = 10.0
"""Longest wait of a fork for lent connections: the busy timeout and one transaction, with room to spare."""


@dataclass(eq=False)
class _Process:
    """
    The connections of one process; ``lent`` counts those in use, ``forks`` the forks under way.

    The writer's connection lies on a shelf of its own, so that its large prepared statements exist once.
    """

    changed: threading.Condition = field(default_factory=threading.Condition)
    write_lock: threading.Lock = field(default_factory=threading.Lock)
    readers: list[sqlite3.Connection] = field(default_factory=list)
    writers: list[sqlite3.Connection] = field(default_factory=list)
    opened: list[sqlite3.Connection] = field(default_factory=list)
    lent: int = 0
    forks: int = 0


class Pool:
    """Connections to one database, opened on demand; from any thread of any process that holds a copy."""

    def __init__(self, database: str, clock: Clock = time.time) -> None:
        self.database = database
        self.clock = clock
        self.in_memory = database == MEMORY
        self.closed = False
        self._opened_by = os.getpid()
        self._by_pid: dict[int, _Process] = {}
        with _making:
            _pools.add(self)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection for reading."""
        process = self._here()
        with self._lent(process, process.readers) as connection:
            yield connection

    @contextmanager
    def writing(self, timeout: float | None = None) -> Iterator[sqlite3.Connection]:
        """
        Lend the connection of the one writer of this process, in no transaction.

        ``timeout`` (seconds, at most ``BUSY_TIMEOUT_S``) bounds the wait for other writers of this process, and then
        that for other processes. Raises NotApplied where the former is over.
        """
        wait = BUSY_TIMEOUT_S if timeout is None else min(timeout, BUSY_TIMEOUT_S)
        process = self._here()
        if not process.write_lock.acquire(timeout=max(wait, 0.0)):
            raise NotApplied(f"Nothing was written: other threads kept the SQLite database busy for {wait:g} s")
        try:
            shelf = process.readers if self.in_memory else process.writers
            with self._lent(process, shelf) as connection, _waiting(connection, timeout):
                yield connection
        finally:
            process.write_lock.release()

    def check_open(self) -> None:
        """Raise ConfigurationError where it was closed."""
        if self.closed:
            raise ConfigurationError(f"The SQLite driver of {self.database!r} is closed; call init_coodie() again")

    def close(self) -> None:
        """Close every connection of this process; lent ones are closed when they come back. Idempotent."""
        self.closed = True
        process = self._by_pid.get(os.getpid())
        if process is not None:
            with process.changed:
                _close_idle(process)
                process.changed.notify_all()

    def _here(self) -> _Process:
        pid = os.getpid()
        found = self._by_pid.get(pid)
        if found is not None:
            return found
        if self.in_memory and pid != self._opened_by:
            raise ConfigurationError(
                "An in-memory SQLite database belongs to the process that opened it; "
                "give a file as database= to share it with forked processes"
            )
        return self._by_pid.setdefault(pid, _Process())

    @contextmanager
    def _lent(self, process: _Process, shelf: list[sqlite3.Connection]) -> Iterator[sqlite3.Connection]:
        connection = self._take(process, shelf)
        try:
            yield connection
        finally:
            self._give_back(process, shelf, connection)

    def _take(self, process: _Process, shelf: list[sqlite3.Connection]) -> sqlite3.Connection:
        with process.changed:
            while process.forks or (self.in_memory and process.lent):
                process.changed.wait()
            self.check_open()
            process.lent += 1
            if shelf:
                return shelf.pop()
        try:
            connection = open_connection(self.database, self.clock)
        except BaseException:
            with process.changed:
                process.lent -= 1
                process.changed.notify_all()
            raise
        process.opened.append(connection)
        return connection

    def _give_back(self, process: _Process, shelf: list[sqlite3.Connection], connection: sqlite3.Connection) -> None:
        with process.changed:
            if connection.in_transaction or self.closed or len(shelf) >= IDLE_MAX:  # in one: its rollback failed
                process.opened.remove(connection)
                connection.close()
            else:
                shelf.append(connection)
            process.lent -= 1
            process.changed.notify_all()

    def _before_fork(self) -> None:
        if self.in_memory:
            return
        process = self._here()  # made if need be: a thread may open its first connection while the fork is under way
        with process.changed:
            process.forks += 1
            process.changed.wait_for(lambda: not process.lent, FORK_WAIT_S)
            _close_idle(process)

    def _after_fork_in_parent(self) -> None:
        process = self._by_pid.get(os.getpid())
        if process is not None and process.forks:
            with process.changed:
                process.forks -= 1
                process.changed.notify_all()

    def _after_fork_in_child(self) -> None:
        for process in self._by_pid.values():
            for connection in process.opened:
                _abandon(connection)
        self._by_pid.clear()


@contextmanager
def _waiting(connection: sqlite3.Connection, timeout: float | None) -> Iterator[None]:
    """Bound a connection's wait for other processes, where a timeout is given."""
    if timeout is None or timeout >= BUSY_TIMEOUT_S:
        yield
        return
    connection.execute(f"PRAGMA busy_timeout={max(int(timeout * 1000), 0)}")
    try:
        yield
    finally:
        connection.execute(f"PRAGMA busy_timeout={int(BUSY_TIMEOUT_S * 1000)}")


def _close_idle(process: _Process) -> None:
    """Close the connections that nobody has. The caller holds ``process.changed``."""
    for shelf in (process.readers, process.writers):
        while shelf:
            connection = shelf.pop()
            process.opened.remove(connection)
            connection.close()


def _abandon(connection: sqlite3.Connection) -> None:
    """Keep an inherited connection from ever being closed in this process, its end included: one reference too many."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """
    Run the body as one write transaction; an error in the body, or of BEGIN, rolls it back.

    A COMMIT that fails: the error of SQLite where the transaction was surely rolled back, MaybeApplied where it is
    unclear.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        _roll_back(connection)
        raise
    try:
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        surely_not = connection.in_transaction or primary_code(error) == sqlite3.SQLITE_FULL
        _roll_back(connection)
        if surely_not:
            raise
        raise raised_as(MaybeApplied, error, f"SQLite failed to commit: {error}", statement=None, host=None) from error


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.rollback()


_pools: weakref.WeakSet[Pool] = weakref.WeakSet()
_making = threading.RLock()  # held through a fork: a pool made meanwhile would not know of it


def _before_fork() -> None:
    _making.acquire()
    for pool in list(_pools):
        pool._before_fork()


def _after_fork_in_parent() -> None:
    for pool in list(_pools):
        pool._after_fork_in_parent()
    _making.release()


def _after_fork_in_child() -> None:
    global _making
    _making = threading.RLock()
    for pool in list(_pools):
        pool._after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
