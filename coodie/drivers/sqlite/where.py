"""
Conditions as SQL text, and their values as stored.

Rules that live here: an ``IN`` takes one placeholder for each alternative, so a text is cached by the shape and the
numbers of alternatives (``sizes``); order operators on ``decimal`` and ``varint`` compare as numbers; LIKE has CQL's
meaning (``%`` alone is a wildcard, case counts), which SQLite's GLOB can express and its LIKE cannot.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from coodie.drivers.sqlite.collections import storage, unfrozen
from coodie.drivers.sqlite.names import column_of, quoted, unsupported
from coodie.drivers.sqlite.values import encode
from coodie.exceptions import InvalidQueryError
from coodie.schema import Column, Table
from coodie.statement import Term

ALTERNATIVES_MAX = 30_000
_ORDERED = ("<", "<=", ">", ">=")
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


def where_values(table: Table, terms: Sequence[Term], values: Sequence[Any]) -> list[Any]:
    """Return the values of terms as stored, one for each placeholder."""
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


def collated(column: Column) -> str:
    """Return the column as an expression that sorts as its CQL type does."""
    name = quoted(column.name)
    return f"{name} COLLATE coodie_number" if storage(column.cql_type).numeric_text else name


def _single(table: Table, column: Column, term: Term, value: Any) -> Any:
    stored = encode(table, column, storage(column.cql_type).encode, value)
    if term.operator != "LIKE":
        return stored
    if not isinstance(stored, str):
        raise InvalidQueryError(f"LIKE takes text, and column {column.name!r} was given {type(value).__name__}")
    return stored.translate(_GLOB)


def _term(table: Table, term: Term, counts: Any, null_safe: bool) -> str:
    if term.token:
        raise unsupported("token()", "compare the key itself")
    column = column_of(table, term.column)
    name = quoted(column.name)
    if term.operator == "IN":
        return f"{name} IN ({', '.join('?' * next(counts))})"
    if term.operator.startswith("CONTAINS"):
        return f"EXISTS (SELECT 1 FROM json_each({name}) WHERE {_part(column, term.operator)} = ?)"
    if term.operator in _ORDERED:
        return f"{collated(column)} {term.operator} ?"
    text = {"=": "IS" if null_safe else "=", "!=": "IS NOT", "LIKE": "GLOB"}.get(term.operator)
    if text is None:
        raise unsupported(f"operator {term.operator!r}")
    return f"{name} {text} ?"


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
