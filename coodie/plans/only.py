"""
The only document of some lookups: what ``get()`` and ``find_one()`` ask.

Rules that live here: a row that exists in a buffer alone is found only by its full key. What the names of lookups ask
is worked out once where one SELECT of whole rows answers them: that is the most frequent read.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from functools import lru_cache
from typing import Any, NoReturn, TypeVar

from coodie.cql import render
from coodie.exceptions import DocumentNotFound, MultipleDocumentsFound
from coodie.lookups import Checks, meaning
from coodie.model import Model, document_of
from coodie.plans import sums
from coodie.plans.queries import every_row
from coodie.plans.selection import Pending, limits_here, name_in_every_row, rows_of, select, whole_rows
from coodie.query import EVERYTHING, Query
from coodie.schema import Table
from coodie.statement import Rows, Select, Statement

D = TypeVar("D", bound=Model)
Missing = TypeVar("Missing")
Lookups = Mapping[str, Any]


def one(
    model: type[D], table: Table, lookups: Lookups, pending: Pending = None
) -> Generator[Statement, Rows, D | None]:
    """Return the plan that answers the only document, or None; ``MultipleDocumentsFound`` when there are two."""
    return _only(model, table, lookups, pending, _none)


def get(model: type[D], table: Table, lookups: Lookups, pending: Pending = None) -> Generator[Statement, Rows, D]:
    """Return the plan that answers the only document; ``DocumentNotFound`` when there is none."""
    return _only(model, table, lookups, pending, _not_found)


def _none(model: type[Model], lookups: Lookups) -> None:
    return None


def _not_found(model: type[Model], lookups: Lookups) -> NoReturn:
    raise DocumentNotFound(f"No {model.__name__} found matching {dict(lookups)}")


def _only(
    model: type[D],
    table: Table,
    lookups: Lookups,
    pending: Pending,
    missing: Callable[[type[Model], Lookups], Missing],
) -> Generator[Statement, Rows, D | Missing]:
    """Return the plan that answers the only document, or what ``missing`` makes of there being none."""
    asked = _asked(table, tuple(lookups))
    if asked is None:
        return _searched(model, table, EVERYTHING.narrowed(table, lookups), lookups, pending, missing)
    shape, checked = asked
    return _selected(model, Statement(shape, (*checked(lookups), 2), render), lookups, missing)


@lru_cache(maxsize=4096)
def _asked(table: Table, names: tuple[str, ...]) -> tuple[Select, Checks] | None:
    """Return the SELECT whose rows are the answer as they are, and what checks its values; None where there is none."""
    terms, checked = meaning(table, names)
    if table.counters or name_in_every_row(table) or any(term.operator == "IN" for term in terms):
        return None
    return whole_rows(table, terms, (), True, False), checked


def _selected(
    model: type[D], statement: Statement, lookups: Lookups, missing: Callable[[type[Model], Lookups], Missing]
) -> Generator[Statement, Rows, D | Missing]:
    items = (yield statement).items
    if len(items) == 1:
        return document_of(model, items[0])
    return _refuse_several(model, lookups) if items else missing(model, lookups)


def _searched(
    model: type[D],
    table: Table,
    query: Query,
    lookups: Lookups,
    pending: Pending,
    missing: Callable[[type[Model], Lookups], Missing],
) -> Generator[Statement, Rows, D | Missing]:
    if query.is_empty:
        return missing(model, lookups)
    key = query.key(table) if table.counters == "exact" else None
    if key is not None:
        found = yield from _summed(model, table, query, key, pending)
        return missing(model, lookups) if found is None else found
    if limits_here(table, query):
        items = yield from every_row(table, query, pending, list, 2)
    else:
        rows = yield select(table, query, limit=2)
        items = rows_of(table, query, rows.items, pending)
    if len(items) > 1:
        _refuse_several(model, lookups)
    found = document_of(model, items[0]) if items else _buffered(model, table, query, pending)
    return missing(model, lookups) if found is None else found


def _refuse_several(model: type[Model], lookups: Lookups) -> NoReturn:
    raise MultipleDocumentsFound(f"Expected one {model.__name__} but found multiple matching {dict(lookups)}")


def _summed(
    model: type[D], table: Table, query: Query, key: Lookups, pending: Pending
) -> Generator[Statement, Rows, D | None]:
    """Answer the row of an exact table that has this key."""
    totals = yield from sums.totals(table, tuple(key.values()))
    if not totals:
        return _buffered(model, table, query, pending)
    deltas = (pending(tuple(key.values())) if pending is not None else None) or {}
    return document_of(model, {**key, **{name: total + deltas.get(name, 0) for name, total in totals.items()}})


def _buffered(model: type[D], table: Table, query: Query, pending: Pending) -> D | None:
    """Return the row a buffer holds under the key of a query, where the database has none yet."""
    key = query.key(table)
    deltas = pending(tuple(key.values())) if pending is not None and key is not None else None
    return document_of(model, {**key, **deltas}) if key is not None and deltas else None
