"""
Increments: the statement of a counter update, and the checks that stand before it.

Rules that live here:

* A delta is an integer that fits 64 bits with its sign changed; a key is complete and canonical. Everything else is
  refused before any round trip, and nothing was written.
* Columns are in table order whatever the order of the keywords, so that one table has one statement per set of columns.
  Templates of one shape are one object: drivers may compare them with ``is``.
"""

from __future__ import annotations

import operator
from collections.abc import Generator, Mapping
from typing import Any

from coodie.cql import render
from coodie.exceptions import InvalidQueryError
from coodie.schema import Table, require_native
from coodie.statement import CounterUpdate, Rows, Statement
from coodie.types import KEY_BYTES_MAX, encoded_size

_templates: dict[tuple[Table, tuple[str, ...]], Statement] = {}


def update(table: Table, columns: tuple[str, ...]) -> Statement:
    """
    Return the template that adds to columns of a table: the same object for the same columns in any order.

    Its values are to be the deltas in table order, then the key in key order. From any thread.
    """
    found = _templates.get((table, columns))
    if found is None:
        ordered = tuple(column.name for column in require_native(table).counter_columns if column.name in columns)
        template = Statement(CounterUpdate(table, ordered), render=render)
        template = _templates.setdefault((table, ordered), template)
        found = _templates.setdefault((table, columns), template)
    return found


def increment(
    document: Any, table: Table, deltas: Mapping[str, Any], sign: int = 1
) -> Generator[Statement, Rows, None]:
    """Check an increment and return the plan that writes it; ``sign`` -1 for a decrement. Deltas of 0 are left out."""
    checked = deltas_of(table, deltas)
    key = key_of(document, table)
    amounts = {name: sign * delta for name, delta in checked.items() if delta}
    template = update(table, tuple(amounts)) if amounts else None
    return _write(template.with_values((*amounts.values(), *key)) if template else None)


def _write(statement: Statement | None) -> Generator[Statement, Rows, None]:
    if statement is not None:
        yield statement


def key_of(document: Any, table: Table) -> tuple[Any, ...]:
    """
    Return the canonical key of a document in primary-key order.

    Raises ``InvalidQueryError`` naming the column for a value the database would refuse.
    """
    return _key(document.__dict__, table)


def key_from(values: Mapping[str, Any], table: Table) -> tuple[Any, ...]:
    """
    Return the canonical key given by name, in primary-key order.

    Raises ``InvalidQueryError`` for a name that is no key column, one that is missing, or a value the database would
    refuse.
    """
    names = [column.name for column in table.primary_key]
    if values.keys() != set(names):
        raise InvalidQueryError(
            f"The primary key of table {table.name} is ({', '.join(names)}), not ({', '.join(map(str, values))}); "
            "name each of its columns, and nothing else"
        )
    return _key(values, table)


def _key(values: Mapping[str, Any], table: Table) -> tuple[Any, ...]:
    key = tuple([table.key_value(column, values.get(column.name)) for column in table.primary_key])
    if len(table.partition_key) > 1:
        _refuse_long_partition_key(table, key)
    return key


def _refuse_long_partition_key(table: Table, key: tuple[Any, ...]) -> None:
    """Refuse a composite key above the limit: its parts are stored as one, with 3 bytes around each."""
    parts = zip(table.partition_key, key[: len(table.partition_key)], strict=True)
    size = sum(3 + encoded_size(column.cql_type, value) for column, value in parts)
    if size > KEY_BYTES_MAX:
        raise InvalidQueryError(
            f"The partition key of table {table.name} takes at most {KEY_BYTES_MAX} bytes, not {size}; nothing was sent"
        )


def deltas_of(table: Table, deltas: Mapping[str, Any]) -> dict[str, int]:
    """Return checked deltas in table order; unknown names, key columns and an empty call are refused."""
    if not deltas:
        raise InvalidQueryError(f"Name at least one counter to change: {_counters(table)}; nothing was written")
    for name in deltas:
        column = table.by_name.get(name)
        if column is None or not column.counter:
            what = "is part of the primary key" if column is not None else "does not exist"
            raise InvalidQueryError(
                f"Column '{name}' of table {table.name} {what}: only its counters ({_counters(table)}) can be "
                "incremented or decremented; nothing was written"
            )
    return {c.name: checked_delta(c.name, deltas[c.name]) for c in table.counter_columns if c.name in deltas}


def checked_delta(column: str, delta: Any) -> int:
    """
    Return a delta as an int: any integer type but bool, strictly between -2**63 and 2**63.

    -2**63 is refused as well, because its negation does not fit.
    """
    try:
        number = None if isinstance(delta, bool) else operator.index(delta)
    except TypeError:
        number = None
    if number is None:
        raise InvalidQueryError(
            f"Counter column '{column}' takes an integer, not {type(delta).__name__}; nothing was written"
        )
    if not -(2**63) < number < 2**63:
        raise InvalidQueryError(
            f"Counter column '{column}' takes integers strictly between -2**63 and 2**63, not one of "
            f"{number.bit_length()} bits; nothing was written"
        )
    return number


def _counters(table: Table) -> str:
    return ", ".join(column.name for column in table.counter_columns)
