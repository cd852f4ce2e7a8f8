"""
What a model class resolves to, and when two models are of one table.

Rules that live here: two models of one table merge where they have the same key and the same kind of counters; the
table has the columns of either.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from aggregator.core.held import A_MODEL
from coodie.exceptions import ConfigurationError

if TYPE_CHECKING:
    from aggregator.core.held import Held
    from coodie.schema import Table

AGENTS_CONNECTION = "default"
"""Which connection a model means that names none, where only the host's agent has connections."""


@dataclass(slots=True)
class Binding:
    """What a model class resolves to: the table it counts in, as the mapper and as the buffer know it."""

    table: Table
    held: Held
    connection: str
    columns: tuple[str, ...]
    is_aio: bool


def merge_shape(held: Held, table: Table, what: str) -> None:
    """Let two models of one table merge: same key, columns of either; ``ConfigurationError`` names ``what`` differs."""
    key = [(column.name, column.cql_type) for column in table.primary_key]
    known = [(column.name, column.cql_type) for column in held.table.primary_key]
    if key != known:
        raise ConfigurationError(
            f"{what} declares {table.full_name} with the primary key {key}, {held.known_from} "
            f"with {known}; give both the same key; nothing was accepted"
        )
    if table.counters != held.table.counters:
        raise ConfigurationError(
            f"{what} declares the counters of {table.full_name} as {table.counters!r}, "
            f"{held.known_from} as {held.table.counters!r}; give both the same; nothing was accepted"
        )
    held.known_from = A_MODEL
    missing = [column for column in table.columns if column.name not in held.table.by_name]
    if missing:
        held.table = replace(held.table, columns=(*held.table.columns, *missing), _in_keyspace={})
