"""
The outcome table, row by row, by both drivers, on the wire: what each answer of a server says of a counter update.

What this server cannot be brought to say is said by the proxy, in frames of the protocol, and decoded by the clients
as if a node had sent it. Errors that a client makes itself without a server (queues full, no stream left) are in
``tests/unit/drivers/test_outcomes.py``. Each case checks what is told against what is stored.
"""

from __future__ import annotations

import asyncio
import struct
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from coodie.cql import render
from coodie.drivers.acsylla import AcsyllaDriver
from coodie.drivers.cassandra import CassandraDriver
from coodie.exceptions import MaybeApplied, NotApplied, RowRejected, TableRejected
from coodie.plans import exact
from coodie.schema import Column, Table
from coodie.statement import CounterUpdate, CreateTable, Fate, Outcome, Statement
from tests.integration.server_driver import run
from tests.support.cassandra import Server
from tests.support.proxy import Proxy


@dataclass(frozen=True)
class Hits:
    """The tables of a test, native and exact, and a session of their own to look at them."""

    session: Any
    native: Table
    exact: Table

    def update(self, **options: Any) -> Statement:
        return Statement(CounterUpdate(self.native, ("views",)), (1, "/home"), render, **options)

    def stored(self) -> int:
        row = self.session.execute(f"SELECT views FROM {self.native.full_name} WHERE url = '/home'").one()
        return 0 if row is None else int(row.views)

    def totals(self) -> dict[str, int]:
        return {row.url: row.views for row in self.session.execute(f"SELECT url, views FROM {self.exact.full_name}")}


LEVEL = struct.pack(">h", 6)  # LOCAL_QUORUM


def text(value: str) -> bytes:
    return struct.pack(f">H{len(value)}s", len(value), value.encode())


def numbers(*values: int) -> bytes:
    return struct.pack(f">{len(values)}i", *values)


REFUSED: dict[str, tuple[int, bytes, type[Exception]]] = {
    # answer of the server: its code, the rest of its body, and what it says of the write
    "Unavailable": (0x1000, LEVEL + numbers(2, 1), NotApplied),  # Cassandra checks before it writes
    "Overloaded": (0x1001, b"", MaybeApplied),
    "IsBootstrapping": (0x1002, b"", NotApplied),
    "WriteTimeout(COUNTER), none received": (0x1100, LEVEL + numbers(0, 2) + text("COUNTER"), MaybeApplied),
    "WriteTimeout(COUNTER), one received": (0x1100, LEVEL + numbers(1, 2) + text("COUNTER"), MaybeApplied),
    "WriteFailure": (0x1500, LEVEL + numbers(0, 2, 1) + text("COUNTER"), MaybeApplied),
    "ServerError": (0x0000, b"", MaybeApplied),
    "TruncateError": (0x1003, b"", MaybeApplied),
    "ProtocolException": (0x000A, b"", MaybeApplied),
    "InvalidRequest": (0x2200, b"", RowRejected),
    "SyntaxException": (0x2000, b"", TableRejected),
    "Unauthorized": (0x2100, b"", TableRejected),
    "ConfigurationException": (0x2300, b"", TableRejected),
}


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


@pytest.fixture(scope="module")
def _made(cassandra_session: Any, keyspace: str) -> Hits:
    def made(kind: str) -> Table:
        columns = (Column("url", "text", str, partition_index=0), Column("views", "counter", int, counter=True))
        table = Table(f"{kind}_{uuid.uuid4().hex[:8]}", columns, keyspace, counters=kind)
        cassandra_session.execute(render(CreateTable(table.stored)))
        return table

    return Hits(cassandra_session, made("native"), made("exact"))


@pytest.fixture
def hits(_made: Hits) -> Hits:
    for table in (_made.native, _made.exact):
        _made.session.execute(f"TRUNCATE {table.full_name}")
    return _made


def told(driver: Any, statement: Statement) -> Outcome:
    """Send a statement as a flush does and return what is told."""
    [outcome] = run(driver, [(statement, statement.values)])
    return outcome


@pytest.mark.parametrize("row", REFUSED)
def test_what_a_server_answers_to_a_counter_update(driver: Any, proxy: Proxy, hits: Hits, row: str) -> None:
    code, tail, leaf = REFUSED[row]
    assert told(driver, hits.update()).fate is Fate.APPLIED  # prepared now
    fault = proxy.refuse(hits.update().cql, code, tail)
    outcome = told(driver, hits.update())
    assert fault.wait()
    assert isinstance(outcome.error, leaf), outcome.error
    assert outcome.fate is FATES[leaf]
    assert proxy.count(hits.update().cql) == 1  # it was not sent again
    assert hits.stored() == 1


def write_until_applied(driver: Any, work: list[tuple[Statement, tuple[Any, ...]]]) -> None:
    """Write again what was not told to be applied, as an aggregator does, until the client has connected anew."""
    while work:
        work = [item for item, outcome in zip(work, run(driver, work), strict=True) if outcome.fate is not Fate.APPLIED]


FATES = {
    NotApplied: Fate.NOT_APPLIED,
    MaybeApplied: Fate.UNKNOWN,
    RowRejected: Fate.REJECTED,
    TableRejected: Fate.REJECTED,
}


@pytest.mark.parametrize("row", REFUSED)
def test_what_a_server_answers_to_a_batch_of_totals(driver: Any, proxy: Proxy, hits: Hits, row: str) -> None:
    """Whatever is told of totals, they may be written again; and no row is refused for what hit another."""
    code, tail, leaf = REFUSED[row]
    template = exact.write(hits.exact, ("views",))
    work = [(template, (f"/{number}", "host/0/a", number, 1_000_000)) for number in range(10)]
    assert {outcome.fate for outcome in run(driver, work)} == {Fate.APPLIED}  # prepared now
    newer = [(template, (*values[:3], 2_000_000)) for _, values in work]
    fault = proxy.refuse("BEGIN UNLOGGED BATCH", code, tail)
    outcomes = run(driver, newer)
    assert fault.wait()
    fates = {outcome.fate for outcome in outcomes}
    if leaf is RowRejected:
        assert fates == {Fate.APPLIED}  # one by one
    elif leaf is TableRejected:
        assert fates == {Fate.REJECTED}
    else:
        assert len(fates) == 1
        assert fates < {Fate.UNKNOWN, Fate.NOT_APPLIED, Fate.APPLIED}
    write_until_applied(driver, newer)
    assert hits.totals() == {f"/{number}": number for number in range(10)}


def test_a_statement_that_the_server_forgot_is_prepared_anew_and_applied_once(
    driver: Any, proxy: Proxy, hits: Hits
) -> None:
    assert told(driver, hits.update()).fate is Fate.APPLIED
    [known] = [known for known, cql in proxy.prepared.items() if hits.update().cql in cql]
    fault = proxy.refuse(hits.update().cql, 0x2500, struct.pack(">H", len(known)) + known)
    assert told(driver, hits.update()).fate is Fate.APPLIED
    assert fault.wait()
    assert hits.stored() == 2


LOST: dict[str, tuple[Callable[[Proxy, str], Any], float | None, int]] = {
    # what goes wrong, after how many seconds the client gives up, what is stored all the same
    "connection lost after the write": (Proxy.drop_reply, None, 1),
    "connection lost before the write": (Proxy.kill_request, None, 0),
    "client timeout, the write came through": (Proxy.hold_reply, 0.3, 1),
}


@pytest.mark.parametrize("row", LOST)
def test_what_is_lost_on_the_way_is_unknown(driver: Any, proxy: Proxy, hits: Hits, row: str) -> None:
    arm, timeout, stored = LOST[row]
    assert told(driver, hits.update()).fate is Fate.APPLIED
    fault = arm(proxy, hits.update().cql)
    outcome = told(driver, hits.update(timeout=timeout))
    assert fault.wait()
    assert isinstance(outcome.error, MaybeApplied)
    assert outcome.fate is Fate.UNKNOWN
    assert hits.stored() == 1 + stored


@pytest.mark.parametrize("row", LOST)
def test_a_batch_of_totals_lost_on_the_way_is_never_told_not_applied(
    driver: Any, proxy: Proxy, hits: Hits, row: str
) -> None:
    arm, timeout, _ = LOST[row]
    template = Statement(exact.write(hits.exact, ("views",)).shape, (), render, timeout=timeout, together=10)
    work = [(template, (f"/{number}", "host/0/a", number, 1_000_000)) for number in range(10)]
    arm(proxy, "BEGIN UNLOGGED BATCH")
    outcomes = run(driver, work)
    assert {outcome.fate for outcome in outcomes} <= {Fate.UNKNOWN, Fate.APPLIED}
    write_until_applied(driver, work)
    assert hits.totals() == {f"/{number}": number for number in range(10)}


def test_no_host_at_all_is_surely_not_written(driver: Any, proxy: Proxy, hits: Hits) -> None:
    """Under the policy that never re-sends: the client asked nobody."""
    assert told(driver, hits.update()).fate is Fate.APPLIED
    before = proxy.count(hits.update().cql)
    proxy.close_to_clients()
    outcome = last_told(driver, hits.update())
    assert isinstance(outcome.error, NotApplied), outcome.error
    assert proxy.count(hits.update().cql) == before
    assert hits.stored() == 1


def last_told(driver: Any, statement: Statement) -> Outcome:
    """Send until the client has noticed that its connections are gone; what was under way till then is unknown."""
    while True:
        outcome = told(driver, statement)
        if outcome.fate is not Fate.UNKNOWN:
            return outcome


REAL: dict[str, tuple[tuple[Any, ...], str | None, type[Exception]]] = {
    # values, level, what is told: said by this server itself, or by the encoders
    "no such level to be had": ((1, "/home"), "THREE", NotApplied),
    "empty key": ((1, ""), None, RowRejected),
    "key too long": ((1, "x" * 65_536), None, RowRejected),
    "value too large": ((2**63, "/home"), None, RowRejected),
    "value of a wrong type": (("one", "/home"), None, RowRejected),
    "letter that is none": ((1, "\ud800"), None, RowRejected),
    "missing value": ((1,), None, RowRejected),
}


@pytest.mark.parametrize("row", REAL)
def test_what_this_server_says_itself(driver: Any, hits: Hits, row: str) -> None:
    values, level, leaf = REAL[row]
    [outcome] = run(driver, [(hits.update(consistency=level), values)])
    assert isinstance(outcome.error, leaf), outcome.error
    assert outcome.fate is FATES[leaf]
    assert hits.stored() == 0


def test_a_cancelled_call_may_have_been_sent_and_is_not_sent_again(driver: Any, proxy: Proxy, hits: Hits) -> None:
    """CancelledError says nothing of the write: here it was under way, and came through."""

    async def cancelled() -> None:
        await driver.submit_async(hits.update())
        fault = proxy.hold_reply(hits.update().cql)
        call = asyncio.create_task(driver.submit_async(hits.update()))
        while not await asyncio.to_thread(fault.wait, 0.05):
            pass
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        fault.release()
        await driver.close_async()

    asyncio.run(cancelled())
    assert proxy.count(hits.update().cql) == 2
    assert hits.stored() == 2


def test_what_a_dying_loop_leaves_in_flight_is_unknown(cassandra: Server, proxy: Proxy, hits: Hits) -> None:
    """A fan-out whose tasks are cancelled, as at the end of ``asyncio.run``: acsylla's work runs on a loop."""
    outcomes: list[Outcome] = []
    driver = AcsyllaDriver.connect_sync([proxy.address], port=proxy.port)
    loop = driver._sessions.loop_for_many()
    assert told(driver, hits.update()).fate is Fate.APPLIED
    fault = proxy.hold_reply(hits.update().cql)

    def cancel_all() -> None:
        for task in asyncio.all_tasks(loop):
            task.cancel()

    async def cancelling() -> None:
        flush = asyncio.to_thread(
            driver.execute_many, [(hits.update(), (1, "/home"))], 4, lambda index, outcome: outcomes.append(outcome)
        )
        under_way = asyncio.create_task(flush)
        assert await asyncio.to_thread(fault.wait)
        loop.call_soon_threadsafe(cancel_all)
        await asyncio.gather(under_way, return_exceptions=True)

    asyncio.run(cancelling())
    fault.release()
    driver.close()
    assert [outcome.fate for outcome in outcomes] == [Fate.UNKNOWN]
    assert hits.stored() == 2
