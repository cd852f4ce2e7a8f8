"""The questions of ``latency`` again, beside a flush over acsylla: the way that leaves the interpreter least time."""

from __future__ import annotations

from benchmarks.flush_acsylla import opened
from benchmarks.latency import rows_of
from benchmarks.support.row import Row
from benchmarks.support.server import keyspace


def measure(quick: bool) -> list[Row]:
    """Return the rows of both writers."""
    with keyspace() as (hosts, port), opened(hosts, port) as aggregator:
        return rows_of(aggregator, "latency_acsylla", "acsylla", 5_000 if quick else 30_000, 1)
