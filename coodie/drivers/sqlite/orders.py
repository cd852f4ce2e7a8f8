"""
The order of stored texts whose CQL type does not sort as its text does: SQL collations.

Rules that live here:

* ``uuid``: the version first, then by time where it is 1, else by bytes. ``inet``: by bytes, 4 or 16.
  ``decimal`` and ``varint``: as numbers.
* A list or tuple is compared element by element, the shorter first, nothing before something; a set by its elements in
  their order. Stored JSON tells that order for elements that are plain (``PLAIN``); what else a collection may hold has
  no order here, which :func:`collation` tells by None.
"""

from __future__ import annotations

import ipaddress
import sqlite3
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from coodie.drivers.sqlite.collections import storage, unfrozen

PLAIN = (
    *("text", "ascii", "varchar", "blob", "boolean", "date", "time", "timestamp", "float", "double"),
    *("tinyint", "smallint", "int", "bigint"),
)
"""Types whose stored form inside a collection sorts as they do."""


def register(connection: sqlite3.Connection) -> None:
    """Give a connection the collations."""
    for name, key in _KEYS.items():
        connection.create_collation(name, _comparing(key))


def collation(cql_type: str) -> str | None:
    """Return the collation by which a type sorts, "" where its stored form does by itself, None where nothing does."""
    name, arguments = unfrozen(cql_type)
    if storage(cql_type).numeric_text:
        return "coodie_number"
    if not arguments:
        return f"coodie_{name}" if name in ("uuid", "inet") else ""
    if name == "set":
        return "coodie_set" if arguments[0] in PLAIN else None
    return "coodie_list" if _is_listed(cql_type) else None


def _is_listed(cql_type: str) -> bool:
    """Return whether a type is plain, or a list or tuple of such."""
    name, arguments = unfrozen(cql_type)
    return name in PLAIN if not arguments else name in ("list", "tuple") and all(map(_is_listed, arguments))


def _comparing(key: Callable[[str], Any]) -> Callable[[str, str], int]:
    def compare(left: str, right: str) -> int:
        one, other = key(left), key(right)
        return int(one > other) - int(one < other)

    return compare


def _uuid(text: str) -> tuple[int, int, int]:
    given = uuid.UUID(text)
    high, low = given.int >> 64, given.int & 0xFFFF_FFFF_FFFF_FFFF
    version = (high >> 12) & 0xF
    return version, given.time if version == 1 else high, low


def _ranked(value: Any) -> Any:
    """Return JSON data as what Python compares, nothing as the least."""
    if isinstance(value, list):
        return [() if one is None else (_ranked(one),) for one in value]
    return value


_KEYS: dict[str, Callable[[str], Any]] = {
    "coodie_number": Decimal,
    "coodie_uuid": _uuid,
    "coodie_inet": lambda text: ipaddress.ip_address(text).packed,
    "coodie_list": lambda text: _ranked(msgspec.json.decode(text)),
    "coodie_set": lambda text: sorted(msgspec.json.decode(text)),
}
