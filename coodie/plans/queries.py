"""
Queries: reading rows as documents, counting them, paging through them.

Rules that live here: the state of a page travels with its result.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from coodie.exceptions import InvalidQueryError
from coodie.json_values import row_json
from coodie.model import Model
from coodie.plans.selection import (
    Pending,
    Row,
    View,
    limits_here,
    name_in_every_row,
    refuse_unfit,
    rows_of,
    select,
    shown,
    statement,
    view_of,
)
from coodie.query import Query
from coodie.results import PagedResult
from coodie.schema import Table
from coodie.statement import Rows, Select, Selected, Statement

FIRST_ROWS = 100
"""Rows of a page where a limit is kept here."""

PAGE_ROWS = 5_000
"""Rows of a page where ``fetch_size`` does not say."""


def every(
    model: type[Model], table: Table, query: Query, pending: Pending = None
) -> Generator[Statement, Rows, list[Any]]:
    """Return the plan that answers all rows of the query, as it shows them."""
    return every_row(table, query, pending, view_of(model, table, query), query.limit)


def json(
    model: type[Model], table: Table, query: Query, pending: Pending = None
) -> Generator[Statement, Rows, list[str]]:
    """Return the plan that answers all rows of the query, each as a JSON object that ``save_json`` would take."""
    refuse_unfit(table, query)
    if query.casts or query.tokens:
        raise InvalidQueryError("json() gives columns as they are stored: it takes no cast() and no select_token()")
    return every_row(table, query, pending, lambda rows: [_json(table, query, row) for row in rows], query.limit)


def _json(table: Table, query: Query, row: Row) -> str:
    """Return what a query shows of a row as JSON; nulls stay what they are, but for a counter that nobody touched."""
    values = {name: row[name] for name in shown(table, query)}
    values.update((column.name, 0) for column in table.counter_columns if values.get(column.name, 0) is None)
    return row_json(table, values)


def page(
    model: type[Model], table: Table, query: Query, pending: Pending = None
) -> Generator[Statement, Rows, PagedResult[Any]]:
    """Return the plan that answers one page of rows and the state of the next."""
    view = view_of(model, table, query)
    if query.limit is not None and limits_here(table, query):
        raise InvalidQueryError(
            f"Pages and iteration take no limit() over several partitions of {table.name}, which has static columns: "
            "name one partition, or use all(); nothing was sent"
        )
    return _page(table, query, pending, view, query.fetch_size or PAGE_ROWS)


def first(model: type[Model], table: Table, query: Query, pending: Pending = None) -> Generator[Statement, Rows, Any]:
    """Return the plan that answers the first row, or None."""
    return _first(table, query, pending, view_of(model, table, query))


def count(table: Table, query: Query) -> Generator[Statement, Rows, int]:
    """Return the plan that answers how many rows the query has, at most its limit."""
    refuse_unfit(table, query)
    if query.page is not None:
        raise InvalidQueryError("count() counts from the first row: it takes no page()")
    by_rows = query.distinct or query.group_by or query.per_partition_limit or table.counters == "exact"
    return _count_keys(table, query) if by_rows else _count(table, query)


def _limited(
    table: Table, query: Query, pending: Pending, view: View, limit: int
) -> Generator[Statement, Rows, list[Any]]:
    """Answer the first few rows: with one statement where the database can keep the limit."""
    if limits_here(table, query):
        return (yield from every_row(table, query, pending, view, limit))
    rows = yield select(table, query, limit=limit, keyed=bool(pending))
    return view(rows_of(table, query, rows.items, pending))


def every_row(
    table: Table, query: Query, pending: Pending, view: View, limit: int | None
) -> Generator[Statement, Rows, list[Any]]:
    """Answer what a view shows of the first ``limit`` rows, None: of all; page by page where the limit is kept here."""
    if query.is_empty:
        return []
    here = limit if limits_here(table, query) else None
    fetch_size = query.fetch_size if here is None else query.fetch_size or FIRST_ROWS
    found: list[Any] = []
    page = query.page
    while True:
        sent = limit if here is None else None
        rows = yield select(table, query, limit=sent, fetch_size=fetch_size, page=page, keyed=bool(pending))
        found += view(rows_of(table, query, rows.items, pending))
        page = rows.paging_state
        if page is None or (here is not None and len(found) >= here):
            return found if here is None else found[:here]


def _page(
    table: Table, query: Query, pending: Pending, view: View, fetch_size: int
) -> Generator[Statement, Rows, PagedResult[Any]]:
    if query.is_empty:
        return PagedResult([], None)
    rows = yield select(table, query, limit=query.limit, fetch_size=fetch_size, page=query.page, keyed=bool(pending))
    return PagedResult(view(rows_of(table, query, rows.items, pending)), rows.paging_state)


def _first(table: Table, query: Query, pending: Pending, view: View) -> Generator[Statement, Rows, Any]:
    if query.page is not None and not limits_here(
        table, query
    ):  # its state continues this very statement: another limit would make it another one
        return next(iter((yield from _page(table, query, pending, view, 1)).data), None)
    if query.is_empty:
        return None
    return next(iter((yield from _limited(table, query, pending, view, 1))), None)


def _count(table: Table, query: Query) -> Generator[Statement, Rows, int]:
    if query.is_empty:
        return 0
    rows = yield statement(
        Select(
            table, (Selected(name_in_every_row(table) or "*", "count"),), query.terms, (), False, query.allow_filtering
        ),
        query,
    )
    matching = int(next(iter(rows.items[0].values()))) if rows.items else 0
    return matching if query.limit is None else min(matching, query.limit)


def _count_keys(table: Table, query: Query) -> Generator[Statement, Rows, int]:
    """Count what the database cannot: rows that are groups, parts of partitions, or sums of writers' rows."""
    key = table.partition_key if query.distinct else table.primary_key
    query = query.changed(columns=tuple(column.name for column in key), casts=(), tokens=())
    page, matching = None, 0
    while not query.is_empty:
        limit = None if limits_here(table, query) else query.limit
        rows = yield select(table, query, limit=limit, fetch_size=query.fetch_size or PAGE_ROWS, page=page)
        found = rows.items if table.counters else rows_of(table, query, rows.items, None)
        matching, page = matching + len(found), rows.paging_state
        if page is None:
            break
    return matching if query.limit is None else min(matching, query.limit)
