"""
Python type <-> CQL type, in one table.

Rules that live here: ``column_type`` answers for annotations whose ``Optional`` and markers are off (``unwrap`` takes
them off); enums are stored by value; a collection inside a collection is frozen, as CQL wants it. The canonical form of
a key value is made in ``coodie.values`` and offered here, where drivers and the aggregator look for it.
"""

from __future__ import annotations

import types
from collections.abc import Sequence
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Any, Union, get_args, get_origin
from uuid import UUID

from coodie.exceptions import InvalidQueryError
from coodie.fields import Frozen, TypeMarker
from coodie.values import KEY_BYTES_MAX, canonical, encoded_size

__all__ = ["COLLECTIONS", "KEY_BYTES_MAX", "SCALARS", "canonical", "column_type", "encoded_size", "unwrap"]

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
}
"""Subclasses come before their bases (bool, int; datetime, date): a derived type takes the first that fits."""

COLLECTIONS: dict[Any, str] = {list: "list", set: "set", dict: "map", tuple: "tuple", frozenset: "set"}


def unwrap(annotation: Any) -> tuple[Any, tuple[Any, ...], bool]:
    """
    Take ``Annotated`` and ``Optional`` off an annotation.

    Returns the bare type, the markers found on the way, and whether ``None`` is allowed. A union of more than one
    type is an ``InvalidQueryError``.
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
            if len(members) != 1:
                raise InvalidQueryError(f"Cannot map Union type {annotation!r} to CQL: only X | None is possible")
            annotation, optional = members[0], True
        else:
            return annotation, markers, optional


def column_type(annotation: Any, markers: Sequence[Any] = ()) -> tuple[str, Any]:
    """
    Return the CQL type of an annotation and the Python type its values are stored as.

    ``markers`` are those of the column itself. What has no CQL type is an ``InvalidQueryError``.
    """
    if get_origin(annotation) in COLLECTIONS:
        cql, stored = _collection_type(annotation)
    else:
        cql, stored = _scalar_type(annotation)
        cql = next((marker.cql_type for marker in markers if isinstance(marker, TypeMarker)), cql)
    if any(isinstance(marker, Frozen) for marker in markers) and not cql.startswith("frozen<"):
        cql = f"frozen<{cql}>"
    return cql, stored


def _scalar_type(annotation: Any) -> tuple[str, Any]:
    if isinstance(annotation, type):
        if issubclass(annotation, Enum):
            kinds = {type(member.value) for member in annotation}
            if len(kinds) == 1:
                return _scalar_type(kinds.pop())
        for known, cql in SCALARS.items():
            if issubclass(annotation, known):
                return cql, known
    raise InvalidQueryError(f"Cannot map Python type {annotation!r} to a CQL type")


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
