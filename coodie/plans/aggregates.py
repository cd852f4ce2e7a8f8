"""
Aggregates: one number over the rows of a query, and the age of a value.

Rules that live here:

* Sums of integers are exact, of any size (added up as ``varint``); of floats they are in double precision. An average
  is the sum divided here by the number of values: Cassandra's own average of integers is cut to an integer.
* No rows: a sum is 0, an average, minimum and maximum are None.
* Aggregates are of what is stored; what a buffer still holds is not in them. Over an exact table only those are taken
  that mean the same over the rows of its writers. Of counters only sums: one that was never changed is null to some
  databases, 0 to others.
* Rows are counted as they are read: of a partition that has static values alone there is none.
* What an aggregate cannot honour, a limit for one, is refused rather than ignored.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from typing import Any, NamedTuple

from coodie.exceptions import InvalidQueryError, RowRejected
from coodie.lookups import column_named
from coodie.plans.selection import name_in_every_row, refuse_unordered, statement
from coodie.query import Query
from coodie.schema import Column, Table
from coodie.statement import Rows, Select, Selected, Statement

FUNCTIONS = ("count", "sum", "avg", "min", "max")

_CALL = re.compile(r"\s*(\w+)\s*\(\s*(\*|\w+)\s*\)\s*")
_SUMMED_AS = {
    **dict.fromkeys(("tinyint", "smallint", "int", "bigint", "varint", "counter"), "varint"),
    **dict.fromkeys(("float", "double"), "double"),
    "decimal": None,
}
_ZERO = {"varint": 0, "double": 0.0, None: Decimal(0)}


class _Asked(NamedTuple):
    """One aggregate: what is selected for it, and how its answer is made of the values that came."""

    selected: tuple[Selected, ...]
    answer: Callable[..., Any]


def aggregate(table: Table, query: Query, calls: Mapping[str, Any]) -> Generator[Statement, Rows, dict[str, Any]]:
    """Return the plan that answers several aggregates, given as ``"sum(views)"``, by name, with one statement."""
    if not calls:
        raise InvalidQueryError('aggregate() names at least one, e.g. aggregate(total="sum(views)")')
    return _read(table, query, {name: _parsed(table, name, call) for name, call in calls.items()}, "aggregate")


def single(table: Table, query: Query, function: str, column: str) -> Generator[Statement, Rows, Any]:
    """Return the plan that answers one aggregate of a column."""
    asked = _asked(table, function, column_named(table, column))
    return _single(_read(table, query, {function: asked}, function), function)


def first_cell(table: Table, query: Query, function: str, column: str) -> Generator[Statement, Rows, int | None]:
    """Return the plan that answers the WRITETIME (us since 1970) or TTL (s) of a column of the first row, or None."""
    found = column_named(table, column)
    if found.is_key or found.counter:
        what = "is part of the primary key" if found.is_key else "is a counter"
        raise InvalidQueryError(f"Column '{column}' {what}: it has no {function}")
    if found.cql_type.startswith(("list<", "set<", "map<")):  # the answer would be a list that clients cannot decode
        raise InvalidQueryError(f"Column '{column}' ({found.cql_type}) has a {function} for each of its elements")
    _refuse(query, function, ("page",))
    refuse_unordered(table, query)
    shape = Select(table, (Selected(column, function),), query.terms, query.order, True, query.allow_filtering)
    return _first_value(query, statement(shape, query, 1))


def _first_value(query: Query, ask: Statement) -> Generator[Statement, Rows, int | None]:
    items = [] if query.is_empty else (yield ask).items
    return next(iter(items[0].values()), None) if items else None


def _single(plan: Generator[Statement, Rows, dict[str, Any]], name: str) -> Generator[Statement, Rows, Any]:
    return (yield from plan)[name]


def _read(
    table: Table, query: Query, asked: Mapping[str, _Asked], method: str
) -> Generator[Statement, Rows, dict[str, Any]]:
    _refuse(query, method, ("limit", "order", "per_partition_limit", "group_by", "distinct", "casts", "page"))
    selected = tuple(dict.fromkeys(one for each in asked.values() for one in each.selected))
    shape = Select(table.stored, selected, query.terms, (), False, query.allow_filtering)
    return _answered(query, statement(shape, query), selected, asked)


def _answered(
    query: Query, ask: Statement, selected: tuple[Selected, ...], asked: Mapping[str, _Asked]
) -> Generator[Statement, Rows, dict[str, Any]]:
    items = [] if query.is_empty else (yield ask).items
    values = dict(zip(selected, items[0].values(), strict=True)) if items else {}
    return {name: each.answer(*map(values.get, each.selected)) for name, each in asked.items()}


def _refuse(query: Query, method: str, options: tuple[str, ...]) -> None:
    names = {"order": "order_by", "casts": "cast"}
    given = [f"{names.get(option, option)}()" for option in options if getattr(query, option)]
    if given:
        raise InvalidQueryError(f"{method}() takes no {', no '.join(given)}: read the rows and reckon in Python")


def _parsed(table: Table, name: str, call: Any) -> _Asked:
    found = _CALL.fullmatch(call) if isinstance(call, str) else None
    function, column = (found[1].lower(), found[2]) if found else ("", "")
    if function not in FUNCTIONS or (column == "*" and function != "count"):
        raise InvalidQueryError(
            f"aggregate({name}={call!r}): give 'count(*)' or function(column) with one of {', '.join(FUNCTIONS)}"
        )
    return _asked(table, function, None if column == "*" else column_named(table, column))


def _asked(table: Table, function: str, column: Column | None) -> _Asked:
    _refuse_over_writers(table, function, column)
    if column is None or (function == "count" and column.is_key):
        return _Asked((Selected(name_in_every_row(table) or "*", "count"),), _number)
    if column.counter and function != "sum":
        raise InvalidQueryError(
            f"{function}({column.name}) of a counter: one that was never changed is null in one database and 0 in "
            "another; only sum() is the same. Read the rows and reckon in Python"
        )
    if function == "count":
        return _Asked((Selected(column.name, "count"),), _number)
    if function in ("min", "max"):
        if "<" in column.cql_type or column.cql_type == "duration":
            raise InvalidQueryError(f"{function}({column.name}): values of type {column.cql_type} have no order")
        return _Asked((Selected(column.name, function),), _same)
    return _total(table, function, column)


def _total(table: Table, function: str, column: Column) -> _Asked:
    if column.cql_type not in _SUMMED_AS:
        raise InvalidQueryError(f"{function}() adds up numbers, and column '{column.name}' is {column.cql_type}")
    kind = _SUMMED_AS[column.cql_type]
    total, zero = Selected(column.name, "sum", kind), _ZERO[kind]
    if function == "avg":
        return _Asked((total, Selected(column.name, "count")), _average)

    def answer(value: Any) -> Any:
        if column.counter and value is not None and not -(2**63) <= value < 2**63:
            raise RowRejected(
                f"The sum of column '{column.name}' of table {table.full_name} is beyond 64 bits; nothing was changed"
            )
        return zero if value is None else value

    return _Asked((total,), answer)


def _refuse_over_writers(table: Table, function: str, column: Column | None) -> None:
    """Refuse what would count or weigh the rows of an exact table's writers instead of the rows of the model."""
    if table.counters != "exact":
        return
    if column is None or (function != "sum" if column.counter else function not in ("min", "max")):
        what = "*" if column is None else column.name
        raise InvalidQueryError(
            f"{function}({what}) of the exact table {table.name} would be over the rows of its writers: only sum() of "
            "a counter, min() and max() of a key column, and the QuerySet's count() are the same over those"
        )


def _number(value: Any) -> int:
    return int(value or 0)


def _same(value: Any) -> Any:
    return value


def _average(total: Any, number: Any) -> Any:
    if not number:
        return None
    if not isinstance(total, Decimal):
        return total / number
    # A context of our own: the sum is exact and may have more digits than the thread's context would keep.
    digits = max(28, len(total.as_tuple().digits))
    return Context(prec=digits, Emax=MAX_EMAX, Emin=MIN_EMIN).divide(total, Decimal(number))
