"""
Conditions as SQL text, and their values as stored.

Rules that live here: an ``IN`` takes one placeholder for each alternative, so a text is cached by the shape and the
numbers of alternatives (``sizes``); order operators on ``decimal`` and ``varint`` compare as numbers; LIKE has CQL's
meaning (``%`` alone is a wildcard, at the ends; case counts), which SQLite's GLOB can express and its LIKE cannot. No
condition of a WHERE clause holds for NULL.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from coodie.drivers.sqlite.collections import storage, unfrozen
from coodie.drivers.sqlite.filtering import unfit_conditions
from coodie.drivers.sqlite.names import column_of, quoted, unsupported
from coodie.drivers.sqlite.orders import collation
from coodie.drivers.sqlite.values import encode
from coodie.exceptions import InvalidQueryError, RowRejected
from coodie.schema import Column, Table
from coodie.statement import Term

ALTERNATIVES_MAX = 30_000
_ORDERED = ("<", "<=", ">", ">=")
_OPERATORS = ({"=": "=", "!=": "!=", "LIKE": "GLOB"}, {"=": "IS", "!=": "IS NOT", "LIKE": "GLOB"})  # [null_safe]
_GLOB = str.maketrans({"*": "[*]", "?": "[?]", "[": "[[]", "%": "*"})


def sizes(terms: Sequence[Term], values: Sequence[Any]) -> tuple[int, ...]:
    """Return the number of alternatives of each ``IN`` among terms."""
    found = tuple(len(value) for term, value in zip(terms, values, strict=True) if term.operator == "IN")
    if sum(found) > ALTERNATIVES_MAX:
        raise unsupported(f"IN with more than {ALTERNATIVES_MAX} alternatives", "ask in several queries")
    return found


def where(table: Table, terms: Sequence[Term], counts: tuple[int, ...], null_safe: bool = False) -> str:
    """Return terms joined by AND, ``1`` where there are none; ``null_safe``: compare as an IF clause does."""
    remaining = iter(counts)
    return " AND ".join(_term(table, term, remaining, null_safe) for term in terms) or "1"


def where_values(table: Table, terms: Sequence[Term], values: Sequence[Any], null_safe: bool = False) -> list[Any]:
    """Return the values of terms as stored, one for each placeholder; see ``where`` for ``null_safe``."""
    _refuse_null(terms, values, null_safe)
    stored: list[Any] = []
    for term, value in zip(terms, values, strict=True):
        column = column_of(table, term.column)
        if term.operator == "IN":
            stored += [encode(table, column, storage(column.cql_type).encode, one) for one in value]
        elif term.operator.startswith("CONTAINS"):
            stored.append(encode(table, column, storage(_contained(column, term.operator)).encode, value))
        else:
            stored.append(_single(table, column, term, value))
    return stored


def _refuse_null(terms: Sequence[Term], values: Sequence[Any], null_safe: bool) -> None:
    """Refuse None where Cassandra does: it has no order, and a WHERE clause compares nothing with it."""
    for term, value in zip(terms, values, strict=True):
        missing = value is None or (term.operator == "IN" and None in value)
        if missing and not (null_safe and term.operator in ("=", "!=")):
            raise InvalidQueryError(
                f"Column {term.column!r} cannot be compared with None by {term.operator}; nothing was sent"
            )


def equal(table: Table) -> str:
    """Return the condition that names one row: a placeholder for each key column, in key order."""
    return " AND ".join(f"{quoted(column.name)} = ?" for column in table.primary_key)


def check_deletable(table: Table, terms: Sequence[Term]) -> None:
    """
    Refuse a DELETE of other rows than Cassandra can name: InvalidQueryError.

    It takes whole partitions, narrowed by clustering columns in their order, the last of them by a range.
    """
    asked: dict[str, set[str]] = {}
    for term in terms:
        asked.setdefault(term.column, set()).add(term.operator)
    if (unfit := unfit_conditions(table, terms)) is not None:
        raise InvalidQueryError(f"Cannot delete from table {table.name}: {unfit}; nothing was deleted")
    taken = _deletable(table, asked)
    if set(asked) - taken or not all(column.name in taken for column in table.partition_key):
        keys = ", ".join(column.name for column in table.primary_key)
        raise InvalidQueryError(
            f"A delete in table {table.name} takes the whole partition key by equality, then clustering columns in "
            f"their order, the last one by a range ({keys}); nothing was deleted"
        )


def _deletable(table: Table, asked: Mapping[str, set[str]]) -> set[str]:
    """Return the columns by which a DELETE may choose rows."""
    taken = {column.name for column in table.partition_key if asked.get(column.name, {""}) <= {"=", "IN"}}
    for column in table.clustering:
        operators = asked.get(column.name, set())
        if not operators or not operators <= {"=", "IN", *_ORDERED}:
            break
        taken.add(column.name)
        if operators & set(_ORDERED):
            break
    return taken


def collated(column: Column) -> str:
    """Return the column as an expression that sorts as its CQL type does; InvalidQueryError where nothing does."""
    name = collation(column.cql_type)
    if name is None:
        raise unsupported(f"order of values of type {column.cql_type} ({column.name!r})", "sort in Python")
    return f"{quoted(column.name)} COLLATE {name}" if name else quoted(column.name)


def placed(column: Column) -> str:
    """Return the column as rows are ordered by it: partitions have no order to keep, so theirs is that of the file."""
    return quoted(column.name) if column.partition_index is not None else collated(column)


def _single(table: Table, column: Column, term: Term, value: Any) -> Any:
    stored = encode(table, column, storage(column.cql_type).encode, value)
    if stored is None and value is not None and term.operator in _ORDERED:
        raise RowRejected(f"Column {column.name!r} cannot be compared with an empty collection by {term.operator}")
    if term.operator != "LIKE":
        return stored
    if not isinstance(stored, str):
        raise InvalidQueryError(f"LIKE takes text, and column {column.name!r} was given {type(value).__name__}")
    if "%" in stored[1:-1] or "\0" in stored:
        raise unsupported("LIKE with '%' inside the text, or with NUL", "'%' goes at its beginning, its end, or both")
    return stored.translate(_GLOB)


def _term(table: Table, term: Term, counts: Any, null_safe: bool) -> str:
    if term.token:
        raise unsupported("token()", "compare the key itself")
    column = column_of(table, term.column)
    name = quoted(column.name)
    if term.operator == "IN":
        return _among(_compared(column), next(counts), null_safe)
    if term.operator.startswith("CONTAINS"):
        inner = _collation(_contained(column, term.operator))
        return f"EXISTS (SELECT 1 FROM json_each({name}) WHERE {_part(column, term.operator)}{inner} = ?)"
    if term.operator in _ORDERED:
        return f"{collated(column)} {term.operator} ?"
    text = _OPERATORS[null_safe].get(term.operator)
    if text is None:
        raise unsupported(f"operator {term.operator!r}")
    return f"{_compared(column)} {text} ?"


def _among(name: str, count: int, null_safe: bool) -> str:
    """Return an ``IN``; one of an IF clause finds a null among empty collections, which are stored as null."""
    if null_safe and count:
        return f"EXISTS (SELECT 1 FROM (VALUES {', '.join(['(?)'] * count)}) WHERE {name} IS column1)"
    return f"{name} IN ({', '.join('?' * count)})"


def _compared(column: Column) -> str:
    """Return the column as what equality compares: keys are canonical, and found by their index; other numbers vary."""
    return quoted(column.name) if column.is_key else quoted(column.name) + _collation(column.cql_type)


def _collation(cql_type: str) -> str:
    return " COLLATE coodie_number" if storage(cql_type).numeric_text else ""


def _part(column: Column, operator: str) -> str:
    """Return where json_each finds what CONTAINS compares: pairs are ``[key, value]``."""
    if unfrozen(column.cql_type)[0] != "map":
        return "value"
    return f"json_extract(value, '$[{0 if operator == 'CONTAINS KEY' else 1}]')"


def _contained(column: Column, operator: str) -> str:
    """Return the CQL type of what CONTAINS compares with."""
    name, arguments = unfrozen(column.cql_type)
    key_asked = operator == "CONTAINS KEY"
    if name not in ("list", "set", "map") or (key_asked and name != "map"):
        raise InvalidQueryError(f"{operator} does not apply to column {column.name!r} of type {column.cql_type}")
    inner = arguments[0] if key_asked else arguments[-1]
    if unfrozen(inner)[1] or inner == "blob":
        raise unsupported(f"{operator} for elements of type {inner}")
    return inner
