"""
Free functions of the sync face: statements given as text, and keyspaces.

Rules that live here: they run on the default driver, or on the one registered under ``connection``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from coodie import connections
from coodie.plans import raw
from coodie.run import run


def execute_raw(stmt: str, params: Sequence[Any] | None = None) -> list[dict[str, Any]]:
    """
    Send a statement as text, its values bound to its ``?``, and return its rows, values as the driver gives them.

    Never sent twice. Raises ``InvalidQueryError`` for a ``params`` that is no list; what the database refuses, as its
    error.
    """
    return run(raw.execute(stmt, params), connections.driver_of())


def create_keyspace(
    keyspace: str,
    replication_factor: int = 1,
    strategy: str = "SimpleStrategy",
    dc_replication_map: Mapping[str, int] | None = None,
    connection: str | None = None,
) -> None:
    """Create a keyspace unless it exists; ``dc_replication_map`` (data centre -> replicas) chooses its own strategy."""
    plan = raw.create_keyspace(keyspace, replication_factor, strategy, dc_replication_map)
    run(plan, connections.driver_of(connection))


def drop_keyspace(keyspace: str, connection: str | None = None) -> None:
    """Drop a keyspace and all its tables, if it exists."""
    run(raw.drop_keyspace(keyspace), connections.driver_of(connection))
