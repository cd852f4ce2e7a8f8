"""
A database that is away for what would be minutes, or slow, behind a road that is cut or a reply that is held.

Increments keep their cost, memory stays bounded, nothing is tried in a loop, and what was accepted is caught up with by
the aggregator alone when the database returns.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from aggregator import Aggregator
from aggregator.exceptions import BufferFull
from tests.support import field
from tests.support.field import Field
from tests.support.load import quiesce
from tests.support.proxy import Proxy
from tests.support.road import Road

if TYPE_CHECKING:
    from cassandra.cluster import Session

    from tests.support.cassandra import Server

ATTEMPTS_A_SECOND = 20
"""What two clients whose reconnection is set to half a second, connections for control and data each, may try."""


@pytest.fixture
def road(cassandra: Server) -> Iterator[Road]:
    with Road(cassandra.hosts[0], cassandra.port) as made:
        yield made


@pytest.fixture
def proxy(cassandra: Server) -> Iterator[Proxy]:
    with Proxy(cassandra.hosts[0], cassandra.port) as made:
        yield made


@pytest.fixture
def ground(road: Road, cassandra_session: Session, keyspace: str) -> Iterator[Field]:
    """Give a field on the one node, at the end of the road."""
    with field.connected([road.address], road.port, keyspace) as spots:
        yield Field(cassandra_session, spots)


def tries_allowed(seconds: float) -> int:
    """Return how many flushes a backoff that doubles from a quarter of a second, at the shortest, can have tried."""
    return 2 + int(math.log2(1 + seconds / 0.125))


def test_increments_go_on_while_the_database_is_away_and_are_caught_up_with(ground: Field, road: Road) -> None:
    with ground.aggregator(max_keys=400, max_batch_size=50, when_full="drop") as running:
        with ground.load() as load:
            ground.flushes.wait(field.whole)
            road.cut()
            began = time.monotonic()
            ground.flushes.wait_until(lambda: running.stats().state == "backing_off")
            flushes, before = len(ground.flushes.results), running.stats()
            ground.flushes.wait_until(lambda: running.stats().increments > before.increments + 2000)
            away = running.stats()
            assert away.state == "backing_off"
            assert away.last_error is not None
            assert away.retry_in_s is not None
            assert away.accepted != before.accepted
            assert field.rows_kept(running) <= 400
            seconds = time.monotonic() - began
            assert len(ground.flushes.results) - flushes <= len(field.DRIVERS) * tries_allowed(seconds)
            assert road.attempts <= 20 + ATTEMPTS_A_SECOND * seconds
            road.mend()
            ground.flushes.wait(field.whole)  # nobody asked for it
        quiesce(running)
        assert running.stats().state == "ok"
        ground.judge(running, load)
        ground.forget(running)


@pytest.mark.parametrize("kind", field.KINDS)
def test_a_full_buffer_drops_new_rows_alone_while_the_database_is_away(ground: Field, road: Road, kind: str) -> None:
    spot = next(spot for spot in ground.spots if (spot.kind, spot.driver) == (kind, "cassandra"))
    with ground.aggregator(flush_interval=None, max_keys=100, when_full="drop") as running:
        for number in range(100):
            spot.model(url=f"{ground.prefix}/{number}").increment(views=1)
        road.cut()
        running.flush()
        for number in range(300):
            spot.model(url=f"{ground.prefix}/{number}").increment(views=10)
        stats = running.stats()
        assert field.rows_kept(running) == 100
        assert (stats.accepted, stats.dropped) == (100 + 3000, 2000)
        road.mend()
        quiesce(running)
        found = ground.stored(spot)
        parked = sum(item.deltas["views"] for item in running.unknown())
        assert 1100 - parked <= found.total() <= 1100
        assert len(found) <= 100
        ground.forget(running)


@pytest.mark.parametrize("driver", field.DRIVERS)
def test_parked_deltas_merge_by_row_and_count_towards_the_bound(
    proxy: Proxy, keyspace: str, driver: str, cassandra_session: Session
) -> None:
    with (
        field.one(driver, "native", proxy, keyspace) as hits,
        Aggregator(flush_interval=None, max_keys=3, when_full="raise", flush_concurrency=1) as running,
    ):
        for units in (1, 20, 300):
            for row in ("/a", "/b"):
                hits(url=row).increment(views=units)
                fault = proxy.drop_reply(field.WRITES["native"])
                while not fault.wait(0.05):  # until the connection is there again, nothing is sent
                    running.flush()
                running.flush()
        items = {item.key["url"]: item for item in running.unknown()}
        assert {row: (item.deltas, item.times) for row, item in items.items()} == {
            "/a": ({"views": 321}, 3),
            "/b": ({"views": 321}, 3),
        }
        hits(url="/c").increment(views=1)
        with pytest.raises(BufferFull, match="max_keys=3"):
            hits(url="/d").increment(views=1)
        running.resolve(items["/a"], apply=False)
        hits(url="/d").increment(views=1)
        running.resolve(items["/b"], apply=False)
        quiesce(running)
        assert field.stored(cassandra_session, f"{keyspace}.{hits.Settings.name}", "").total() == 644


@pytest.mark.parametrize("kind", field.KINDS)
@pytest.mark.parametrize("driver", field.DRIVERS)
def test_a_slow_database_gets_fewer_larger_flushes(
    proxy: Proxy, keyspace: str, cassandra_session: Session, driver: str, kind: str
) -> None:
    with (
        field.one(driver, kind, proxy, keyspace) as hits,
        Aggregator(flush_interval=0.01, max_batch_size=1) as running,
    ):
        hits(url="/first").increment(views=1)
        running.flush()
        slow = proxy.hold_reply(field.WRITES[kind])
        hits(url="/first").increment(views=1)
        assert slow.wait()
        before = proxy.count(field.WRITES[kind])
        for _ in range(500):
            for number in range(20):
                hits(url=f"/{number}").increment(views=1)
        assert proxy.count(field.WRITES[kind]) == before  # one flush at a time, however long it takes
        slow.release()
        quiesce(running)
        assert running.stats().statements == 2 + 20
        assert field.stored(cassandra_session, f"{keyspace}.{hits.Settings.name}", "").total() == 2 + 500 * 20


@pytest.mark.parametrize("driver", field.DRIVERS)
def test_after_many_unknown_writes_one_row_is_tried_before_the_rest(
    proxy: Proxy, keyspace: str, cassandra_session: Session, driver: str
) -> None:
    write = field.WRITES["native"]
    with (
        field.one(driver, "native", proxy, keyspace) as hits,
        Aggregator(flush_interval=None, flush_concurrency=16) as running,
    ):
        hits(url="/warm-up").increment(views=1)
        assert running.flush().remaining == 0
        for number in range(16):
            hits(url=f"/{number}").increment(views=1)
        lost = [proxy.hold_reply(write) for _ in range(16)]
        running.flush()
        assert len(running.unknown()) == 16
        for fault in lost:
            fault.release()
        for number in range(40):
            hits(url=f"/{number}").increment(views=20)
        first, before = proxy.hold_reply(write), proxy.count(write)
        flush = threading.Thread(target=running.flush)
        flush.start()
        assert first.wait()
        assert proxy.count(write) == before + 1
        first.release()
        flush.join()
        quiesce(running)
        assert proxy.count(write) == before + 40
        assert field.stored(cassandra_session, f"{keyspace}.{hits.Settings.name}", "").total() == 1 + 16 + 800
        for item in running.unknown():
            running.resolve(item, apply=False)
