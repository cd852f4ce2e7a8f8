"""The table of ``benchmarks.sides.products``, made and filled on a server for those who read it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import coodie.sync
from benchmarks.sides.products import model, row
from benchmarks.support.server import KEYSPACE, keyspace

ROWS = 10_000


@contextmanager
def stored() -> Iterator[tuple[str, int, Any]]:
    """Give host, port and the class of the sync face over cassandra-driver, its table filled with ``ROWS`` rows."""
    with keyspace() as (hosts, port):
        driver = coodie.sync.init_coodie(hosts=hosts, port=port, keyspace=KEYSPACE, driver_type="cassandra")
        try:
            product = model("sync")
            product.sync_table()
            _fill(hosts, port)
            yield hosts[0], port, product
        finally:
            driver.close()


def _fill(hosts: list[str], port: int) -> None:
    from cassandra.concurrent import execute_concurrent_with_args
    from cassandra.query import UNSET_VALUE

    from tests.support.session import connected

    first = row(0)
    with connected(hosts, port) as session:
        columns, marks = ", ".join(first), ", ".join("?" * len(first))
        insert = session.prepare(f"INSERT INTO {KEYSPACE}.products ({columns}) VALUES ({marks})")
        rows = ([UNSET_VALUE if value is None else value for value in row(n).values()] for n in range(ROWS))
        execute_concurrent_with_args(session, insert, list(rows))  # UNSET: a null would be a tombstone to read past
