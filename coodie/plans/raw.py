"""
Statements given as text, and keyspaces.

Rules that live here: the text goes out as it is, values bound to its ``?``; nothing is known of it, so no driver ever
sends it twice.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

from coodie.cql import render
from coodie.cql.quote import literal, object_name
from coodie.statement import Raw, Rows, Statement


def execute(text: str, params: Sequence[Any] | None = None) -> Generator[Statement, Rows, list[dict[str, Any]]]:
    """Send a text and answer its rows."""
    rows = yield Statement(Raw(text), tuple(params or ()), render)
    return rows.items


def create_keyspace(
    keyspace: str, replication_factor: int, strategy: str, dc_replication_map: Mapping[str, int] | None
) -> Generator[Statement, Rows, None]:
    """Create a keyspace unless it exists; replicas per data centre make it a NetworkTopologyStrategy."""
    replication: dict[str, Any] = {"class": strategy, "replication_factor": replication_factor}
    if dc_replication_map:
        replication = {"class": "NetworkTopologyStrategy", **dc_replication_map}
    name = object_name(keyspace)
    yield from execute(f"CREATE KEYSPACE IF NOT EXISTS {name} WITH replication = {literal(replication)}")


def drop_keyspace(keyspace: str) -> Generator[Statement, Rows, None]:
    """Drop a keyspace and all its tables, if it exists."""
    yield from execute(f"DROP KEYSPACE IF EXISTS {object_name(keyspace)}")
