"""
What the text of a server's refusal and the shape of a statement say, for the drivers that speak CQL.

Rules that live here: a missing table, column, keyspace or right concerns every row of a table; anything else that a
server says of a prepared statement concerns the row. These texts are Cassandra's and ScyllaDB's.
"""

from __future__ import annotations

import re
from typing import Any

from coodie.exceptions import DriverError, Rejected, TableRejected
from coodie.statement import (
    Batch,
    CounterUpdate,
    Delete,
    Insert,
    Raw,
    ReadColumns,
    ReadIndexes,
    ReadOptions,
    Select,
    Update,
)

_ABOUT_TABLE = re.compile(
    r"(table|column ?family|keyspace|view|index|column)\b.*(does(n't| not) exist|not found)"
    r"|unconfigured (table|columnfamily)"
    r"|undefined (column|name)|unknown (identifier|column)|unrecognized (name|column)"
    r"|no keyspace has been specified|non[- ]counter column|counter column",
    re.IGNORECASE | re.DOTALL,
)
_QUOTED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\$\$.*?\$\$|--[^\n]*|//[^\n]*|/\*.*?\*/", re.DOTALL)
_PLACEHOLDER = re.compile(r"\?|(?<=[\s=(,]):[a-zA-Z]\w*")
_READS = (Select, ReadColumns, ReadOptions, ReadIndexes)
_WRITES = (CounterUpdate, Insert, Update, Delete, Batch)


def is_about_table(text: str) -> bool:
    """Return whether a refusal names something every row of the table needs."""
    return bool(_ABOUT_TABLE.search(text))


def refusal_of_text(text: str, shape: Any) -> type[DriverError]:
    """Return the leaf for a refusal met while preparing: a write that cannot be prepared fails for every row."""
    return TableRejected if is_about_table(text) or isinstance(shape, _WRITES) else Rejected


def reads_only(shape: Any) -> bool:
    """Return whether a statement of this shape writes nothing."""
    if isinstance(shape, Raw):
        return shape.text.lstrip()[:6].upper() == "SELECT"
    return isinstance(shape, _READS)


def is_batch(shape: Any) -> bool:
    """Return whether this is a batch, which may touch several partitions."""
    return isinstance(shape, Batch) or (isinstance(shape, Raw) and shape.text.lstrip()[:5].upper() == "BEGIN")


def placeholders(text: str) -> int:
    """Return how many values a CQL text takes: its ``?`` and ``:name`` outside of quotes and comments."""
    return len(_PLACEHOLDER.findall(_QUOTED.sub(" ", text)))
