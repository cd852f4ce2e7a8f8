"""
Lookups: ``column__op=value`` as checked terms and values, for filters and for the conditions of a write.

Rules that live here:

* Unknown columns, counters and values that the column cannot hold are refused where they are written, before any round
  trip. A column whose own name ends like an operator wins; a suffix that is none is part of a column's name.
* What the names of lookups mean is worked out once for each table and set of names: equal filters share their terms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any, NoReturn, TypeAlias

from coodie.exceptions import InvalidQueryError
from coodie.schema import Column, Table
from coodie.statement import Term
from coodie.type_text import collection_of
from coodie.types import canonical, key_writer_of, row_writer_of

CONDITION_OPERATORS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "in": "IN", "ne": "!="}
_TOKENS = {f"token__{suffix}": CONDITION_OPERATORS[suffix] for suffix in ("gt", "gte", "lt", "lte")}
OPERATORS = {
    **CONDITION_OPERATORS,
    "contains": "CONTAINS",
    "contains_key": "CONTAINS KEY",
    "like": "LIKE",
    "isnull": "IS NULL",
    **_TOKENS,
}

Check: TypeAlias = Callable[[Any], Any]
Checks: TypeAlias = Callable[[Mapping[str, Any]], tuple[Any, ...]]


def filters(table: Table, lookups: Mapping[str, Any]) -> tuple[tuple[Term, ...], tuple[Any, ...]]:
    """Return the terms and values of the lookups of a query, checked."""
    terms, checked = meaning(table, tuple(lookups))
    return terms, checked(lookups)


def conditions(
    table: Table, lookups: Mapping[str, Any], operators: Mapping[str, str], *, nullable: bool = False
) -> tuple[tuple[Term, ...], tuple[Any, ...]]:
    """
    Return the terms and values of lookups, checked; the operators say which suffixes are known.

    ``nullable``: None may be compared with by = and !=, as the conditions of a write may.
    """
    terms: list[Term] = []
    values: list[Any] = []
    for lookup, value in lookups.items():
        term, check = _term(table, lookup, operators)
        terms.append(term)
        values.append(None if nullable and value is None and term.operator in ("=", "!=") else check(value))
    return tuple(terms), tuple(values)


def column_named(table: Table, name: str) -> Column:
    """Return a column by name, refusing one the table does not have."""
    column = table.by_name.get(name)
    if column is None:
        raise InvalidQueryError(
            f"Unknown column '{name}' of table {table.name}; its columns are: {', '.join(table.by_name)}"
        )
    return column


def refuse_null(column: Column) -> NoReturn:
    """Raise the refusal of a filter for nulls."""
    raise InvalidQueryError(
        f"Cannot filter on '{column.name}' with IS [NOT] NULL: CQL only allows IS NOT NULL in materialized view "
        "definitions, and IS NULL is not valid CQL."
    )


@lru_cache(maxsize=4096)
def meaning(table: Table, names: tuple[str, ...]) -> tuple[tuple[Term, ...], Checks]:
    """Return the terms that the names of lookups stand for, and what checks their values and gives them in order."""
    found = {name: _term(table, name, OPERATORS) for name in names}
    return tuple(term for term, _ in found.values()), row_writer_of({name: check for name, (_, check) in found.items()})


def _term(table: Table, lookup: str, operators: Mapping[str, str]) -> tuple[Term, Check]:
    column, suffix = _split(table, lookup, operators)
    if column.counter:
        raise InvalidQueryError(
            f"Counter column '{column.name}' cannot be used in a filter: read the rows and compare in Python"
        )
    term = Term(column.name, operators.get(suffix, "="), token=suffix in _TOKENS)
    return term, _check(table, column, suffix)


def _split(table: Table, lookup: str, operators: Mapping[str, str]) -> tuple[Column, str]:
    """Tell the column from the suffix; a column whose own name ends like an operator wins."""
    name, _, suffix = lookup.rpartition("__")
    if lookup not in table.by_name and name and suffix in operators:
        column = name.removesuffix("__token")
        if name not in table.by_name and column != name and f"token__{suffix}" in operators:
            return column_named(table, column), f"token__{suffix}"
        return column_named(table, name), suffix
    return column_named(table, lookup), ""


def _check(table: Table, column: Column, suffix: str) -> Check:
    """Return what checks the value of a lookup and gives its canonical form."""
    if suffix == "isnull":
        refuse_null(column)
    if suffix in _TOKENS:
        return partial(_token, column)
    if suffix in ("contains", "contains_key"):
        return partial(canonical, _element(column, suffix))
    if suffix == "like" and column.cql_type not in ("text", "ascii"):
        raise InvalidQueryError(f"'{column.name}__like' needs a text column, and {column.name} is {column.cql_type}")
    return partial(_alternatives, table, column) if suffix == "in" else key_writer_of(column, table.key_value)


def _alternatives(table: Table, column: Column, values: Iterable[Any]) -> tuple[Any, ...]:
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise InvalidQueryError(f"'{column.name}__in' takes a list of values, not {type(values).__name__}")
    return tuple(dict.fromkeys(table.key_value(column, value) for value in values))


def _element(column: Column, suffix: str) -> Column:
    """Return what a collection holds as a column: its elements, of a map the values, or the keys."""
    kind, types = collection_of(column.cql_type)
    if kind not in (("map",) if suffix == "contains_key" else ("list", "set", "map")):
        raise InvalidQueryError(f"'{column.name}__{suffix}' does not fit a column of type {column.cql_type}")
    return replace(column, cql_type=types[0 if suffix == "contains_key" else -1])


def _token(column: Column, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**63) <= value < 2**63:
        raise InvalidQueryError(f"The token of '{column.name}' is compared with a 64-bit integer, not {value!r}")
    return value
