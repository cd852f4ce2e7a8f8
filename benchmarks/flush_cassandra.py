"""How fast a flush over cassandra-driver is, against that driver's own ``execute_concurrent_with_args``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.support.counting import PageHits, started, url
from benchmarks.support.flushing import rate, timed_flush
from benchmarks.support.row import Row, ratio_row
from benchmarks.support.server import KEYSPACE, keyspace
from benchmarks.support.timing import seconds_of, take_turns

UPDATE = f"UPDATE {KEYSPACE}.page_hits SET views = views + ? WHERE url = ?"
IN_FLIGHT = 100


def measure(quick: bool) -> list[Row]:
    """Return the row of 100 statements in flight on both sides."""
    rows, rounds = (3_000, 2) if quick else (50_000, 3)
    urls = [url(number) for number in range(rows)]
    items = [(1, u) for u in urls]
    with keyspace() as (hosts, port), opened(hosts, port) as aggregator, _peer(hosts, port) as run:
        run(items[:1000])
        timed_flush(aggregator, urls[:1000])
        turns = take_turns(
            lambda: timed_flush(aggregator, urls), lambda: seconds_of(lambda: run(items)), rounds, warm_up=quick
        )
    question = f"flush of {rows:,} rows, cassandra-driver, {IN_FLIGHT} in flight ({rate(rows, turns.ours)})"
    against = f"execute_concurrent_with_args ({rate(rows, turns.peer)})"
    return [ratio_row("cassandra.100", question, against, turns.rates.median, turns.rates.spread, least=1.0)]


@contextmanager
def opened(hosts: list[str], port: int) -> Iterator[Any]:
    """Give an aggregator over cassandra-driver, with its table made."""
    from coodie.drivers.cassandra import CassandraDriver

    driver = CassandraDriver.connect(hosts, KEYSPACE, port=port)
    with started(driver, flush_concurrency=IN_FLIGHT) as aggregator:
        PageHits.sync_table()
        yield aggregator
    driver.close()


@contextmanager
def _peer(hosts: list[str], port: int) -> Iterator[Any]:
    """Give a function that writes rows as a program without coodie would."""
    from cassandra import ConsistencyLevel
    from cassandra.concurrent import execute_concurrent_with_args

    from tests.support.session import connected

    with connected(hosts, port) as session:
        prepared = session.prepare(UPDATE)
        prepared.consistency_level = ConsistencyLevel.LOCAL_QUORUM
        yield lambda items: execute_concurrent_with_args(session, prepared, items, concurrency=IN_FLIGHT)
