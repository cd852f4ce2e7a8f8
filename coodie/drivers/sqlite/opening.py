"""
Opening a connection to a database file.

Rules that live here: everything that can be wrong with a path is a ``ConfigurationError`` that names the path and says
what to do; STRICT tables need SQLite 3.37; the driver's own tables are made by the first opening of a file.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from coodie.drivers.sqlite.answers import Sum
from coodie.drivers.sqlite.collections import change
from coodie.drivers.sqlite.errors import primary_code
from coodie.drivers.sqlite.lifetimes import end_of, packed
from coodie.drivers.sqlite.orders import register
from coodie.exceptions import ConfigurationError

Clock: TypeAlias = Callable[[], float]

MEMORY = ":memory:"
BUSY_TIMEOUT_S = 5.0
OLDEST = (3, 37, 0)
CACHED_STATEMENTS = 128
# Two connections that switch a new file to WAL at once can meet "locked" without SQLite's own wait taking effect.
_RETRY_PAUSE_S = 0.02

_OWN_TABLES = """
CREATE TABLE IF NOT EXISTS coodie_columns (
    table_name TEXT NOT NULL COLLATE NOCASE, column_name TEXT NOT NULL COLLATE NOCASE, cql_type TEXT NOT NULL,
    kind TEXT NOT NULL, position INTEGER NOT NULL, PRIMARY KEY (table_name, column_name)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS coodie_flushes (writer TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS coodie_marks (
    writer TEXT NOT NULL, flush INTEGER NOT NULL, first INTEGER NOT NULL, runs TEXT NOT NULL,
    PRIMARY KEY (writer, flush, first)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS coodie_lifetimes (
    table_name TEXT NOT NULL COLLATE NOCASE, row BLOB NOT NULL, cells TEXT NOT NULL, next_at INTEGER,
    PRIMARY KEY (table_name, row)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS coodie_lifetimes_next ON coodie_lifetimes (next_at) WHERE next_at IS NOT NULL;
"""


def located(database: str | os.PathLike[str]) -> str:
    """Return the absolute path of a database (``:memory:`` as it is); ConfigurationError where it cannot be one."""
    if sqlite3.sqlite_version_info < OLDEST:
        needed = ".".join(map(str, OLDEST[:2]))
        raise ConfigurationError(
            f"SQLite {sqlite3.sqlite_version} is too old for the embedded store, which needs {needed}: "
            "use a Python built with a newer one"
        )
    path = os.fspath(database)
    if path == MEMORY:
        return path
    if not path or "\0" in path:
        raise ConfigurationError(f"database={path!r} is no path; give that of a file, or ':memory:'")
    # Absolute, so that a later change of the working directory does not open another file.
    file = Path(path).absolute()
    if not file.parent.is_dir():
        raise ConfigurationError(
            f"SQLite database {str(file)!r}: the folder {str(file.parent)!r} does not exist; create it first"
        )
    if file.is_dir():
        raise ConfigurationError(f"SQLite database {str(file)!r} is a folder; give the path of a file in it")
    return str(file)


def open_connection(path: str, clock: Clock = time.time) -> sqlite3.Connection:
    """
    Open a connection, in autocommit mode, with everything that the statements of the driver rely on.

    ``clock`` tells the seconds since 1970, by which what has a TTL ends.
    """
    connection: sqlite3.Connection | None = None
    try:
        connection = sqlite3.connect(
            path,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=CACHED_STATEMENTS,
        )
        _set_up(connection, path, clock)
    except BaseException as error:
        if connection is not None:
            connection.close()
        if isinstance(error, sqlite3.Error):
            raise ConfigurationError(_explained(path, error)) from error
        raise
    return connection


def _set_up(connection: sqlite3.Connection, path: str, clock: Clock) -> None:
    mode = _switched_to_wal(connection)
    if path != MEMORY and mode != "wal":
        raise ConfigurationError(
            f"SQLite database {path!r} cannot be switched to WAL mode (it stays in {mode!r}); "
            "put it on a local file system that is not read-only"
        )
    connection.execute("PRAGMA synchronous=FULL")
    connection.executescript(_OWN_TABLES)
    connection.create_function("coodie_change", -1, change, deterministic=True)
    connection.create_function("coodie_now", 0, lambda: int(clock()))
    connection.create_function("coodie_row", -1, packed, deterministic=True)
    connection.create_function("coodie_end", 2, end_of, deterministic=True)
    connection.create_aggregate("coodie_sum", 1, Sum)  # type: ignore[arg-type]  # the stubs know answers of int alone
    register(connection)


def _switched_to_wal(connection: sqlite3.Connection) -> str:
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            return str(connection.execute("PRAGMA journal_mode=WAL").fetchone()[0])
        except sqlite3.OperationalError as error:
            if primary_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_PAUSE_S)


def _explained(path: str, error: sqlite3.Error) -> str:
    code = primary_code(error)
    if code == sqlite3.SQLITE_NOTADB:
        return f"{path!r} is not a SQLite database; give another path, or move that file away"
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return f"SQLite database {path!r} cannot be opened for writing ({error}); check the rights on it and its folder"
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return f"SQLite database {path!r} was locked by another process for {BUSY_TIMEOUT_S:g} s; end that one first"
    return f"SQLite database {path!r} cannot be opened: {error}"
