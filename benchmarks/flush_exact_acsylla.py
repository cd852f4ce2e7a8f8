"""How fast a flush into an exact table is over acsylla, against hand-written unlogged batches of 10."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from benchmarks.support.counting import url
from benchmarks.support.exact import IN_FLIGHT, INSERT, TOGETHER, flushing, rows_of, timed_flush
from benchmarks.support.flushing import rate
from benchmarks.support.row import Row, ratio_row
from benchmarks.support.server import KEYSPACE, keyspace
from benchmarks.support.timing import seconds_of, take_turns


def measure(quick: bool) -> list[Row]:
    """Return the row of 32 batches in flight on both sides."""
    from coodie.drivers.acsylla import AcsyllaDriver

    rows, rounds = (5_000, 2) if quick else (50_000, 8)
    urls = [url(number) for number in range(rows)]
    with (
        keyspace() as (hosts, port),
        flushing(AcsyllaDriver.connect_sync(hosts, KEYSPACE, port=port)) as aggregator,
        asyncio.Runner() as runner,
    ):
        session, prepared = runner.run(_peer(hosts, port))
        for _ in range(1 if quick else 5):  # a server that was just started gets faster for a while
            timed_flush(aggregator, urls)
            runner.run(_loop(session, prepared, rows_of(urls)))
        turns = take_turns(
            lambda: timed_flush(aggregator, urls),
            lambda: _by_hand(runner, session, prepared, urls),
            rounds,
            warm_up=False,
        )
        runner.run(session.close())
    question = f"flush of {rows:,} rows into an exact table, acsylla ({rate(rows, turns.ours)})"
    against = f"hand-written unlogged batches of {TOGETHER}, {IN_FLIGHT} in flight ({rate(rows, turns.peer)})"
    return [ratio_row("exact.acsylla", question, against, turns.rates.median, turns.rates.spread, least=0.95)]


async def _peer(hosts: list[str], port: int) -> tuple[Any, Any]:
    import acsylla

    cluster = acsylla.create_cluster(hosts, port=port, consistency=acsylla.Consistency.LOCAL_QUORUM)
    session = await cluster.create_session(keyspace=KEYSPACE)
    return session, await session.create_prepared(INSERT)


def _by_hand(runner: asyncio.Runner, session: Any, prepared: Any, urls: Sequence[str]) -> float:
    rows = rows_of(urls)
    return seconds_of(lambda: runner.run(_loop(session, prepared, rows)))


async def _loop(session: Any, prepared: Any, rows: Sequence[tuple[Any, ...]]) -> None:
    """Write rows as a program without coodie would."""
    import acsylla

    shared = iter(range(0, len(rows), TOGETHER))

    async def worker() -> None:
        for start in shared:
            batch = acsylla.create_batch_unlogged()
            batch.set_is_idempotent(True)
            for row in rows[start : start + TOGETHER]:
                batch.add_statement(prepared.bind(row))
            await session.execute_batch(batch)

    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
