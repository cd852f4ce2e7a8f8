"""
Queries: reading rows as documents, counting them, paging through them.

Rules that live here: limits are bound; the state of a page travels with its result. What a buffer still holds for a
counter row is handed in as ``pending`` (None: show what is stored) and added to the rows that were read; a row that
exists in the buffer alone is found only by its full key. Rows of an exact table are the sums of its writers'.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any, TypeAlias, TypeVar

from coodie.cql import render
from coodie.exceptions import DocumentNotFound, MultipleDocumentsFound
from coodie.model import Model, document_of
from coodie.plans import sums
from coodie.plans.counters import key_of
from coodie.query import Query
from coodie.results import PagedResult
from coodie.schema import Table
from coodie.statement import Rows, Select, Selected, Statement

D = TypeVar("D", bound=Model)
Pending: TypeAlias = Callable[[tuple[Any, ...]], Mapping[str, int] | None] | None

PAGE_ROWS = 5_000
"""Rows of a page where ``fetch_size`` does not say."""


def every(model: type[D], table: Table, query: Query, pending: Pending = None) -> Generator[Statement, Rows, list[D]]:
    """Answer every document the query matches."""
    if query.is_empty:
        return []
    found: list[D] = []
    statement = select(table, query, limit=query.limit, fetch_size=query.fetch_size, page=query.page)
    while True:
        rows = yield statement
        found += _documents(model, table, rows, pending)
        if rows.paging_state is None:
            return found
        statement = select(table, query, limit=query.limit, fetch_size=query.fetch_size, page=rows.paging_state)


def page(
    model: type[D], table: Table, query: Query, pending: Pending = None
) -> Generator[Statement, Rows, PagedResult[D]]:
    """Answer one page of documents and the state of the next."""
    if query.is_empty:
        return PagedResult([], None)
    rows = yield select(table, query, limit=query.limit, fetch_size=query.fetch_size or PAGE_ROWS, page=query.page)
    return PagedResult(_documents(model, table, rows, pending), rows.paging_state)


def first(model: type[D], table: Table, query: Query, pending: Pending = None) -> Generator[Statement, Rows, D | None]:
    """Answer the first document, or None."""
    if query.is_empty:
        return None
    rows = yield select(table, query, limit=1)
    return next(iter(_documents(model, table, rows, pending)), None)


def count(table: Table, query: Query) -> Generator[Statement, Rows, int]:
    """Answer how many rows the query matches, at most its limit."""
    if query.is_empty:
        return 0
    if table.counters == "exact":
        return (yield from _counted(table, query))
    rows = yield select(table, query, columns=(Selected("*", "count"),))
    matching = int(next(iter(rows.items[0].values()))) if rows.items else 0
    return matching if query.limit is None else min(matching, query.limit)


def one(
    model: type[D], table: Table, query: Query, lookups: Mapping[str, Any], pending: Pending = None
) -> Generator[Statement, Rows, D | None]:
    """Answer the only document the query matches, or None; ``MultipleDocumentsFound`` when there are two."""
    if query.is_empty:
        return None
    key = query.key(table) if table.counters == "exact" else None
    if key is not None:
        return (yield from _summed(model, table, query, key, pending))
    rows = yield select(table, query, limit=2)
    documents = _documents(model, table, rows, pending)
    if len(documents) > 1:
        raise MultipleDocumentsFound(f"Expected one {model.__name__} but found multiple matching {dict(lookups)}")
    return documents[0] if documents else _buffered(model, table, query, pending)


def get(
    model: type[D], table: Table, query: Query, lookups: Mapping[str, Any], pending: Pending = None
) -> Generator[Statement, Rows, D]:
    """Answer the only document the query matches; ``DocumentNotFound`` when there is none."""
    document = yield from one(model, table, query, lookups, pending)
    if document is None:
        raise DocumentNotFound(f"No {model.__name__} found matching {dict(lookups)}")
    return document


def select(
    table: Table,
    query: Query,
    *,
    columns: tuple[Selected, ...] = (),
    limit: int | None = None,
    fetch_size: int | None = None,
    page: bytes | None = None,
) -> Statement:
    """Return the SELECT of a query; an aggregate over ``columns`` takes no order."""
    if table.counters == "exact" and not columns:
        shape = sums.select(table, query, limited=limit is not None)
    else:
        order = () if columns else query.order
        shape = Select(table, columns, query.terms, order, limit is not None, query.allow_filtering)
    return _statement(shape, query, limit, fetch_size, page)


def _statement(shape: Select, query: Query, limit: int | None, fetch_size: int | None, page: bytes | None) -> Statement:
    values = query.values if limit is None else (*query.values, limit)
    return Statement(shape, values, render, query.consistency, query.timeout, fetch_size, page)


def _counted(table: Table, query: Query) -> Generator[Statement, Rows, int]:
    """Count the rows of an exact table: the database can count writers only, so the keys are read page by page."""
    shape, page, matching = sums.keys(table, query, limited=query.limit is not None), None, 0
    while True:
        rows = yield _statement(shape, query, query.limit, query.fetch_size or PAGE_ROWS, page)
        matching, page = matching + len(rows.items), rows.paging_state
        if page is None:
            return matching


def _documents(model: type[D], table: Table, rows: Rows, pending: Pending) -> list[D]:
    items = sums.summed(table, rows.items) if table.counters == "exact" else rows.items
    documents = [document_of(model, row) for row in items]
    if pending is not None:
        for document in documents:
            _add(document, pending(key_of(document, table)))
    return documents


def _summed(
    model: type[D], table: Table, query: Query, key: Mapping[str, Any], pending: Pending
) -> Generator[Statement, Rows, D | None]:
    """Answer the row of an exact table that has this key."""
    totals = yield from sums.totals(table, tuple(key.values()), query.consistency, query.timeout)
    if not totals:
        return _buffered(model, table, query, pending)
    document = document_of(model, {**key, **totals})
    if pending is not None:
        _add(document, pending(tuple(key.values())))
    return document


def _buffered(model: type[D], table: Table, query: Query, pending: Pending) -> D | None:
    """Return the row a buffer holds under the key of a query, where the database has none yet."""
    key = query.key(table)
    deltas = pending(tuple(key.values())) if pending is not None and key is not None else None
    return document_of(model, {**key, **deltas}) if key is not None and deltas else None


def _add(document: Model, deltas: Mapping[str, int] | None) -> None:
    for name, delta in (deltas or {}).items():
        document.__dict__[name] += delta
