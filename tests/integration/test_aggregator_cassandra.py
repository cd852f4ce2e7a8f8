"""The aggregator on a real Cassandra, through each driver: totals are what was accepted."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import pytest

import aggregator
import coodie.aio
import coodie.sync
from aggregator import Aggregator
from coodie import drivers
from coodie.fields import ClusteringKey, Counter, PrimaryKey
from tests.support.models import AsyncPageHits, PageHits

if TYPE_CHECKING:
    from cassandra.cluster import Session

    from tests.support.cassandra import Server


class Votes(coodie.sync.CounterDocument):
    """A table that nobody has made yet."""

    poll: Annotated[str, PrimaryKey()]
    option: Annotated[int, ClusteringKey()]
    votes: Annotated[int, Counter()]

    class Settings:
        name = "votes"


@pytest.fixture(params=["cassandra", "acsylla"])
def connected(request: pytest.FixtureRequest, cassandra: Server, keyspace: str) -> Iterator[str]:
    """Connect coodie through one driver, with an empty page_hits."""
    drivers._registry.clear()
    driver = coodie.sync.init_coodie(
        hosts=cassandra.hosts, port=cassandra.port, keyspace=keyspace, driver_type=request.param
    )
    PageHits.sync_table()
    PageHits.truncate()
    yield keyspace
    started = aggregator.current()
    if started is not None:
        started.shutdown()
    driver.close()
    drivers._registry.clear()


def test_eight_threads_and_two_hundred_tasks_store_exact_totals(connected: str) -> None:
    async def tasks() -> None:
        async def one(number: int) -> None:
            for step in range(50):
                await AsyncPageHits(url=f"/{(number + step) % 50}").increment(views=1, unique_visitors=2)
                await asyncio.sleep(0)

        await asyncio.gather(*(one(number) for number in range(200)))

    def thread() -> None:
        for number in range(5000):
            PageHits(url=f"/{number % 50}").increment(views=1)

    with Aggregator(flush_interval=0.05) as running:
        workers = [threading.Thread(target=thread) for _ in range(8)]
        workers.append(threading.Thread(target=lambda: asyncio.run(tasks())))
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        running.flush()
        stats = running.stats()
        assert (stats.applied, stats.unknown, stats.dropped) == (70_000, 0, 0)
        assert stats.statements <= 50 * stats.flushes
    rows = list(PageHits.find())
    assert len(rows) == 50
    assert {row.views for row in rows} == {1000}
    assert {row.unique_visitors for row in rows} == {400}


def test_the_aio_face_counts_under_an_async_lifespan(connected: str) -> None:
    async def serve() -> None:
        async with Aggregator(flush_interval=0.05) as running:
            for number in range(300):
                await AsyncPageHits(url=f"/{number % 3}").increment(views=1)
            assert (await running.aflush()).remaining == 0
            assert (await AsyncPageHits.get(url="/0")).views == 100
            await AsyncPageHits(url="/0").increment(views=1)
        assert (await AsyncPageHits.get(url="/0")).views == 101

    asyncio.run(serve())


def test_deploying_before_migrating_loses_nothing(connected: str, cassandra_session: Session) -> None:
    with Aggregator(flush_interval=None) as running:
        Votes(poll="lunch", option=1).increment(votes=3)
        PageHits(url="/").increment(views=1)
        result = running.flush()
        assert (result.applied, result.remaining, result.unknown, result.dropped) == (1, 3, 0, 0)
        stats = running.stats()
        assert stats.state == "suspended"
        assert "votes" in str(stats.last_error)
        Votes.sync_table()
        assert running.flush().applied == 3
        assert running.stats().state == "ok"
    assert Votes.get(poll="lunch", option=1).votes == 3
    Votes.drop_table()


def test_a_dropped_column_suspends_its_table_and_keeps_the_deltas(connected: str, cassandra_session: Session) -> None:
    cassandra_session.execute(f"DROP TABLE IF EXISTS {connected}.narrow")
    cassandra_session.execute(f"CREATE TABLE {connected}.narrow (url text PRIMARY KEY, views counter)")

    class Narrow(coodie.sync.CounterDocument):
        url: Annotated[str, PrimaryKey()]
        views: Annotated[int, Counter()]
        likes: Annotated[int, Counter()]

    with Aggregator(flush_interval=None) as running:
        Narrow(url="/").increment(likes=2)
        assert running.flush().remaining == 2
        cassandra_session.execute(f"ALTER TABLE {connected}.narrow ADD likes counter")
        assert running.flush().applied == 2
    assert Narrow.get(url="/").likes == 2


def test_a_large_flush_is_whole(connected: str) -> None:
    with Aggregator(flush_interval=None, flush_concurrency=64) as running:
        for number in range(10_000):
            PageHits(url=f"/{number}").increment(views=number % 7 + 1)
        assert running.flush(timeout=60).remaining == 0
        assert running.stats().unknown == 0
    assert PageHits.find().count() == 10_000
    assert sum(row.views for row in PageHits.find()) == sum(number % 7 + 1 for number in range(10_000))


def test_stats_and_pending_name_the_table_with_its_keyspace(connected: str) -> None:
    with Aggregator(flush_interval=None) as running:
        PageHits(url="/").increment(views=1)
        assert running.pending() == {(f"{connected}.page_hits", ("/",)): {"views": 1}}
        assert list(running.stats().tables) == [f"{connected}.page_hits"]


def test_increments_go_direct_without_an_aggregator(connected: str) -> None:
    page: Any = PageHits(url="/direct")
    page.increment(views=2, unique_visitors=1)
    page.decrement(views=1)
    assert (PageHits.get(url="/direct").views, PageHits.get(url="/direct").unique_visitors) == (1, 1)
