"""
Python type <-> CQL type, in one table.

Rules that live here:

* ``column_type`` answers for annotations whose ``Optional`` and markers are off (``unwrap`` takes them off); enums and
  ``Literal`` are stored by value; a collection inside a collection is frozen, as CQL wants it.
* What could be written but not read back is refused: a subclass that pydantic builds from nothing but itself, a
  collection that does not say what it holds.
* The forms of values, canonical and written, are made in ``coodie.values`` and ``coodie.written`` and offered here,
  where drivers and the aggregator look for them.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from uuid import UUID

from coodie.durations import CqlDuration
from coodie.exceptions import InvalidQueryError
from coodie.fields import Frozen, Marker, TypeMarker
from coodie.floats import shortest
from coodie.type_text import collection_of
from coodie.values import KEY_BYTES_MAX, canonical, encoded_size
from coodie.written import element_writer, key_writer_of, row_writer_of, writer_of

__all__ = [
    "COLLECTIONS",
    "KEY_BYTES_MAX",
    "SCALARS",
    "CqlDuration",
    "canonical",
    "coerce_row_none_collections",
    "collection_of",
    "column_type",
    "element_writer",
    "encoded_size",
    "key_writer_of",
    "python_type_to_cql_type_str",
    "row_writer_of",
    "shortest",
    "unwrap",
    "writer_of",
]

SCALARS: dict[type[Any], str] = {
    str: "text",
    bool: "boolean",
    int: "int",
    float: "float",
    bytes: "blob",
    UUID: "uuid",
    datetime: "timestamp",
    date: "date",
    time: "time",
    Decimal: "decimal",
    IPv4Address: "inet",
    IPv6Address: "inet",
    CqlDuration: "duration",
}
"""Subclasses come before their bases (bool, int; datetime, date): a derived type takes the first that fits."""

COLLECTIONS: dict[Any, str] = {list: "list", set: "set", dict: "map", tuple: "tuple", frozenset: "set"}

_EMPTY_WHEN_NULL = (list, set, dict, frozenset)
"""A database does not tell an empty collection from none; an instance always holds the empty one."""

_OF_PYDANTIC: dict[str, type[Any]] = {
    "AwareDatetime": datetime,
    "PastDatetime": datetime,
    "FutureDatetime": datetime,
    "PastDate": date,
    "FutureDate": date,
    "EmailStr": str,
    "IPvAnyAddress": IPv4Address,
}
"""Types of pydantic that are no subclass of what their values are (not NaiveDatetime: rows are in UTC)."""


def python_type_to_cql_type_str(annotation: Any) -> str:
    """
    Return the CQL type of an annotation, its markers included: ``Annotated[list[int], Frozen()]`` is frozen<list<int>>.

    Raises ``InvalidQueryError`` for what has no CQL type.
    """
    bare, markers, _ = unwrap(annotation)
    return column_type(bare, markers)[0]


def coerce_row_none_collections(model: Any, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of a model's table with the empty collection for every null in a collection column."""
    kinds = {name: get_origin(unwrap(info.annotation)[0]) for name, info in model.model_fields.items()}
    return {
        name: kinds[name]() if value is None and kinds.get(name) in _EMPTY_WHEN_NULL else value
        for name, value in row.items()
    }


def unwrap(annotation: Any) -> tuple[Any, tuple[Any, ...], bool]:
    """
    Take ``Annotated``, ``Optional`` and the names that stand for other types off an annotation.

    Returns the bare type, the markers found on the way, and whether ``None`` is allowed. A union of more than one
    type is an ``InvalidQueryError``, but for that of the two kinds of IP address.
    """
    markers: tuple[Any, ...] = ()
    optional = False
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            annotation, *found = get_args(annotation)
            markers = (*markers, *found)
        elif origin is Union or origin is types.UnionType:
            members = [member for member in get_args(annotation) if member is not types.NoneType]
            optional = optional or len(members) < len(get_args(annotation))
            annotation = _only(members, annotation)
        elif hasattr(annotation, "__supertype__"):  # typing.NewType
            annotation = annotation.__supertype__
        elif type(annotation).__name__ == "TypeAliasType":  # the type statement of Python 3.12
            annotation = annotation.__value__
        else:
            return annotation, markers, optional


def column_type(annotation: Any, markers: Sequence[Any] = ()) -> tuple[str, Any]:
    """
    Return the CQL type of an annotation and the Python type its values are stored as.

    ``markers`` are those of the column itself. What has no CQL type is an ``InvalidQueryError``.
    """
    for marker in markers:
        if isinstance(marker, type) and issubclass(marker, Marker):
            raise InvalidQueryError(
                f"A marker is written with its parentheses: {marker.__name__}(), not {marker.__name__}"
            )
    if get_origin(annotation) in COLLECTIONS:
        cql, stored = _collection_type(annotation)
    else:
        cql, stored = _scalar_type(annotation)
        cql = next((marker.cql_type for marker in markers if isinstance(marker, TypeMarker)), cql)
    if any(isinstance(marker, Frozen) for marker in markers) and not cql.startswith("frozen<"):
        if "<" not in cql:
            raise InvalidQueryError(f"Frozen() is for collections, not for {annotation!r}")
        cql = f"frozen<{cql}>"
    return cql, stored


def _only(members: Sequence[Any], annotation: Any) -> Any:
    if len(members) == 1 or set(members) == {IPv4Address, IPv6Address}:
        return members[0]
    raise InvalidQueryError(f"Cannot map Union type {annotation!r} to CQL: only X | None is possible")


def _scalar_type(annotation: Any) -> tuple[str, Any]:
    if get_origin(annotation) is Literal:
        return _type_of_values(annotation, get_args(annotation))
    if isinstance(annotation, type):
        if issubclass(annotation, Enum):
            return _type_of_values(annotation, (member.value for member in annotation))
        for known, cql in SCALARS.items():
            if annotation is known or (issubclass(annotation, known) and _can_be_read(annotation, known)):
                return cql, known
        if annotation.__module__.startswith("pydantic.") and annotation.__name__ in _OF_PYDANTIC:
            return _scalar_type(_OF_PYDANTIC[annotation.__name__])
    raise InvalidQueryError(f"Cannot map Python type {annotation!r} to a CQL type")


def _type_of_values(annotation: Any, values: Iterable[Any]) -> tuple[str, Any]:
    kinds = {type(value) for value in values}
    if len(kinds) != 1:
        raise InvalidQueryError(f"Cannot map Python type {annotation!r} to a CQL type: its values are not of one type")
    return _scalar_type(kinds.pop())


def _can_be_read(annotation: type[Any], known: type[Any]) -> bool:
    """Return whether pydantic makes a subclass from what the database gives, refusing one that it does not."""
    if hasattr(annotation, "__get_pydantic_core_schema__"):
        return True
    raise InvalidQueryError(
        f"Cannot map Python type {annotation!r} to a CQL type: rows hold {known.__name__}, which pydantic does not "
        f"take for it. Annotate {known.__name__}, or give the class __get_pydantic_core_schema__"
    )


def _collection_type(annotation: Any) -> tuple[str, Any]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if not arguments or Ellipsis in arguments:
        raise InvalidQueryError(f"Cannot map Python type {annotation!r} to a CQL type")
    inner = [_element_type(argument) for argument in arguments]
    cql = f"{COLLECTIONS[origin]}<{', '.join(cql for cql, _ in inner)}>"
    stored = origin[tuple(stored for _, stored in inner)]
    return (f"frozen<{cql}>" if origin is frozenset else cql), stored


def _element_type(annotation: Any) -> tuple[str, Any]:
    bare, markers, _ = unwrap(annotation)
    cql, stored = column_type(bare, markers)
    return (f"frozen<{cql}>" if cql.startswith(("list<", "set<", "map<")) else cql), stored
