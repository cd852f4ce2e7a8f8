"""
What a server would not read without ALLOW FILTERING, or not in the order asked for.

Rules that live here: SQLite reads anything in any order, so a query that works here could fail in production. A SELECT
is held to Cassandra's rules: the whole partition key by ``=`` or ``IN``, then clustering columns in their order, a
range in the last of them only; or one indexed column. An order is that of the clustering columns or its reverse, within
partitions that are named. A column has one condition, or one bound on either side, or several of what it contains.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from coodie.schema import Column, Table
from coodie.statement import Select, Term

_SIDES = {">": "from", ">=": "from", "<": "to", "<=": "to"}
Asked: TypeAlias = Mapping[str, set[str]]
"""Column -> the operators that conditions put to it."""


def refusal(shape: Select) -> str | None:
    """Return why a server would refuse a SELECT, None where it would not."""
    table = shape.table
    asked: dict[str, set[str]] = {}
    for term in shape.where:
        asked.setdefault(term.column, set()).add(term.operator)
    if (unfit := unfit_conditions(table, shape.where)) is not None:
        return unfit
    if shape.order and not _names_partitions(table, asked):
        return "order_by() needs the whole partition key, by '='"
    if shape.order and not _is_stored_order(table, asked, shape.order):
        return "rows can be ordered by the clustering columns in their order, all as they are stored or all reversed"
    searched = [] if shape.allow_filtering else _searched(table, asked)
    if not searched or (len(searched) == 1 and _is_indexed(table.by_name[searched[0]], asked)):
        return None
    return (
        f"filtering by {', '.join(searched)} may read many rows for each that it returns: name the whole partition "
        "key and the clustering columns in their order, or say allow_filtering()"
    )


def unfit_conditions(table: Table, terms: Sequence[Term]) -> str | None:
    """Return which condition no server takes, filtering or not; None where it takes them all."""
    asked: dict[str, list[str]] = {}
    for term in terms:
        asked.setdefault(term.column, []).append(_SIDES.get(term.operator, term.operator))
    for name, operators in asked.items():
        contained = [operator for operator in operators if operator.startswith("CONTAINS")]
        if table.by_name[name].cql_type.startswith(("list<", "set<", "map<")) and len(contained) < len(operators):
            return f"the collection '{name}' is asked for by __contains, or is Frozen()"
        exact = "=" in operators or "IN" in operators
        bounds = [operator for operator in operators if operator in _SIDES.values()]
        if len(operators) > 1 and (exact or len(set(bounds)) < len(bounds) or (bounds and contained)):
            return f"'{name}' takes one condition, or one bound on either side, and was given {len(operators)}"
    return None


def _names_partitions(table: Table, asked: Asked) -> bool:
    return all(_is_exact(column, asked) for column in table.partition_key)


def _is_exact(column: Column, asked: Asked) -> bool:
    return column.name in asked and asked[column.name] <= {"=", "IN"}


def _searched(table: Table, asked: Asked) -> list[str]:
    """Return the columns whose conditions the key cannot answer: rows are read to find those that match."""
    is_open = _names_partitions(table, asked)
    searched = [] if is_open else [column.name for column in table.partition_key if column.name in asked]
    for column in table.clustering:
        if column.name in asked and (not is_open or asked[column.name] & {"!=", "LIKE", "CONTAINS", "CONTAINS KEY"}):
            searched.append(column.name)
        is_open = is_open and _is_exact(column, asked)
    return searched + [name for name in asked if not table.by_name[name].is_key]


def _is_indexed(column: Column, asked: Asked) -> bool:
    return column.index is not None and asked[column.name] in ({"="}, {"CONTAINS"})


def _is_stored_order(table: Table, asked: Asked, order: tuple[tuple[str, bool], ...]) -> bool:
    named = {name for name, _ in order}
    columns = [column for column in table.clustering if column.name in named or asked.get(column.name) != {"="}]
    prefix = columns[: len(order)]
    turned = {column.descending != descending for column, (_, descending) in zip(prefix, order, strict=False)}
    return [column.name for column in prefix] == [name for name, _ in order] and len(turned) == 1
