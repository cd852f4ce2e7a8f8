"""How fast a flush into an exact table is over cassandra-driver, against hand-written unlogged batches of 10."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from benchmarks.support.counting import url
from benchmarks.support.exact import IN_FLIGHT, INSERT, TOGETHER, flushing, rows_of, timed_flush
from benchmarks.support.flushing import rate
from benchmarks.support.row import Row, ratio_row
from benchmarks.support.server import KEYSPACE, keyspace
from benchmarks.support.timing import seconds_of, take_turns


def measure(quick: bool) -> list[Row]:
    """Return the row of 32 batches in flight on both sides."""
    from coodie.drivers.cassandra import CassandraDriver

    rows, rounds = (3_000, 2) if quick else (50_000, 6)
    urls = [url(number) for number in range(rows)]
    with (
        keyspace() as (hosts, port),
        flushing(CassandraDriver.connect(hosts, KEYSPACE, port=port)) as aggregator,
        _peer(hosts, port) as run,
    ):
        for _ in range(1 if quick else 3):  # a server that was just started gets faster for a while
            timed_flush(aggregator, urls)
            run(rows_of(urls))
        turns = take_turns(lambda: timed_flush(aggregator, urls), lambda: _by_hand(run, urls), rounds, warm_up=False)
    question = f"flush of {rows:,} rows into an exact table, cassandra-driver ({rate(rows, turns.ours)})"
    against = f"hand-written batches of {TOGETHER}, {IN_FLIGHT} in flight ({rate(rows, turns.peer)})"
    return [ratio_row("exact.cassandra", question, against, turns.rates.median, turns.rates.spread, least=0.95)]


def _by_hand(run: Any, urls: Sequence[str]) -> float:
    rows = rows_of(urls)
    return seconds_of(lambda: run(rows))


@contextmanager
def _peer(hosts: list[str], port: int) -> Iterator[Any]:
    """Give a function that writes rows as a program without coodie would."""
    from cassandra import ConsistencyLevel
    from cassandra.concurrent import execute_concurrent
    from cassandra.query import BatchStatement, BatchType

    from tests.support.session import connected

    with connected(hosts, port) as session:
        prepared = session.prepare(INSERT)

        def batches(rows: Sequence[tuple[Any, ...]]) -> Iterator[tuple[BatchStatement, tuple[()]]]:
            for start in range(0, len(rows), TOGETHER):
                batch = BatchStatement(BatchType.UNLOGGED, consistency_level=ConsistencyLevel.LOCAL_QUORUM)
                for row in rows[start : start + TOGETHER]:
                    batch.add(prepared, row)
                batch.is_idempotent = True
                yield batch, ()

        yield lambda rows: execute_concurrent(session, batches(rows), concurrency=IN_FLIGHT)
