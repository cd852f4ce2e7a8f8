"""What a lost reply, a lost request and a node that is away do to the account, on a real Cassandra."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

import coodie.sync
from aggregator import Aggregator, FlushResult
from coodie import drivers
from tests.support.models import PageHits
from tests.support.proxy import Proxy

if TYPE_CHECKING:
    from cassandra.cluster import Session

    from tests.support.cassandra import Server


UPDATE = '"views" = "views" + ?'


@pytest.fixture
def proxy(cassandra: Server) -> Iterator[Proxy]:
    with Proxy(cassandra.hosts[0], cassandra.port) as made:
        yield made


@pytest.fixture(params=["cassandra", "acsylla"])
def through_proxy(request: pytest.FixtureRequest, proxy: Proxy, keyspace: str) -> Iterator[Any]:
    """Connect coodie through the proxy, by each driver."""
    drivers._registry.clear()
    driver = coodie.sync.init_coodie(
        hosts=[proxy.address], port=proxy.port, keyspace=keyspace, driver_type=request.param
    )
    PageHits.sync_table()
    PageHits.truncate()
    PageHits(url="/warm-up").increment(views=1)  # prepared, so that the fault meets the update itself
    yield driver
    driver.close()
    drivers._registry.clear()


def stored(session: Session, keyspace: str, url: str) -> int:
    row = session.execute(f"SELECT views FROM {keyspace}.page_hits WHERE url = %s", (url,)).one()
    return row.views if row else 0


def test_a_direct_increment_whose_reply_is_lost_is_stored_once_and_raises(
    through_proxy: Any, proxy: Proxy, cassandra_session: Session, keyspace: str
) -> None:
    from coodie.exceptions import MaybeApplied

    fault = proxy.drop_reply(UPDATE)
    with pytest.raises(MaybeApplied):
        PageHits(url="/direct").increment(views=1)
    assert fault.wait()
    assert stored(cassandra_session, keyspace, "/direct") == 1


def test_an_unknown_row_does_not_hold_up_the_others(
    through_proxy: Any, proxy: Proxy, cassandra_session: Session, keyspace: str
) -> None:
    caught_up = threading.Event()

    def look(result: FlushResult) -> None:
        if not result.remaining:
            caught_up.set()

    with Aggregator(flush_interval=0.1, on_flush=look) as running:
        fault = proxy.drop_reply(UPDATE)
        for number in range(200):
            PageHits(url=f"/{number}").increment(views=1)
        assert fault.wait()
        assert caught_up.wait(60)  # the connection comes back; what was surely not applied is written then
        stats = running.stats()
        total = sum(stored(cassandra_session, keyspace, f"/{number}") for number in range(200))
        assert stats.unknown > 0
        assert stats.pending == stats.in_flight == stats.dropped == 0
        assert stats.applied <= total <= stats.applied + stats.unknown
        for item in running.unknown():
            running.resolve(item, apply=False)
