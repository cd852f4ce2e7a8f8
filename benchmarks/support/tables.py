"""The tables of ``benchmarks.sides.tables``, made and filled on a server for those who read them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import coodie.sync
from benchmarks.sides.tables import TABLES, Table
from benchmarks.support.server import KEYSPACE, keyspace

ROWS = 10_000


@contextmanager
def stored() -> Iterator[tuple[str, int, dict[Table, Any]]]:
    """Give host, port and, for each table, its class over cassandra-driver, the table filled with ``ROWS`` rows."""
    with keyspace() as (hosts, port):
        driver = coodie.sync.init_coodie(hosts=hosts, port=port, keyspace=KEYSPACE, driver_type="cassandra")
        try:
            models = {table: table.model("sync") for table in TABLES.values()}
            for table, model in models.items():
                model.sync_table()
                _fill(table, hosts, port)
            yield hosts[0], port, models
        finally:
            driver.close()


def _fill(table: Table, hosts: list[str], port: int) -> None:
    from cassandra.concurrent import execute_concurrent_with_args
    from cassandra.query import UNSET_VALUE

    from tests.support.session import connected

    first = table.row(0)
    with connected(hosts, port) as session:
        columns, marks = ", ".join(first), ", ".join("?" * len(first))
        insert = session.prepare(f"INSERT INTO {KEYSPACE}.{table.name} ({columns}) VALUES ({marks})")
        rows = ([UNSET_VALUE if value is None else value for value in table.row(n).values()] for n in range(ROWS))
        execute_concurrent_with_args(session, insert, list(rows))  # UNSET: a null would be a tombstone to read past
