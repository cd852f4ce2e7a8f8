"""
What a model class means to a database: its Table, built once per class.

Rules that live here:

* ``table_of`` builds a Table from annotations and ``Settings`` at its first call and keeps it on the class itself, so
  that a subclass has its own columns. ``Settings`` is inherited as any attribute is, but for ``__abstract__``.
* A class that no database could store is refused here, with ``InvalidQueryError``: what a counter table forbids, a
  table without a key, a type without a CQL counterpart, a name Cassandra does not take (on SQLite too: one model fits
  any store).
"""

from __future__ import annotations

import os
import re
import threading
from keyword import iskeyword
from typing import Any

from coodie.exceptions import InvalidQueryError
from coodie.fields import ClusteringKey, Counter, Indexed, PrimaryKey, Static
from coodie.table import WRITER, Column, Table, not_started, require_native
from coodie.types import collection_of, column_type, unwrap

__all__ = [
    "WRITER",
    "Column",
    "ColumnDefinition",
    "Table",
    "build_schema",
    "is_abstract",
    "not_started",
    "require_native",
    "snake_case",
    "table_of",
]


ColumnDefinition = Column
"""The name that users of the existing library know."""

_TABLE_NAME = re.compile(r'[A-Za-z0-9_]{1,48}|"[A-Za-z0-9_]{1,48}"')
_INDEX_NAME = re.compile(r"[A-Za-z0-9_]+")
_TTL_MAX_S = 630_720_000  # 20 years of 365 days: the longest that Cassandra takes
_building = threading.RLock()


def _after_fork_in_child() -> None:
    global _building
    _building = threading.RLock()  # the other may be held by a thread that did not come along


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def table_of(model: Any) -> Table:
    """
    Return the Table of a model class, without a keyspace unless its Settings name one; the same object each time.

    Raises ``InvalidQueryError`` when the class cannot be a table or an annotation cannot be resolved. From any thread.
    """
    table: Table | None = model.__dict__.get("__coodie_table__")
    if table is None:
        with _building:  # two threads must not get two Tables: statements are told apart by the Table's identity
            table = model.__dict__.get("__coodie_table__") or build_schema(model)
            model.__coodie_table__ = table
    return table


def is_abstract(model: Any) -> bool:
    """Return whether a class is a base for others: coodie's own, or one whose own Settings say ``__abstract__``."""
    own = model.__dict__.get("Settings")
    said = own is not None and own.__dict__.get("__abstract__")  # not what the Settings of a base class say
    return model.__module__.startswith("coodie.") or bool(said)


def build_schema(model: Any) -> Table:
    """Build the Table of a model class from its annotations and Settings, anew at each call."""
    _resolve_annotations(model)
    settings = getattr(model, "Settings", None)
    name = _table_name(model, settings)
    table = Table(
        name=name,
        columns=tuple(_column(model, name, field_name, info) for field_name, info in model.model_fields.items()),
        keyspace=getattr(settings, "keyspace", None),
        options=tuple((getattr(settings, "__options__", None) or {}).items()),
        default_ttl=getattr(settings, "__default_ttl__", None),
        counters=_kind_of_counters(model, settings),
    )
    _refuse_impossible_keys(table)
    _refuse_impossible_ttl(table)
    for column in table.columns:
        _refuse_index_name(column)
        _refuse_ordered_durations(column, column.cql_type, column.is_key)
    if table.counters:
        _refuse_impossible_counters(table)
    elif table.counter_columns:
        names = ", ".join(column.name for column in table.counter_columns)
        raise InvalidQueryError(f"{model.__name__} has counter columns ({names}): derive it from CounterDocument")
    return table


def snake_case(name: str) -> str:
    """Return a class name in snake case: BlogPost is blog_post, HTTPRequest is http_request."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _table_name(model: Any, settings: Any) -> str:
    name = getattr(settings, "name", None) or snake_case(model.__name__)
    if not isinstance(name, str) or not _TABLE_NAME.fullmatch(name):
        raise InvalidQueryError(
            f"{name!r} is not a valid table name for {model.__name__}: Cassandra takes [a-zA-Z0-9_]{{1,48}}, at most "
            "48 letters, digits and underscores, in double quotes to keep capitals. Set Settings.name"
        )
    return name


def _resolve_annotations(model: Any) -> None:
    """Finish a class whose annotations named things that did not exist yet when it was made."""
    if model.__pydantic_complete__:
        return
    try:
        model.model_rebuild()
    except NameError as error:  # pydantic's PydanticUndefinedAnnotation is one
        raise InvalidQueryError(
            f"Cannot resolve the annotations of {model.__name__}: {error}. Define or import the name before the class "
            "is first used, at module level where the class is made by a function"
        ) from error


def _kind_of_counters(model: Any, settings: Any) -> str | None:
    if not model.__coodie_counters__:
        return None
    kind = getattr(settings, "counters", "native")
    if kind not in ("native", "exact"):
        raise InvalidQueryError(f"Settings.counters of {model.__name__} is {kind!r}; allowed: 'native', 'exact'")
    return str(kind)


def _column(model: Any, table: str, name: str, info: Any) -> Column:
    try:
        annotation, markers, optional = unwrap(info.annotation)
        markers = (*info.metadata, *markers)
        cql_type, stored = column_type(annotation, markers)
    except InvalidQueryError as error:
        raise InvalidQueryError(f"{error} (field '{name}' of {model.__name__})") from error
    except Exception as error:  # annotations are objects of anybody's making
        what = f"Cannot determine CQL type for field '{name}' on '{model.__name__}'"
        raise InvalidQueryError(f"{what}: {error}") from error
    found = {type(marker): marker for marker in markers}
    clustering = found.get(ClusteringKey)
    index, bare_table = found.get(Indexed), table.strip('"')
    return Column(
        name=name,
        cql_type="counter" if Counter in found else cql_type,
        annotation=stored,
        partition_index=found[PrimaryKey].partition_key_index if PrimaryKey in found else None,
        clustering_index=clustering.clustering_key_index if clustering else None,
        descending=_is_descending(name, clustering.order) if clustering else False,
        counter=Counter in found,
        static=Static in found,
        index=(index.index_name or f"{bare_table}_{name}_idx") if index else None,
        optional=optional,
    )


def _is_descending(name: str, order: Any) -> bool:
    if str(order).upper() not in ("ASC", "DESC"):
        raise InvalidQueryError(f"ClusteringKey of column '{name}' has order {order!r}; allowed: 'ASC', 'DESC'")
    return str(order).upper() == "DESC"


def _refuse_impossible_keys(table: Table) -> None:
    if not table.partition_key:
        raise InvalidQueryError(f"Table {table.name} has no primary key columns")
    for column in table.primary_key:
        if column.partition_index is not None and column.clustering_index is not None:
            raise InvalidQueryError(f"Column '{column.name}' cannot be both PrimaryKey() and ClusteringKey()")
        if column.cql_type.startswith(("list<", "set<", "map<")):
            raise InvalidQueryError(f"Key column '{column.name}' ({column.cql_type}) must be Frozen()")


def _refuse_impossible_ttl(table: Table) -> None:
    ttl = table.default_ttl
    if ttl is not None and (type(ttl) is not int or not 0 <= ttl <= _TTL_MAX_S):
        raise InvalidQueryError(
            f"Settings.__default_ttl__ of {table.name} takes an integer from 0 to {_TTL_MAX_S} (s), not {ttl!r}"
        )


def _refuse_index_name(column: Column) -> None:
    if column.index is not None and not _INDEX_NAME.fullmatch(column.index):
        raise InvalidQueryError(
            f"{column.index!r} is not a valid name for the index of column '{column.name}': "
            "letters, digits, underscores"
        )


def _refuse_ordered_durations(column: Column, cql_type: str, ordered: bool) -> None:
    """Refuse a duration where an order is needed: a month is longer than 30 days, or shorter."""
    kind, inner = collection_of(cql_type)
    if kind == "duration" and ordered:
        raise InvalidQueryError(
            f"Column '{column.name}' ({column.cql_type}) has a duration in a key or set: durations have no order"
        )
    for position, each in enumerate(inner):
        _refuse_ordered_durations(column, each, ordered or kind == "set" or (kind == "map" and position == 0))


def _refuse_impossible_counters(table: Table) -> None:
    """Refuse a counter table that the database would refuse, or that it would take and count wrongly."""
    data = [column.name for column in table.columns if not column.counter and not column.is_key]
    if data:
        raise InvalidQueryError(
            "Counter tables can only have counter and primary key columns. "
            f"Non-counter data columns found: {', '.join(data)}"
        )
    for column in table.counter_columns:
        _refuse_impossible_counter(column)
    taken = [column.name for column in table.columns if column.name.lower() == WRITER]
    if table.counters == "exact" and taken:
        raise InvalidQueryError(
            f"Table {table.name} has Settings.counters = 'exact', which adds a key column '{WRITER}' of its own: "
            f"rename the field '{taken[0]}'"
        )
    if not table.counter_columns:
        raise InvalidQueryError(f"Counter table {table.name} has no counter column: annotate one with Counter()")
    if table.default_ttl is not None or any(name == "default_time_to_live" for name, _ in table.options):
        raise InvalidQueryError(f"Counter columns cannot have a TTL: remove it from the Settings of {table.name}")


def _refuse_impossible_counter(column: Column) -> None:
    for found, what in (
        (column.is_key, "be part of the primary key"),
        (column.index is not None, "be indexed"),
        (column.static, "be static"),
        # The aggregator compiles increments with one parameter per counter.
        (iskeyword(column.name), "have a Python keyword as its name"),
        (not column.name.isidentifier(), "have a name that is no Python identifier"),
        (
            column.annotation is not int,
            f"be of type {getattr(column.annotation, '__name__', column.annotation)}, only int",
        ),
    ):
        if found:
            raise InvalidQueryError(f"Counter column '{column.name}' cannot {what}")
