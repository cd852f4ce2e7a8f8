"""
What acsylla cannot carry, and the ways around it.

Rules that live here:

* What a cast or an aggregate answers goes by its own type: ``min`` and ``max`` of a ``timeuuid``, to which the server
  gives a type of their own that acsylla cannot read, as JSON.
* acsylla 1.2 writes a ``decimal`` as the letters of its digits, which the server takes for another number, and reads it
  so too; it reads moments of distant years up to 1 ms early; it cannot build a set of sets. The first travels as JSON
  both ways (``fromJson``, ``toJson``), the others where they are read: moments of a column as their eight bytes.
* The answer of a conditional write comes as it comes: one that could hold such a value is refused by name, before it
  is sent. So is a list of decimals after ``IN``, where CQL takes no ``fromJson``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import zip_longest
from typing import Any, NamedTuple

from coodie.drivers.acsylla.kinds import kinds_of
from coodie.exceptions import InvalidQueryError
from coodie.statement import Batch, Delete, Insert, Select, Selected, Statement, Update
from coodie.type_text import collection_of

AS_JSON, AS_BYTES = "TOJSON", "TIMESTAMPASBLOB"
_OF_THE_COLUMN = (None, "sum", "avg", "min", "max")  # functions whose result has the type of their argument
_PLACEHOLDERS = re.compile(r'"(?:[^"]|"")*"|\?')
_SELECTED = re.compile(r"(SELECT (?:DISTINCT )?)(.*?)( FROM .*)", re.DOTALL)
_ITEMS = re.compile(r', (?=(?:[^"]|"[^"]*")*$)(?![^()]*\))')


class Result(NamedTuple):
    """One column of a result: its name, its CQL type where that is known, and the function by which it travels."""

    name: str | None
    kind: str | None
    way: str | None


def text_of(statement: Statement) -> str:
    """Return the CQL text to prepare for a statement; InvalidQueryError for what has no way around."""
    if any(map(_is_affected, _tables(statement.shape))) or _has_answers_of_its_own(statement.shape):
        return _around(statement.shape, statement.cql)
    return statement.cql


def goes_as_json(kind: str, *, reading: bool) -> bool:
    """Return whether values of a CQL type travel as JSON."""
    if "decimal" in re.findall(r"\w+", kind):
        return True
    return reading and "<" in kind and ("timestamp" in kind or _has_unhashable_members(kind))


def results_of(shape: Select) -> tuple[Result, ...]:
    """Return the columns of the result of a SELECT, in their order."""
    chosen = shape.columns or tuple(Selected(column.name) for column in shape.table.columns)
    return tuple(_result(shape.table, each) for each in chosen)


def _result(table: Any, selected: Selected) -> Result:
    name = selected.column if selected.function is None and selected.cast is None else None
    column = table.by_name.get(selected.column)
    if selected.function not in _OF_THE_COLUMN or column is None:
        return Result(name, None, None)
    kind = selected.cast.lower() if selected.cast else str(column.cql_type)
    if goes_as_json(kind, reading=True) or (kind == "timeuuid" and selected.function in ("min", "max")):
        return Result(name, kind, AS_JSON)
    return Result(name, kind, AS_BYTES if kind == "timestamp" else None)


@lru_cache(maxsize=4096)
def _around(shape: Any, text: str) -> str:
    _refuse_unreadable_answers(shape)
    kinds = tuple(kinds_of(shape))
    if any(kind and goes_as_json(kind, reading=False) for kind in kinds):
        text = _with_json_values(text, kinds)
    if isinstance(shape, Select) and any(result.way for result in results_of(shape)):
        text = _with_ways(text, results_of(shape))
    return text


def _with_json_values(text: str, kinds: Sequence[str | None]) -> str:
    left = iter(kinds)

    def put(found: re.Match[str]) -> str:
        if found[0] != "?":
            return found[0]
        kind = next(left, None)  # limits come last and have none
        if kind is None or not goes_as_json(kind, reading=False):
            return "?"
        if text[: found.start()].endswith(" IN "):
            raise InvalidQueryError(
                f"acsylla cannot send a {kind} after IN: ask for one value at a time; nothing was sent"
            )
        return "fromJson(?)"

    return _PLACEHOLDERS.sub(put, text)


def _with_ways(text: str, results: Sequence[Result]) -> str:
    """Return the text of a SELECT with the columns that need it inside a function."""
    found = _SELECTED.fullmatch(text)
    if found is None:
        return text
    start, items, rest = found.groups()
    ways = zip_longest(_ITEMS.split(items), results)
    return start + ", ".join(f"{result.way}({item})" if result.way else item for item, result in ways) + rest


def _refuse_unreadable_answers(shape: Any) -> None:
    for each in shape.shapes if isinstance(shape, Batch) else (shape,):
        for column in _answered(each):
            kind = column.cql_type
            if "decimal" in kind or _has_unhashable_members(kind):
                raise InvalidQueryError(
                    f"acsylla cannot read the answer of a conditional write with column '{column.name}' ({kind}) in "
                    "it: use another driver for it; nothing was sent"
                )


def _answered(shape: Any) -> Iterator[Any]:
    """Yield the columns in the answer of a conditional write that was not applied."""
    if isinstance(shape, Insert) and shape.if_not_exists:
        yield from shape.table.columns
    elif isinstance(shape, Update | Delete):
        yield from (shape.table.by_name[term.column] for term in shape.conditions)


def _tables(shape: Any) -> Iterator[Any]:
    """Yield the tables a shape is about."""
    for each in shape.shapes if isinstance(shape, Batch) else (shape,):
        table = getattr(each, "table", None)
        if table is not None:
            yield table


@lru_cache(maxsize=1024)
def _is_affected(table: Any) -> bool:
    return any(
        column.cql_type == "timestamp" or goes_as_json(column.cql_type, reading=True) for column in table.columns
    )


def _has_answers_of_its_own(shape: Any) -> bool:
    """Return whether a SELECT answers what the columns of its table do not tell."""
    return isinstance(shape, Select) and any(each.cast or each.function for each in shape.columns)


def _has_unhashable_members(kind: str, within: bool = False) -> bool:
    """Return whether a set or the keys of a map hold collections that Python cannot hash."""
    name, inner = collection_of(kind)
    return (within and name in ("list", "set", "map")) or any(
        _has_unhashable_members(each, within or name == "set" or (name == "map" and position == 0))
        for position, each in enumerate(inner)
    )
