"""
Annotation markers: what a field of a model is in its table.

Rules that live here: markers are frozen values put in ``Annotated[type, Marker()]``; they say, ``coodie.schema`` reads
and refuses. Only :class:`Counter` touches pydantic: a counter needs no default, an instance made without it holds 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

__all__ = [
    "Ascii",
    "BigInt",
    "ClusteringKey",
    "Counter",
    "Double",
    "Duration",
    "Frozen",
    "Indexed",
    "PrimaryKey",
    "SmallInt",
    "Static",
    "Time",
    "TimeUUID",
    "TinyInt",
    "VarInt",
]


class Marker:
    """What every marker is."""


@dataclass(frozen=True)
class PrimaryKey(Marker):
    """Part of the partition key; parts are ordered by ``partition_key_index``, then as the class declares them."""

    partition_key_index: int = 0


@dataclass(frozen=True)
class ClusteringKey(Marker):
    """A clustering column: rows of one partition are stored in its ``order``, ``"ASC"`` or ``"DESC"``."""

    order: str = "ASC"
    clustering_key_index: int = 0


@dataclass(frozen=True)
class Counter(Marker):
    """A counter column: changed by ``increment`` and ``decrement`` alone, 0 until then."""

    @classmethod  # so that Counter without its parentheses gets as far as the schema, which refuses it by name
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Give the field the default 0, inside pydantic's core: construction costs what a plain default costs."""
        return core_schema.with_default_schema(handler(source), default=0)


@dataclass(frozen=True)
class Indexed(Marker):
    """A secondary index on the column, named ``{table}_{column}_idx`` unless ``index_name`` says otherwise."""

    index_name: str | None = None


@dataclass(frozen=True)
class Static(Marker):
    """One value for the whole partition."""


@dataclass(frozen=True)
class Frozen(Marker):
    """A collection stored and replaced as one value: ``frozen<...>``."""


@dataclass(frozen=True)
class TypeMarker(Marker):
    """A marker that names the CQL type of its column."""

    cql_type: ClassVar[str]


class BigInt(TypeMarker):
    """``bigint``: 64 bits, signed."""

    cql_type: ClassVar[str] = "bigint"


class SmallInt(TypeMarker):
    """``smallint``: 16 bits, signed."""

    cql_type: ClassVar[str] = "smallint"


class TinyInt(TypeMarker):
    """``tinyint``: 8 bits, signed."""

    cql_type: ClassVar[str] = "tinyint"


class VarInt(TypeMarker):
    """``varint``: an integer of any size."""

    cql_type: ClassVar[str] = "varint"


class Double(TypeMarker):
    """``double``: a 64-bit float (a plain ``float`` field is 32 bits wide)."""

    cql_type: ClassVar[str] = "double"


class Ascii(TypeMarker):
    """``ascii``: text of 7-bit characters."""

    cql_type: ClassVar[str] = "ascii"


class TimeUUID(TypeMarker):
    """``timeuuid``: a version 1 UUID, ordered by its time."""

    cql_type: ClassVar[str] = "timeuuid"


class Time(TypeMarker):
    """``time``: a time of day."""

    cql_type: ClassVar[str] = "time"


class Duration(TypeMarker):
    """``duration``: a ``CqlDuration``; no key and no element of a set can be one."""

    cql_type: ClassVar[str] = "duration"
