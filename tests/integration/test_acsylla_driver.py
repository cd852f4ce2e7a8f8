"""AcsyllaDriver on a real Cassandra."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import acsylla
import pytest

from coodie.drivers.acsylla import AcsyllaDriver
from coodie.drivers.acsylla.sharding import ShardingNotices
from coodie.exceptions import ConfigurationError, NotApplied, RowRejected
from coodie.schema import Column, Table
from coodie.statement import CounterUpdate, CreateTable, DropTable, Fate, Insert, Outcome, Select, Statement
from tests.integration.server_driver import ServerDriverContract, Submit, counters, raw, run, statement
from tests.support.cassandra import Server

ALIVE = raw("SELECT release_version FROM system.local")


@pytest.fixture(scope="module")
def driver(cassandra: Server, keyspace: str) -> Iterator[AcsyllaDriver]:
    driver = AcsyllaDriver.connect_sync(cassandra.hosts, keyspace, port=cassandra.port)
    yield driver
    driver.close()


@pytest.fixture
def new_driver(cassandra: Server, keyspace: str) -> Callable[[], AcsyllaDriver]:
    return lambda: AcsyllaDriver.connect_sync(cassandra.hosts, keyspace, port=cassandra.port)


@pytest.fixture(params=["sync", "async"])
def submit(request: pytest.FixtureRequest, driver: AcsyllaDriver) -> Iterator[Submit]:
    if request.param == "sync":
        yield driver.submit
        return
    with asyncio.Runner() as runner:
        yield lambda given: runner.run(driver.submit_async(given))


@pytest.fixture
def hits(driver: AcsyllaDriver, keyspace: str) -> Iterator[Table]:
    table = counters(keyspace)
    driver.submit(statement(CreateTable(table)))
    yield table
    driver.submit(statement(DropTable(table)))


class TestAcsyllaDriver(ServerDriverContract):
    """The contract, on acsylla with hosts."""


def increments(table: Table, count: int) -> list[Statement]:
    return [statement(CounterUpdate(table, ("views",)), 1, "/home") for _ in range(count)]


class CountingSession:
    """A session that counts what is prepared."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.prepared: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    async def create_prepared(self, text: str) -> Any:
        self.prepared.append(text)
        return await self._session.create_prepared(text)


async def opened(server: Server) -> Any:
    return await acsylla.create_cluster(server.hosts, port=server.port).create_session()


def test_a_hundred_tasks_prepare_a_statement_once(cassandra: Server, hits: Table) -> None:
    async def all_at_once() -> None:
        session = CountingSession(await opened(cassandra))
        driver = AcsyllaDriver(session=session)
        await asyncio.gather(*(driver.submit_async(one) for one in increments(hits, 100)))
        assert len(session.prepared) == 1
        assert (await driver.submit_async(statement(Select(hits)))).items[0]["views"] == 100
        await session.close()

    asyncio.run(all_at_once())


def test_cancelling_one_waiter_leaves_the_others_their_statement(driver: AcsyllaDriver, hits: Table) -> None:
    async def first_is_cancelled() -> None:
        await driver.submit_async(ALIVE)
        first, second = (asyncio.create_task(driver.submit_async(one)) for one in increments(hits, 2))
        await asyncio.sleep(0)
        first.cancel()
        await second
        with pytest.raises(asyncio.CancelledError):
            await first

    asyncio.run(first_is_cancelled())
    assert driver.submit(statement(Select(hits))).items[0]["views"] == 1


def test_every_loop_gets_a_session_and_closed_loops_lose_theirs(new_driver: Callable[[], AcsyllaDriver]) -> None:
    driver = new_driver()
    for _ in range(3):
        asyncio.run(driver.submit_async(ALIVE))
    sessions = driver._sessions._open
    assert sum(loop.is_closed() for loop in sessions) == 1  # the last one's; there has been no newer
    assert len(sessions) == 2
    driver.close()
    assert not sessions


def test_closing_from_a_loop_closes_the_sessions_of_all(new_driver: Callable[[], AcsyllaDriver]) -> None:
    async def use_and_close() -> None:
        driver = new_driver()
        await asyncio.gather(*(driver.submit_async(ALIVE) for _ in range(10)))
        await driver.close_async()
        await driver.close_async()
        with pytest.raises(ConfigurationError, match="closed; nothing was sent"):
            await driver.submit_async(ALIVE)

    asyncio.run(use_and_close())


def test_a_given_session_is_used_on_its_loop_alone(cassandra: Server, hits: Table) -> None:
    async def on_its_loop() -> None:
        session = await opened(cassandra)
        driver = AcsyllaDriver(session=session)
        [increment] = increments(hits, 1)
        await driver.submit_async(increment)

        refusals: list[BaseException] = []

        def elsewhere(call: Callable[[], Any]) -> None:
            try:
                call()
            except BaseException as error:
                refusals.append(error)

        calls = [lambda: asyncio.run(driver.submit_async(increment)), lambda: driver.submit(increment)]
        for call in calls:
            await asyncio.to_thread(elsewhere, call)
        elsewhere(lambda: driver.submit(increment))
        elsewhere(lambda: driver.execute_many([], 1, lambda index, outcome: None))
        assert [type(error) for error in refusals] == [ConfigurationError] * 4
        assert all("nothing was sent" in str(error) for error in refusals)

        rows = await driver.submit_async(statement(Select(hits)))
        assert rows.items[0]["views"] == 1
        driver.close()
        await driver.close_async()
        await session.execute(acsylla.create_statement("SELECT release_version FROM system.local"))  # still open
        await session.close()

    asyncio.run(on_its_loop())


def test_a_flusher_thread_writes_through_a_given_session(cassandra: Server, hits: Table) -> None:
    async def on_its_loop() -> None:
        session = await opened(cassandra)
        driver = AcsyllaDriver(session=session)
        template = statement(CounterUpdate(hits, ("views",)))
        outcomes = await asyncio.to_thread(run, driver, [(template, (1, f"/{n % 10}")) for n in range(500)])
        assert {outcome.fate for outcome in outcomes} == {Fate.APPLIED}
        stored = (await driver.submit_async(statement(Select(hits)))).items
        assert [row["views"] for row in stored] == [50] * 10
        await session.close()

    asyncio.run(on_its_loop())


def test_a_fan_out_whose_loop_ends_tells_what_it_does_not_know(cassandra: Server, hits: Table) -> None:
    """The loop ends in the middle: what was in flight is unknown, and nothing else was sent."""
    told: dict[int, Outcome] = {}
    halfway, errors = threading.Event(), []
    template = statement(CounterUpdate(hits, ("views",)))

    def settle(index: int, outcome: Outcome) -> None:
        assert index not in told, "told twice"
        told[index] = outcome
        if len(told) == 200:
            halfway.set()

    async def on_its_loop() -> threading.Thread:
        driver = AcsyllaDriver(session=await opened(cassandra))

        def flush() -> None:
            try:
                driver.execute_many(((template, (1, "/home")) for _ in range(10**9)), 20, settle)
            except ConfigurationError as error:
                errors.append(error)

        thread = threading.Thread(target=flush)
        thread.start()
        await asyncio.to_thread(halfway.wait)
        return thread

    asyncio.run(on_its_loop()).join()
    assert "has ended" in str(errors[0])
    applied = sum(outcome.fate is Fate.APPLIED for outcome in told.values())
    unknown = sum(outcome.fate is Fate.UNKNOWN for outcome in told.values())
    assert applied + unknown == len(told) == max(told) + 1
    assert unknown <= 20


def test_a_driver_made_of_a_factory_opens_a_session_for_each_loop(cassandra: Server) -> None:
    driver = AcsyllaDriver.connect(lambda: opened(cassandra))
    assert driver.submit(ALIVE).items
    assert asyncio.run(driver.submit_async(ALIVE)).items
    driver.close()


def test_errors_are_of_the_clients_classes_too(driver: AcsyllaDriver, hits: Table) -> None:
    with pytest.raises(acsylla.errors.CassErrorServerInvalidQuery) as refused:
        driver.submit(statement(CounterUpdate(hits, ("views",)), 1, ""))
    assert isinstance(refused.value, RowRejected)
    with pytest.raises(acsylla.errors.CassErrorServerUnavailable) as unavailable:
        driver.submit(statement(CounterUpdate(hits, ("views",)), 1, "/home", consistency="THREE"))
    assert isinstance(unavailable.value, NotApplied)  # surely Cassandra: checked before the write


def test_a_time_without_zone_is_utc(driver: AcsyllaDriver, submit: Submit, keyspace: str) -> None:
    table = Table("moments", (Column("k", "int", partition_index=0), Column("at", "timestamp")), keyspace)
    driver.submit(statement(CreateTable(table)))
    submit(statement(Insert(table, ("k", "at")), 1, datetime(2024, 1, 1)))  # noqa: DTZ001 - that is the question
    assert submit(statement(Select(table))).items == [{"k": 1, "at": datetime(2024, 1, 1, tzinfo=UTC)}]
    driver.submit(statement(DropTable(table)))


def test_cassandra_is_not_reproached_for_having_no_shards(
    new_driver: Callable[[], AcsyllaDriver], caplog: pytest.LogCaptureFixture
) -> None:
    driver = new_driver()
    assert asyncio.run(driver.submit_async(ALIVE)).items
    driver.close()
    assert not [message for message in caplog.messages if "shard" in message.lower()]


def test_notices_about_shards_are_logged_where_the_server_may_have_some(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("test_sharding_notices")
    notices = ShardingNotices(logger)
    logger.addFilter(notices)
    notice = "Could not retrieve sharding info from connection to %s. Continuing WITHOUT SHARD-AWARENESS."
    with notices.held():
        logger.error(notice, "cassandra")
        logger.error("another message")
        notices.wanted = False
    logger.error(notice, "cassandra again")
    assert caplog.messages == ["another message"]
    with notices.held():
        logger.error(notice, "scylla")
        notices.wanted = True
    with pytest.raises(ConfigurationError), notices.held():
        notices.wanted = False
        logger.error(notice, "not reached")
        raise ConfigurationError("not reached")
    assert [message.split(".")[0].rsplit(" ", 1)[1] for message in caplog.messages[1:]] == ["scylla", "reached"]
    logger.removeFilter(notices)


def test_a_host_that_is_not_there_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and never listened on
        port = taken.getsockname()[1]
        expected = rf"Cannot connect to Cassandra at 127\.0\.0\.1:{port}: .*refused"
        with pytest.raises(ConfigurationError, match=expected):
            AcsyllaDriver.connect_sync(["127.0.0.1"], port=port)
        with pytest.raises(ConfigurationError, match=expected):
            asyncio.run(AcsyllaDriver.connect_async(["127.0.0.1"], port=port))


def test_a_keyspace_that_is_not_there_is_named(cassandra: Server) -> None:
    with pytest.raises(ConfigurationError, match="The keyspace 'no_such_keyspace' does not exist at"):
        AcsyllaDriver.connect_sync(cassandra.hosts, "no_such_keyspace", port=cassandra.port)


def test_an_unknown_option_is_refused(cassandra: Server) -> None:
    with pytest.raises(ConfigurationError, match="no_such_option"):
        AcsyllaDriver.connect_sync(cassandra.hosts, port=cassandra.port, no_such_option=1)


def test_a_forked_child_is_told_not_to_use_a_session_given_to_its_parent(cassandra: Server) -> None:
    def child(driver: AcsyllaDriver, answers: Any) -> None:
        for call in (lambda: asyncio.run(driver.submit_async(ALIVE)), lambda: driver.execute_many([], 1, print)):
            try:
                call()
            except ConfigurationError as error:
                answers.send(str(error))
        driver.close()  # must not touch the parent's sockets
        answers.close()
        sys.exit(7)  # the end of the interpreter destroys what nobody keeps: here, that would wait for ever

    async def on_its_loop() -> None:
        session = await opened(cassandra)
        driver = AcsyllaDriver(session=session)
        receiving, sending = multiprocessing.Pipe(duplex=False)
        process = multiprocessing.get_context("fork").Process(target=child, args=(driver, sending))
        process.start()
        sending.close()
        for _ in range(2):
            assert "Call init_coodie() in the child" in await asyncio.to_thread(receiving.recv)
        await asyncio.to_thread(process.join)
        assert process.exitcode == 7
        assert (await driver.submit_async(ALIVE)).items
        await session.close()

    asyncio.run(on_its_loop())
