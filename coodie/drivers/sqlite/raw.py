"""
Statements given as text: SQL of SQLite, not CQL.

Rules that live here: a text that reads is run as a reader, any other in a transaction of its own; words that would end
that transaction, or belong to a server, are refused by name. Values are stored as a column of their type would store
them; answers come as SQLite stores them, for nothing says what their columns are.
"""

from __future__ import annotations

import re
import sqlite3
from typing import Any

from coodie.drivers.outcomes import raised_as
from coodie.drivers.sqlite.errors import primary_code
from coodie.drivers.sqlite.names import unsupported
from coodie.drivers.sqlite.values import scalar
from coodie.exceptions import InvalidQueryError, Rejected, RowRejected
from coodie.statement import Raw, Rows, Statement
from coodie.types import SCALARS

_REFUSED = ("BEGIN", "COMMIT", "END", "ROLLBACK", "SAVEPOINT", "RELEASE", "ATTACH", "DETACH", "VACUUM", "USE")
_NOT_ABOUT_TEXT = re.compile(r"no such|already exists|overflow|user-defined")
_AS_THEY_ARE = (str, bytes, float, int, type(None))


def run(connection: sqlite3.Connection, shape: Raw, statement: Statement) -> Rows:
    """Run a text and answer its rows. The caller has opened a transaction unless the text reads."""
    words = shape.text.upper().split(maxsplit=2)
    if words and (words[0] in _REFUSED or words[1:2] == ["KEYSPACE"]):
        raise unsupported(" ".join(words[:2]), "tables need no keyspace, and each text is a transaction of its own")
    try:
        cursor = connection.execute(shape.text, [_stored(value, shape.text) for value in statement.values])
    except sqlite3.OperationalError as error:
        if primary_code(error) == sqlite3.SQLITE_ERROR and not _NOT_ABOUT_TEXT.search(str(error)):
            raise raised_as(Rejected, error, f"SQLite: {error}", statement=shape.text, host=None) from error
        raise
    except sqlite3.ProgrammingError as error:  # a wrong number of values, more than one statement
        raise InvalidQueryError(f"SQLite refused the text: {error}; nothing was written") from error
    names = [column[0] for column in cursor.description or ()]
    return Rows([dict(zip(names, row, strict=True)) for row in cursor.fetchall()])


def _stored(value: Any, text: str) -> Any:
    if isinstance(value, _AS_THEY_ARE):
        return int(value) if isinstance(value, bool) else value
    cql_type = next((cql for kind, cql in SCALARS.items() if isinstance(value, kind)), None)
    if cql_type is None:
        kind = type(value).__name__
        raise RowRejected(f"Refused, nothing was written: a text takes no value of type {kind}.", statement=text)
    return scalar(cql_type).encode(value)
