"""
Query: which rows are asked for, as an immutable value; and the builders that both QuerySets share.

Rules that live here:

* Lookups are checked where they are written, before any round trip: unknown columns, counters, values the column cannot
  hold. Values are kept in the order of their terms.
* A builder returns a new QuerySet and leaves its own alone; all go through one ``_with``.
* An ``__in`` without alternatives matches no row, and costs no round trip.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Self, TypeVar

from coodie.exceptions import InvalidQueryError
from coodie.model import Model
from coodie.schema import Column, Table, table_of
from coodie.statement import Term

D = TypeVar("D", bound=Model)

OPERATORS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "in": "IN"}
CONDITION_OPERATORS = {**OPERATORS, "ne": "!="}
_LEVELS = "ANY ONE TWO THREE QUORUM ALL LOCAL_QUORUM EACH_QUORUM SERIAL LOCAL_SERIAL LOCAL_ONE"
CONSISTENCY_LEVELS = tuple(_LEVELS.split())


@dataclass(frozen=True)
class Query:
    """What a QuerySet asks for. ``page`` is the state of an earlier page; ``timeout`` is in seconds."""

    terms: tuple[Term, ...] = ()
    values: tuple[Any, ...] = ()
    order: tuple[tuple[str, bool], ...] = ()
    limit: int | None = None
    allow_filtering: bool = False
    fetch_size: int | None = None
    page: bytes | None = None
    consistency: str | None = None
    timeout: float | None = None

    @property
    def is_empty(self) -> bool:
        """Return whether no row can match: an ``IN`` without alternatives."""
        return any(term.operator == "IN" and not value for term, value in zip(self.terms, self.values, strict=True))

    def key(self, table: Table) -> dict[str, Any] | None:
        """Return the primary key this query names, in key order, if it names a whole one and nothing else."""
        named = {
            term.column: value for term, value in zip(self.terms, self.values, strict=True) if term.operator == "="
        }
        if len(self.terms) != len(table.primary_key) or len(named) != len(self.terms):
            return None
        return {column.name: named[column.name] for column in table.primary_key}


EVERYTHING = Query()


class QueryBuilder(Generic[D]):
    """The builder half of a QuerySet: each method returns a new one."""

    def __init__(self, model: type[D], query: Query = EVERYTHING) -> None:
        self._model = model
        self._query = query

    def _with(self, **changes: Any) -> Self:
        query = object.__new__(Query)  # three times faster than dataclasses.replace; still frozen for everyone else
        query.__dict__.update(self._query.__dict__, **changes)
        return type(self)(self._model, query)

    def filter(self, /, **lookups: Any) -> Self:
        """
        Narrow to rows that match every lookup.

        A lookup is ``column=value``, or ``column__op`` with one of gt, gte, lt, lte and in (a list). Raises
        ``InvalidQueryError`` for an unknown column, a counter, or a value the column cannot hold.
        """
        terms, values = conditions(table_of(self._model), lookups, OPERATORS)
        return self._with(terms=self._query.terms + terms, values=self._query.values + values)

    def limit(self, n: int) -> Self:
        """Return at most ``n`` rows, 1 or more."""
        return self._with(limit=_positive("limit", n))

    def order_by(self, *columns: str) -> Self:
        """Sort by clustering columns, ``-column`` for descending; replaces an earlier order."""
        table = table_of(self._model)
        return self._with(order=tuple(_ordering(table, column) for column in columns))

    def allow_filtering(self) -> Self:
        """Let the database read more rows than it returns."""
        return self._with(allow_filtering=True)

    def fetch_size(self, n: int) -> Self:
        """Fetch pages of at most ``n`` rows, 1 or more."""
        return self._with(fetch_size=_positive("fetch_size", n))

    def page(self, state: bytes | None) -> Self:
        """Continue after an earlier page, named by its ``PagedResult.paging_state``; None starts over."""
        return self._with(page=state)

    def consistency(self, name: str) -> Self:
        """Read and write at a consistency level, e.g. ``"LOCAL_QUORUM"``."""
        return self._with(consistency=consistency_level(name))

    def timeout(self, seconds: float) -> Self:
        """Give up waiting for the database after ``seconds``."""
        return self._with(timeout=seconds)


# --- lookups ------------------------------------------------------------------------------------------------------


def conditions(
    table: Table, lookups: Mapping[str, Any], operators: Mapping[str, str], *, nullable: bool = False
) -> tuple[tuple[Term, ...], tuple[Any, ...]]:
    """
    Return the terms and values of lookups, checked; the operators say which suffixes are known.

    ``nullable``: None may be compared with, as the conditions of a write may.
    """
    terms: list[Term] = []
    values: list[Any] = []
    for lookup, value in lookups.items():
        column, operator = _split(table, lookup, operators)
        if column.counter:
            raise InvalidQueryError(
                f"Counter column '{column.name}' cannot be used in a filter: read the rows and compare in Python"
            )
        terms.append(Term(column.name, operator))
        if operator == "IN":
            values.append(_alternatives(table, column, value))
        else:
            values.append(None if nullable and value is None else table.key_value(column, value))
    return tuple(terms), tuple(values)


def column_named(table: Table, name: str) -> Column:
    """Return a column by name, refusing one the table does not have."""
    column = table.by_name.get(name)
    if column is None:
        raise InvalidQueryError(
            f"Unknown column '{name}' of table {table.name}; its columns are: {', '.join(table.by_name)}"
        )
    return column


def consistency_level(name: str | None) -> str | None:
    """Return the name of a consistency level in capitals, refusing an unknown one; None stays None."""
    if name is None:
        return None
    if str(name).upper() not in CONSISTENCY_LEVELS:
        raise InvalidQueryError(f"Unknown consistency level {name!r}; allowed: {', '.join(CONSISTENCY_LEVELS)}")
    return str(name).upper()


def _split(table: Table, lookup: str, operators: Mapping[str, str]) -> tuple[Column, str]:
    """Tell the column from the operator; a column whose own name ends like an operator wins."""
    name, _, suffix = lookup.rpartition("__")
    if lookup not in table.by_name and name and suffix in operators:
        return column_named(table, name), operators[suffix]
    return column_named(table, lookup), "="


def _alternatives(table: Table, column: Column, values: Iterable[Any]) -> tuple[Any, ...]:
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise InvalidQueryError(f"'{column.name}__in' takes a list of values, not {type(values).__name__}")
    return tuple(dict.fromkeys(table.key_value(column, value) for value in values))


def _ordering(table: Table, name: str) -> tuple[str, bool]:
    column = column_named(table, name.removeprefix("-"))
    if column.clustering_index is None:
        allowed = ", ".join(c.name for c in table.clustering) or "none"
        raise InvalidQueryError(f"Cannot order by '{column.name}': only clustering columns have an order ({allowed})")
    return column.name, name.startswith("-")


def _positive(what: str, number: Any) -> int:
    if isinstance(number, bool) or not isinstance(number, int) or not 0 < number < 2**31:
        raise InvalidQueryError(f"{what} takes an integer from 1 to 2**31 - 1, not {number!r}")
    return number
