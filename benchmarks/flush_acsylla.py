"""How fast a flush over acsylla is, against a hand-written loop over a prepared statement."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from benchmarks.support.counting import PageHits, started, url
from benchmarks.support.flushing import rate, timed_flush
from benchmarks.support.row import Row, ratio_row
from benchmarks.support.server import KEYSPACE, keyspace
from benchmarks.support.timing import seconds_of, take_turns

WARM_UP = 200_000
UPDATE = f"UPDATE {KEYSPACE}.page_hits SET views = views + ? WHERE url = ?"


def measure(quick: bool) -> list[Row]:
    """Return the rows of 100 statements in flight and of as many as by default, on both sides."""
    rows, rounds = (5_000, 2) if quick else (50_000, 4)
    with keyspace() as (hosts, port):
        _warm_up(hosts, port, 5_000 if quick else WARM_UP)
        return [_row(hosts, port, rows, limit, rounds) for limit in (100, None)]


def _row(hosts: list[str], port: int, rows: int, limit: int | None, rounds: int) -> Row:
    urls = [url(number) for number in range(rows)]
    items = [(1, u) for u in urls]
    with opened(hosts, port, **({} if limit is None else {"flush_concurrency": limit})) as aggregator:
        in_flight = aggregator.options.flush_concurrency
        with asyncio.Runner() as runner:
            session, prepared = runner.run(_peer(hosts, port))
            turns = take_turns(
                lambda: timed_flush(aggregator, urls),
                lambda: seconds_of(lambda: runner.run(_loop(session, prepared, items, in_flight))),
                rounds,
            )
            runner.run(session.close())
    default = " (the default)" if limit is None else ""
    question = f"flush of {rows:,} rows, acsylla, {in_flight} in flight{default} ({rate(rows, turns.ours)})"
    against = f"hand-written loop over a prepared statement ({rate(rows, turns.peer)})"
    name = "acsylla.default" if limit is None else "acsylla.100"
    return ratio_row(name, question, against, turns.rates.median, turns.rates.spread, least=0.95)


def _warm_up(hosts: list[str], port: int, writes: int) -> None:
    """Let a server that was just started compile its way to its usual speed."""
    with opened(hosts, port), asyncio.Runner() as runner:
        session, prepared = runner.run(_peer(hosts, port))
        runner.run(_loop(session, prepared, [(1, url(number)) for number in range(writes)], 100))
        runner.run(session.close())


@contextmanager
def opened(hosts: list[str], port: int, **options: Any) -> Iterator[Any]:
    """Give an aggregator over acsylla, with its table made."""
    from coodie.drivers.acsylla import AcsyllaDriver

    driver = AcsyllaDriver.connect_sync(hosts, KEYSPACE, port=port)
    with started(driver, **options) as aggregator:
        PageHits.sync_table()
        yield aggregator
    driver.close()


async def _peer(hosts: list[str], port: int) -> tuple[Any, Any]:
    import acsylla

    cluster = acsylla.create_cluster(hosts, port=port, consistency=acsylla.Consistency.LOCAL_QUORUM)
    session = await cluster.create_session(keyspace=KEYSPACE)
    return session, await session.create_prepared(UPDATE)


async def _loop(session: Any, prepared: Any, items: Sequence[tuple[int, str]], limit: int) -> None:
    """Write rows as a program without coodie would, ``limit`` in flight."""
    shared = iter(items)

    async def worker() -> None:
        for values in shared:
            await session.execute(prepared.bind(values))

    await asyncio.gather(*(worker() for _ in range(limit)))
