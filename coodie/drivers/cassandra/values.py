"""
Values between Python and cassandra-driver: the declared types come back, and what its encoders do not know goes in.

Rules that live here:

* Converters are chosen once per result, from its column types; columns of text, numbers, counters, UUIDs and blobs have
  none and cost nothing per row.
* Inside a set, or as the key of a map, a set comes back as ``frozenset``, a list as ``tuple``: they must be hashable.
* ``float`` comes back as the shortest decimal that names it, ``duration`` as ``CqlDuration``, ``timestamp`` as an aware
  datetime in UTC, to the millisecond that is stored (the client reckons in floats, which are wrong by microseconds in
  distant years), ``date`` and ``time`` as those of ``datetime``, ``inet`` as an address, sets and maps as ``set`` and
  ``dict``.
* Only addresses need help on the way in: the client's encoder wants their text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, get_origin
from uuid import UUID

from cassandra import cqltypes

from coodie.types import CqlDuration, shortest

Converter = Callable[[Any], Any]
Readers = tuple[tuple[str, Converter], ...]


def _moment(value: datetime) -> datetime:
    """Return the stored moment: the nearest whole millisecond, in UTC."""
    beyond = value.microsecond % 1000
    if beyond:
        value += timedelta(microseconds=1000 - beyond if beyond >= 500 else -beyond)
    return value.replace(tzinfo=UTC)


def _uuid(value: bytes) -> UUID:
    """Return the UUID of its bytes: what ``min`` and ``max`` answer of a ``timeuuid``, in a type of their own."""
    return UUID(bytes=value)


_PLAIN: dict[type[Any], Converter] = {
    cqltypes.DateType: _moment,
    cqltypes.TimestampType: _moment,
    cqltypes.SimpleDateType: lambda value: value.date(),
    cqltypes.TimeType: lambda value: value.time(),
    cqltypes.InetAddressType: ip_address,
    cqltypes.FloatType: shortest,
    cqltypes.DurationType: lambda value: CqlDuration(value.months, value.days, value.nanoseconds),
}


def readers_of(names: Sequence[str], types: Sequence[Any], table: Any) -> Readers:
    """Return the columns of a result that need a converter, each with its own; ``table`` may be None."""
    columns = {} if table is None else table.by_name
    found = zip(names, map(reader, types), strict=True)
    return tuple((name, _frozen(converter, columns.get(name))) for name, converter in found if converter)


def convert_rows(rows: list[dict[str, Any]], readers: Readers) -> None:
    """Turn the values of a page into the declared Python types, in place."""
    for name, converter in readers:
        for row in rows:
            value = row[name]
            if value is not None:
                row[name] = converter(value)


def reader(kind: Any, hashable: bool = False) -> Converter | None:
    """
    Return what turns a value of a CQL type into the declared type, or None where it is one already.

    ``hashable``: the value is to stand in a set, or be the key of a map.
    """
    plain = _uuid if getattr(kind, "cassname", "").endswith(".LegacyTimeUUIDType") else _PLAIN.get(kind)
    if plain is not None or not getattr(kind, "subtypes", ()):
        return plain
    if issubclass(kind, cqltypes.SetType):
        return _each(frozenset if hashable else set, reader(kind.subtypes[0], hashable=True))
    if issubclass(kind, cqltypes.MapType):
        return _map(reader(kind.subtypes[0], hashable=True), reader(kind.subtypes[1]))
    inner = [reader(subtype, hashable) for subtype in kind.subtypes]
    if issubclass(kind, cqltypes.ListType):
        return _each(tuple if hashable else list, inner[0]) if inner[0] or hashable else None
    if issubclass(kind, cqltypes.TupleType) and not issubclass(kind, cqltypes.UserType) and any(inner):
        return lambda value: tuple(_or_none(convert, item) for convert, item in zip(inner, value, strict=False))
    return inner[0] if issubclass(kind, cqltypes.FrozenType | cqltypes.ReversedType) else None


def addresses_of(kinds: Sequence[Any]) -> tuple[int, ...]:
    """Return the positions whose type holds an ``inet``: their values go through :func:`address_text`."""
    return tuple(index for index, kind in enumerate(kinds) if _holds_inet(kind))


def address_text(value: Any) -> Any:
    """Return a value with every IP address in it as text."""
    if isinstance(value, IPv4Address | IPv6Address):
        return str(value)
    if isinstance(value, dict):
        return {address_text(key): address_text(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return type(value)(address_text(item) for item in value)
    return value


def _holds_inet(kind: Any) -> bool:
    return kind is cqltypes.InetAddressType or any(_holds_inet(subtype) for subtype in getattr(kind, "subtypes", ()))


def _each(collection: Callable[[Any], Any], convert: Converter | None) -> Converter:
    """Return what builds a collection from converted items."""
    if convert is None:
        return collection
    return lambda value: collection(_or_none(convert, item) for item in value)


def _map(keys: Converter | None, values: Converter | None) -> Converter:
    """Return what builds a dict from converted keys and values."""
    if keys is None and values is None:
        return dict
    return lambda value: {_or_none(keys, key): _or_none(values, item) for key, item in value.items()}


def _or_none(convert: Converter | None, value: Any) -> Any:
    return value if value is None or convert is None else convert(value)


def _frozen(convert: Converter, column: Any) -> Converter:
    """Return the converter of a column, giving a frozenset where the class declares one."""
    declared = getattr(column, "annotation", None)
    if frozenset in (declared, get_origin(declared)):
        return lambda value: frozenset(convert(value))
    return convert
