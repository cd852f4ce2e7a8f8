"""
A counter update whose reply is lost is stored once and reported as unknown, by both drivers, on both faces.

The client cannot tell a lost reply from a lost request, nor either from a late one: all three are unknown, and none of
them is sent again. What the database holds in the end is checked on a connection of its own.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from coodie.cql import render
from coodie.drivers.acsylla import AcsyllaDriver
from coodie.drivers.cassandra import CassandraDriver
from coodie.exceptions import MaybeApplied, NotApplied
from coodie.schema import Column, Table
from coodie.statement import CounterUpdate, Fate, Outcome, Select, Statement
from tests.support.cassandra import Server
from tests.support.proxy import Fault, Proxy

Send = Callable[[Statement], None]
NOTHING_LOST = 5  # increments before the fault, so that the statement is prepared and the connection warm


@pytest.fixture
def proxy(cassandra: Server) -> Iterator[Proxy]:
    with Proxy(cassandra.hosts[0], cassandra.port) as proxy:
        yield proxy


@pytest.fixture(params=["cassandra", "acsylla"])
def driver(request: pytest.FixtureRequest, proxy: Proxy) -> Iterator[Any]:
    if request.param == "cassandra":
        driver: Any = CassandraDriver.connect([proxy.address], port=proxy.port, compression=False)
    else:
        driver = AcsyllaDriver.connect_sync([proxy.address], port=proxy.port)
    yield driver
    driver.close()


@pytest.fixture(params=["sync", "async", "many"])
def send(request: pytest.FixtureRequest, driver: Any) -> Iterator[Send]:
    """Send one statement by one of the three ways, raising its error."""
    if request.param == "sync":
        yield driver.submit
    elif request.param == "async":
        with asyncio.Runner() as runner:
            yield lambda statement: runner.run(driver.submit_async(statement))
    else:
        yield lambda statement: send_as_many(driver, statement)


def send_as_many(driver: Any, statement: Statement) -> None:
    told: list[Outcome] = []
    driver.execute_many([(statement, statement.values)], 10, lambda index, outcome: told.append(outcome))
    [outcome] = told
    if outcome.error is not None:
        assert outcome.fate is (Fate.NOT_APPLIED if isinstance(outcome.error, NotApplied) else Fate.UNKNOWN)
        raise outcome.error


@pytest.fixture
def hits(cassandra_session: Any, keyspace: str) -> Table:
    columns = (Column("url", "text", partition_index=0), Column("views", "counter", int, counter=True))
    table = Table(f"hits_{uuid.uuid4().hex[:8]}", columns, counters="native").qualified(keyspace)
    cassandra_session.execute(f"CREATE TABLE {table.full_name} (url text PRIMARY KEY, views counter)")
    return table


def increment(table: Table, **options: Any) -> Statement:
    return Statement(CounterUpdate(table, ("views",)), (1, "/home"), render, **options)


def stored(session: Any, table: Table) -> int:
    return session.execute(f"SELECT views FROM {table.full_name} WHERE url = '/home'").one().views


def test_a_lost_reply_is_unknown_and_stored_once(proxy: Proxy, send: Send, hits: Table, cassandra_session: Any) -> None:
    for _ in range(NOTHING_LOST):
        send(increment(hits))
    fault = proxy.drop_reply(increment(hits).cql)
    with pytest.raises(MaybeApplied, match="not known whether this was written"):
        send(increment(hits))
    assert fault.wait()
    assert proxy.count(increment(hits).cql) == NOTHING_LOST + 1
    assert stored(cassandra_session, hits) == NOTHING_LOST + 1


def test_a_lost_request_is_unknown_and_never_sent_again(
    proxy: Proxy, send: Send, hits: Table, cassandra_session: Any
) -> None:
    for _ in range(NOTHING_LOST):
        send(increment(hits))
    fault = proxy.kill_request(increment(hits).cql)
    with pytest.raises(MaybeApplied):
        send(increment(hits))
    assert fault.wait()
    assert stored(cassandra_session, hits) == NOTHING_LOST


def test_a_late_reply_is_unknown_and_stored_once(proxy: Proxy, send: Send, hits: Table, cassandra_session: Any) -> None:
    for _ in range(NOTHING_LOST):
        send(increment(hits))
    fault: Fault = proxy.hold_reply(increment(hits).cql)
    with pytest.raises(MaybeApplied):
        send(increment(hits, timeout=0.3))
    assert fault.wait()
    fault.release()
    assert proxy.count(increment(hits).cql) == NOTHING_LOST + 1
    assert stored(cassandra_session, hits) == NOTHING_LOST + 1


def test_a_read_whose_reply_is_lost_has_surely_written_nothing(proxy: Proxy, send: Send, hits: Table) -> None:
    read = Statement(Select(hits), (), render)
    send(read)
    fault = proxy.drop_reply(read.cql)
    with pytest.raises(NotApplied, match="Nothing was written"):
        send(read)
    assert fault.wait()


def test_of_many_in_flight_the_lost_ones_are_unknown_and_the_sum_holds(
    proxy: Proxy, driver: Any, hits: Table, cassandra_session: Any
) -> None:
    """One reset takes every statement in flight on its connection along; the total stays within what is known."""
    template = increment(hits)
    proxy.drop_reply(increment(hits).cql)
    told: dict[int, Outcome] = {}
    work = ((template, (1, "/home")) for _ in range(500))
    driver.execute_many(work, 20, told.setdefault)
    fates = [outcome.fate for outcome in told.values()]
    applied, unknown = fates.count(Fate.APPLIED), fates.count(Fate.UNKNOWN)
    assert len(told) == 500
    assert unknown >= 1
    assert applied <= stored(cassandra_session, hits) <= applied + unknown
