"""
Changes of columns: ``column__op=value`` as checked assignments of an UPDATE.

Rules that live here:

* Without an operation the value replaces the old one. ``add``, ``append`` and ``update`` append to a collection,
  ``prepend`` puts a list before a list, ``remove`` takes out elements (of a map: keys), ``put`` and ``setindex`` set
  one element of a map or list. A column whose own name ends like an operation wins.
* What the column's type does not take is refused before any round trip: another kind of collection, a bare string,
  elements of another type, None inside a collection; a key column, a counter; one column changed twice.
* What is assigned is checked by the field's own validators too, and sent as they give it: a value that the model does
  not take would make its row unreadable. So are elements that are added (see ``coodie.elements``), not those taken out.
* Assignments are in table order whatever the order of the keywords, so that equal sets of them are one statement.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

from coodie.elements import checked_part
from coodie.exceptions import InvalidQueryError
from coodie.lookups import column_named
from coodie.model import Model, checked_fields
from coodie.schema import Column, Table
from coodie.statement import Change
from coodie.type_text import collection_of
from coodie.values import refused, wrong_type
from coodie.written import element_writer

OPERATIONS = {
    "add": "append",
    "append": "append",
    "update": "append",
    "prepend": "prepend",
    "remove": "remove",
    "put": "put",
    "setindex": "put",
}
_TAKEN = {
    "list": ("append", "prepend", "remove", "put"),
    "set": ("append", "remove"),
    "map": ("append", "remove", "put"),
}
_PARTS: dict[str, Any] = {"list": (list, tuple), "set": (list, tuple, AbstractSet), "map": Mapping}
_LIST_LENGTH_MAX = 2**31 - 1


class Changes(NamedTuple):
    """The assignments of an UPDATE in table order, their values, and what the plain ones among them set."""

    assignments: tuple[Change, ...]
    values: tuple[Any, ...]
    assigned: dict[str, Any]


def changes_of(model: type[Model], table: Table, changes: Mapping[str, Any]) -> Changes:
    """
    Return the changes given by keyword, checked.

    InvalidQueryError names the column and what it takes; pydantic's ``ValidationError`` tells what the model refuses.
    """
    found: dict[str, tuple[Change, list[Any]]] = {}
    assigned = {}
    for given, value in changes.items():
        column, suffix = split(table, given)
        if column.name in found:
            raise InvalidQueryError(f"Column '{column.name}' is changed twice in one update; nothing was sent")
        if not suffix:
            assigned[column.name] = value
        change = Change(column.name, OPERATIONS.get(suffix, "set"))
        operands = _operands(table, column, suffix, value)
        if suffix and change.operation != "remove":
            operands = _checked_operands(model, table, column, suffix, value, operands[0])
        found[column.name] = change, operands
    checked = checked_fields(model, assigned) if assigned else {}
    for name, value in checked.items():
        if assigned[name] is not None:  # a null stays one, though it is read as the field's default
            found[name] = found[name][0], [table.writers[name](value)]
    ordered = [found[name] for name in table.by_name if name in found]
    values = tuple(operand for _, operands in ordered for operand in operands)
    return Changes(tuple(change for change, _ in ordered), values, checked)


def split(table: Table, given: str) -> tuple[Column, str]:
    """Tell the column from the suffix of its operation ("" for none); key columns and unknown ones are refused."""
    name, _, suffix = given.rpartition("__")
    if given in table.by_name or not name or suffix not in OPERATIONS:
        name, suffix = given, ""
    column = column_named(table, name)
    if column.is_key:
        raise InvalidQueryError(
            f"Column '{column.name}' is part of the primary key of {table.name} and cannot be changed; nothing was sent"
        )
    return column, suffix


def refuse_shadowed(table: Table, **given: Any) -> None:
    """Refuse an option of ``update()`` that was given, where a column has its name: which was meant is not known."""
    for name, value in given.items():
        if name in table.by_name and value is not None and value is not False:
            raise InvalidQueryError(
                f"Column '{name}' cannot be changed by update(): its keyword is an option; save() the document; "
                "nothing was sent"
            )


def place_of(column: Column, place: Any) -> Any:
    """Return the checked position, key or member that names one element of a column's collection."""
    kind, elements = _collection(column)
    return _position(column, place) if kind == "list" else element_writer(column, elements[0], hashable=True)(place)


def _operands(table: Table, column: Column, suffix: str, value: Any) -> list[Any]:
    if not suffix:
        return [table.writers[column.name](value)]
    kind, elements = _collection(column)
    operation = OPERATIONS[suffix]
    if operation not in _TAKEN[kind]:
        raise refused(column, f"takes no '{suffix}'")
    if operation == "put":
        place, element = _pair(column, kind, value)
        return [place_of(column, place), element_writer(column, elements[-1])(element)]
    wanted = "set" if kind == "map" and operation == "remove" else kind  # keys are taken out of a map
    if not isinstance(value, _PARTS[wanted]):
        raise wrong_type(column, value, f"a {wanted} in '{suffix}'")
    if wanted == "map":
        return [table.writers[column.name](value)]
    write = element_writer(column, elements[0], hashable=wanted == "set")
    return [{write(each) for each in value} if wanted == "set" else [write(each) for each in value]]


def _checked_operands(
    model: type[Model], table: Table, column: Column, suffix: str, value: Any, place: Any
) -> list[Any]:
    """Return the operands of elements that are added, as their own validators give them; ``place``: of a ``put``."""
    if OPERATIONS[suffix] != "put":
        return _operands(table, column, suffix, checked_part(model, column.name, value))
    if _collection(column)[0] == "list":
        return _operands(table, column, suffix, (place, checked_part(model, column.name, [value[1]])[0]))
    return _operands(table, column, suffix, *checked_part(model, column.name, {place: value[1]}).items())


def _collection(column: Column) -> tuple[str, tuple[str, ...]]:
    """Return the kind of a column's collection and the types of its elements; refuse what can only be replaced."""
    if column.cql_type.partition("<")[0] not in _TAKEN:
        raise refused(column, "is no collection that can be changed in part: assign the whole value")
    return collection_of(column.cql_type)


def _pair(column: Column, kind: str, value: Any) -> tuple[Any, Any]:
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise refused(column, f"takes a pair ({'position' if kind == 'list' else 'key'}, value)")
    return value[0], value[1]


def _position(column: Column, place: Any) -> int:
    if isinstance(place, bool) or not isinstance(place, int) or not 0 <= place <= _LIST_LENGTH_MAX:
        raise refused(column, "takes positions from 0 to 2**31 - 1")
    return place
