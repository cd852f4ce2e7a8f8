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
    InsertJson,
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
_CONDITION = re.compile(r"\bIF\b", re.IGNORECASE)
_OF_JSON = re.compile(r"(Error decoding JSON value for [^:]+|Could not decode JSON string as a map):.*", re.DOTALL)
_READS = (Select, ReadColumns, ReadOptions, ReadIndexes)
_WRITES = (CounterUpdate, Insert, InsertJson, Update, Delete, Batch)


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


def in_steps(shape: Any) -> bool:
    """
    Return whether a write is carried out in steps, of which a later one may fail when an earlier one is done.

    A batch may touch several partitions; a conditional write is agreed upon before its commit finds too few replicas.
    """
    if isinstance(shape, Raw):
        return shape.text.lstrip()[:5].upper() == "BEGIN" or bool(_CONDITION.search(_QUOTED.sub(" ", shape.text)))
    conditional = any(getattr(shape, name, False) for name in ("if_not_exists", "if_exists", "conditions"))
    return conditional or isinstance(shape, Batch)


def without_values(text: str) -> str:
    """Return a server's message without the values that it quotes from a row given as JSON."""
    return _OF_JSON.sub(r"\1", text)


def placeholders(text: str) -> int:
    """Return how many values a CQL text takes: its ``?`` and ``:name`` outside of quotes and comments."""
    return len(_PLACEHOLDER.findall(_QUOTED.sub(" ", text)))
