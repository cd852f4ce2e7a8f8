"""
The Cassandra that the questions about it are asked on: found once, told to each question through its environment.

Rules that live here: the keyspace is made anew for each question and dropped after it; replication factor 1.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

KEYSPACE = "coodie_benchmarks"
_CREATE = "CREATE KEYSPACE %s WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}"


@contextmanager
def server() -> Iterator[dict[str, str]]:
    """Give the environment by which a question finds the server; raise NotAvailable where there is none."""
    from tests.support.cassandra import obtain

    found = obtain(print)
    try:
        yield {"COODIE_TEST_HOSTS": ",".join(found.hosts), "COODIE_TEST_PORT": str(found.port)}
    finally:
        found.stop()


@contextmanager
def keyspace() -> Iterator[tuple[list[str], int]]:
    """Give (hosts, port) of the server, with an empty keyspace on it."""
    from tests.support.session import connected

    hosts, port = os.environ["COODIE_TEST_HOSTS"].split(","), int(os.environ["COODIE_TEST_PORT"])
    with connected(hosts, port, 60) as session:
        session.execute(f"DROP KEYSPACE IF EXISTS {KEYSPACE}")
        session.execute(_CREATE % KEYSPACE)
        try:
            yield hosts, port
        finally:
            session.execute(f"DROP KEYSPACE {KEYSPACE}")
