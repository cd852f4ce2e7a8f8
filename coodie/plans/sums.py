"""
Reading exact tables: the totals of all writers of a row, added up.

Rules that live here:

* The database adds up, by ``GROUP BY`` the model's own key: so limit, order and pages are about rows, not writers. One
  row asked for by its full key is added up here, which is a quarter faster.
* Totals are summed as ``varint``: a sum beyond 64 bits arrives as it is, and is refused here instead of wrapping.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Any

from coodie.cql import render
from coodie.exceptions import RowRejected
from coodie.plans.documents import key_terms
from coodie.schema import Table
from coodie.statement import Rows, Select, Selected, Statement


def selected(table: Table, names: Iterable[str]) -> tuple[Selected, ...]:
    """Return what a SELECT of an exact table asks for, to answer columns of the model."""
    return tuple(Selected(name, "sum", "varint") if table.by_name[name].counter else Selected(name) for name in names)


def group(table: Table) -> tuple[str, ...]:
    """Return the columns by which rows of writers are added up to a row of the model."""
    return tuple(column.name for column in table.primary_key)


def totals(
    table: Table, key: Sequence[Any], consistency: str | None = None
) -> Generator[Statement, Rows, dict[str, int]]:
    """
    Answer what is stored for the row of a canonical key, by column; empty where there is none.

    RowRejected where a sum leaves 64 bits.
    """
    names = [column.name for column in table.counter_columns]
    shape = Select(table.stored, tuple(Selected(name) for name in names), key_terms(table))
    items = (yield Statement(shape, tuple(key), render, consistency)).items
    found = [{name: sum(row[name] or 0 for row in items) for name in names}] if items else []
    refuse_beyond_64_bits(table, found)
    return found[0] if found else {}


def refuse_beyond_64_bits(table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Raise RowRejected where the sum of a column is no 64-bit integer; a row need not have every column."""
    for column in table.counter_columns:
        sums = (row.get(column.name) or 0 for row in rows)
        beyond = sum(not -(2**63) <= total < 2**63 for total in sums)
        if beyond:
            raise RowRejected(
                f"The writers' totals of column '{column.name}' of table {table.full_name} add up to more than 64 bits "
                f"in {beyond} of {len(rows)} rows read; nothing was changed. Increments of the other sign mend it"
            )
