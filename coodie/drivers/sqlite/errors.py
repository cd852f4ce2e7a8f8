"""
What an error of SQLite means for the write that met it.

Rules that live here: texts name tables and columns, as SQLite's own do, never values. Inside a transaction every error
before COMMIT means surely not written, for the transaction is rolled back; only a failed COMMIT is unclear, and
``pool.transaction`` tells those apart.
"""

from __future__ import annotations

import sqlite3

from coodie.drivers.outcomes import raised_as
from coodie.exceptions import DriverError, NotApplied, RowRejected, TableRejected

ERRORS = (sqlite3.Error, sqlite3.Warning, OverflowError, UnicodeEncodeError)
"""What the sqlite3 module raises: an int of more than 64 bits and a lone surrogate are refused while binding."""

_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_ROW = (sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_RANGE)
_TABLE = (
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_AUTH,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
)
# Generic errors that come from a value, and what they mean: SQLite tells no more of an error in a function of ours.
_ROW_TEXTS = {
    "integer overflow": "integer overflow: a sum leaves 64 bits",
    "user-defined function": "a list has no element at the position given",
    "user-defined aggregate": "the numbers to be summed are too large",
}


def primary_code(error: BaseException) -> int | None:
    """Return the primary result code of an error of SQLite, None where it has none."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def classified(error: BaseException, statement: str | None = None) -> DriverError:
    """Return the error of ours for one that came before COMMIT; the caller raises it ``from`` the other."""
    code = primary_code(error)
    # The text of a UnicodeEncodeError shows the value, so only its reason is taken.
    reason = error.reason if isinstance(error, UnicodeEncodeError) else str(error)
    if code in _BUSY:
        return raised_as(NotApplied, error, f"{reason} by another process", statement=statement, host=None)
    meant = next((meaning for text, meaning in _ROW_TEXTS.items() if text in reason), None)
    if code is None or code in _ROW or meant:
        reason = meant or reason
        return raised_as(RowRejected, error, f"SQLite: {reason}", statement=statement, host=None)
    leaf = TableRejected if code in _TABLE else NotApplied
    return raised_as(leaf, error, f"SQLite: {reason}", statement=statement, host=None)
