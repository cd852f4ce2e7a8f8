"""
Reading exact tables: the totals of all writers of a row, added up.

Rules that live here:

* The database adds up, by ``GROUP BY`` the model's own key: so limit, order and pages are about rows, not writers. One
  row asked for by its full key is added up here, which is a quarter faster.
* Totals are summed as ``varint``: a sum beyond 64 bits arrives as it is, and is refused here instead of wrapping.
* Rows come back with the names of the model's columns, in the order of the table's stored form.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import Any

from coodie.cql import render
from coodie.exceptions import RowRejected
from coodie.plans.documents import key_terms
from coodie.query import Query
from coodie.schema import Table
from coodie.statement import Rows, Select, Selected, Statement


def select(table: Table, query: Query, *, limited: bool) -> Select:
    """Return the SELECT of the rows of a query, each with its sums."""
    sums = (Selected(column.name, "sum", "varint") for column in table.counter_columns)
    return _grouped(table, (*_keys(table), *sums), query, limited)


def keys(table: Table, query: Query, *, limited: bool) -> Select:
    """Return the SELECT of the keys of a query's rows: what counting them needs."""
    return _grouped(table, _keys(table), query, limited)


def summed(table: Table, items: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows of a :func:`select` under the names of the model; RowRejected where a sum leaves 64 bits."""
    columns = (*table.primary_key, *table.counter_columns)
    names = [column.name for column in columns]
    rows = [dict(zip(names, row.values(), strict=True)) for row in items]
    _refuse_beyond_64_bits(table, rows)
    return rows


def totals(
    table: Table, key: Sequence[Any], consistency: str | None = None, timeout: float | None = None
) -> Generator[Statement, Rows, dict[str, int]]:
    """
    Answer what is stored for the row of a canonical key, by column; empty where there is none.

    RowRejected where a sum leaves 64 bits. ``timeout`` in s.
    """
    names = [column.name for column in table.counter_columns]
    shape = Select(table.stored, tuple(Selected(name) for name in names), key_terms(table))
    items = (yield Statement(shape, tuple(key), render, consistency, timeout)).items
    found = [{name: sum(row[name] or 0 for row in items) for name in names}] if items else []
    _refuse_beyond_64_bits(table, found)
    return found[0] if found else {}


def _keys(table: Table) -> tuple[Selected, ...]:
    return tuple(Selected(column.name) for column in table.primary_key)


def _grouped(table: Table, columns: tuple[Selected, ...], query: Query, limited: bool) -> Select:
    group = tuple(column.name for column in table.primary_key)
    return Select(table.stored, columns, query.terms, query.order, limited, query.allow_filtering, group_by=group)


def _refuse_beyond_64_bits(table: Table, rows: Sequence[dict[str, Any]]) -> None:
    for column in table.counter_columns:
        sums = (row[column.name] or 0 for row in rows)
        beyond = sum(not -(2**63) <= total < 2**63 for total in sums)
        if beyond:
            raise RowRejected(
                f"The writers' totals of column '{column.name}' of table {table.full_name} add up to more than 64 bits "
                f"in {beyond} of {len(rows)} rows read; nothing was changed. Increments of the other sign mend it"
            )
