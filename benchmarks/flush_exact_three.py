"""
How fast a flush into an exact table is on three nodes (RF 3, quorum), against the same rows in a native table.

Rules that live here: three nodes of our own, whatever single server the other questions are asked on; both sides are
flushes of an aggregator over acsylla with as many statements in flight.
"""

from __future__ import annotations

from benchmarks.support.counting import PageHits, url
from benchmarks.support.exact import IN_FLIGHT, ExactHits, flushing, timed_flush
from benchmarks.support.flushing import rate
from benchmarks.support.row import Row, ratio_row
from benchmarks.support.server import KEYSPACE
from benchmarks.support.timing import take_turns

_CREATE = f"CREATE KEYSPACE {KEYSPACE} WITH replication = {{'class': 'NetworkTopologyStrategy', 'datacenter1': 3}}"


def measure(quick: bool) -> list[Row]:
    """Return the row of a flush of the same rows into both kinds of table."""
    from coodie.drivers.acsylla import AcsyllaDriver
    from tests.support.cassandra import Cluster
    from tests.support.session import connected

    rows, rounds = (1_000, 2) if quick else (10_000, 5)
    urls = [url(number) for number in range(rows)]
    with Cluster.start(3) as cluster:
        with connected(cluster.hosts, cluster.port, 60) as session:
            session.execute(_CREATE)
        driver = AcsyllaDriver.connect_sync(cluster.hosts, KEYSPACE, port=cluster.port)
        with flushing(driver, consistency="QUORUM") as aggregator:
            PageHits.sync_table()
            turns = take_turns(
                lambda: timed_flush(aggregator, urls, ExactHits),
                lambda: timed_flush(aggregator, urls, PageHits),
                rounds,
            )
    question = f"flush of {rows:,} rows into an exact table, three nodes, RF 3, quorum ({rate(rows, turns.ours)})"
    against = f"the same rows into a native table, {IN_FLIGHT} in flight ({rate(rows, turns.peer)})"
    return [ratio_row("exact.three", question, against, turns.rates.median, turns.rates.spread, least=1.5)]
