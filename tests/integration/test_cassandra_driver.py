"""CassandraDriver on a real Cassandra."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from cassandra import InvalidRequest, Unavailable
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, Session
from cassandra.policies import FallthroughRetryPolicy, RetryPolicy, RoundRobinPolicy
from cassandra.protocol import SyntaxException

from coodie import drivers
from coodie.drivers import registry
from coodie.drivers.cassandra import CassandraDriver
from coodie.exceptions import ConfigurationError, NotApplied, Rejected, RowRejected, TableRejected
from coodie.schema import Column, Table
from coodie.statement import CounterUpdate, CreateTable, DropTable, Insert, Select, Statement
from tests.integration.server_driver import ServerDriverContract, Submit, counters, raw, statement
from tests.support.cassandra import Server


@pytest.fixture(scope="module")
def driver(cassandra: Server, keyspace: str) -> Iterator[CassandraDriver]:
    driver = CassandraDriver.connect(cassandra.hosts, keyspace, port=cassandra.port)
    yield driver
    driver.close()


@pytest.fixture
def new_driver(cassandra: Server, keyspace: str) -> Callable[[], CassandraDriver]:
    return lambda: CassandraDriver.connect(cassandra.hosts, keyspace, port=cassandra.port)


@pytest.fixture(params=["sync", "async"])
def submit(request: pytest.FixtureRequest, driver: CassandraDriver) -> Iterator[Submit]:
    if request.param == "sync":
        yield driver.submit
        return
    with asyncio.Runner() as runner:
        yield lambda given: runner.run(driver.submit_async(given))


class TestCassandraDriver(ServerDriverContract):
    """The contract, on cassandra-driver."""


@pytest.fixture
def hits(driver: CassandraDriver, keyspace: str) -> Iterator[Table]:
    table = counters(keyspace)
    driver.submit(statement(CreateTable(table)))
    yield table
    driver.submit(statement(DropTable(table)))


def increments(table: Table, count: int) -> list[Statement]:
    return [statement(CounterUpdate(table, ("views",)), 1, "/home") for _ in range(count)]


class CountingSession:
    """A session that counts what is prepared and keeps what is sent."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.prepared: list[str] = []
        self.sent: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def prepare(self, text: str) -> Any:
        self.prepared.append(text)
        return self._session.prepare(text)

    def execute_async(self, query: Any, **options: Any) -> Any:
        self.sent.append(query)
        return self._session.execute_async(query, **options)


def test_a_hundred_tasks_prepare_a_statement_once(cassandra_session: Session, hits: Table) -> None:
    session = CountingSession(cassandra_session)
    driver = CassandraDriver(session=session)

    async def all_at_once() -> None:
        await asyncio.gather(*(driver.submit_async(one) for one in increments(hits, 100)))

    asyncio.run(all_at_once())
    assert len(session.prepared) == 1
    assert driver.submit(statement(Select(hits))).items[0]["views"] == 100


def test_a_hundred_threads_prepare_a_statement_once(cassandra_session: Session, hits: Table) -> None:
    session = CountingSession(cassandra_session)
    driver = CassandraDriver(session=session)
    with ThreadPoolExecutor(100) as threads:
        list(threads.map(driver.submit, increments(hits, 100)))
    assert len(session.prepared) == 1
    assert driver.submit(statement(Select(hits))).items[0]["views"] == 100


def test_a_failed_preparation_is_tried_again(driver: CassandraDriver, keyspace: str) -> None:
    table = counters(keyspace)
    [update] = increments(table, 1)
    with pytest.raises(TableRejected):
        driver.submit(update)
    driver.submit(statement(CreateTable(table)))
    driver.submit(update)
    driver.submit(statement(DropTable(table)))


def test_cancelling_one_waiter_leaves_the_others_their_statement(driver: CassandraDriver, hits: Table) -> None:
    async def first_is_cancelled() -> None:
        first, second = (asyncio.create_task(driver.submit_async(one)) for one in increments(hits, 2))
        await asyncio.sleep(0)
        first.cancel()
        await second
        with pytest.raises(asyncio.CancelledError):
            await first

    asyncio.run(first_is_cancelled())
    assert driver.submit(statement(Select(hits))).items[0]["views"] == 1


def test_counters_and_other_unrepeatable_statements_carry_the_policy_that_never_resends(
    cassandra_session: Session, hits: Table
) -> None:
    session = CountingSession(cassandra_session)
    driver = CassandraDriver(session=session)
    driver.submit(increments(hits, 1)[0])
    driver.submit(raw(f"UPDATE {hits.full_name} SET views = views + 1 WHERE url = '/home'"))
    for sent in session.sent:
        assert isinstance(sent.retry_policy, FallthroughRetryPolicy)
        assert sent.is_idempotent is False
    driver.submit(statement(Select(hits)))
    assert session.sent[-1].is_idempotent is True
    assert session.sent[-1].retry_policy is None  # the user's session, the user's policy


def test_a_cluster_of_ours_never_resends_by_its_profile(driver: CassandraDriver) -> None:
    profile = driver._session.get_execution_profile(EXEC_PROFILE_DEFAULT)
    assert isinstance(profile.retry_policy, FallthroughRetryPolicy)


def test_any_row_factory_of_a_given_session_gives_dicts(cassandra: Server, hits: Table, submit: Submit) -> None:
    submit(increments(hits, 1)[0])
    cluster = Cluster(cassandra.hosts, port=cassandra.port, protocol_version=4)  # rows as named tuples
    session = cluster.connect()
    driver = CassandraDriver(session=session)
    assert driver.submit(statement(Select(hits))).items == [{"url": "/home", "views": 1, "visitors": None}]
    driver.close()
    assert not session.is_shutdown  # it is the user's
    cluster.shutdown()


def test_errors_are_of_the_clients_classes_too(driver: CassandraDriver, hits: Table) -> None:
    with pytest.raises(InvalidRequest) as refused:
        driver.submit(statement(CounterUpdate(hits, ("views",)), 1, ""))
    assert isinstance(refused.value, RowRejected)
    assert isinstance(refused.value.__cause__, InvalidRequest)
    assert refused.value.host is not None
    assert "SET" in (refused.value.statement or "")
    with pytest.raises(Unavailable) as unavailable:
        driver.submit(statement(CounterUpdate(hits, ("views",)), 1, "/home", consistency="THREE"))
    assert isinstance(unavailable.value, NotApplied)  # surely Cassandra: checked before the write
    assert unavailable.value.alive_replicas == 1


def test_an_error_met_twice_is_the_same_twice(driver: CassandraDriver, submit: Submit) -> None:
    """The second answer is decoded by the client's own class, and the connection lives on."""
    for _ in range(3):
        with pytest.raises(SyntaxException) as refused:
            submit(raw("SELEC 1"))
        assert isinstance(refused.value, Rejected)
        assert "no viable alternative" in str(refused.value)
    assert driver.submit(raw("SELECT release_version FROM system.local")).items


def test_a_moment_of_a_distant_year_is_read_to_the_millisecond(
    driver: CassandraDriver, submit: Submit, keyspace: str
) -> None:
    table = Table("moments", (Column("k", "int", partition_index=0), Column("at", "timestamp")), keyspace)
    driver.submit(statement(CreateTable(table)))
    days = ("0001-01-01", "1066-10-14T09:00:07", "1969-12-31T23:59:59", "2999-01-02", "9999-12-31T23:59:59")
    moments = [
        datetime.fromisoformat(day).replace(microsecond=1000 * milliseconds, tzinfo=UTC)
        for day in days
        for milliseconds in (0, 1, 123, 501, 999)
    ]
    for k, at in enumerate(moments):
        driver.submit(statement(Insert(table, ("k", "at")), k, at))
    stored = {row["k"]: row["at"] for row in submit(statement(Select(table))).items}
    assert [stored[k] for k in range(len(moments))] == moments
    driver.submit(statement(DropTable(table)))


def test_a_host_that_is_not_there_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and never listened on
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"Cannot connect to Cassandra at 127\.0\.0\.1:{port}: .*refused"):
            CassandraDriver.connect(["127.0.0.1"], port=port)


def test_a_keyspace_that_is_not_there_is_named(cassandra: Server) -> None:
    with pytest.raises(ConfigurationError, match="The keyspace 'no_such_keyspace' does not exist at"):
        CassandraDriver.connect(cassandra.hosts, "no_such_keyspace", port=cassandra.port)


def test_an_unknown_option_is_refused(cassandra: Server) -> None:
    with pytest.raises(ConfigurationError, match="no_such_option"):
        CassandraDriver.connect(cassandra.hosts, port=cassandra.port, no_such_option=1)


def test_options_of_the_older_style_are_taken(cassandra: Server) -> None:
    mine, plan = RetryPolicy(), RoundRobinPolicy()
    driver = CassandraDriver.connect(
        cassandra.hosts, port=cassandra.port, default_retry_policy=mine, load_balancing_policy=plan
    )
    profile = driver._session.get_execution_profile(EXEC_PROFILE_DEFAULT)
    assert profile.load_balancing_policy is plan
    assert isinstance(profile.retry_policy, FallthroughRetryPolicy)
    assert driver._retrying is mine
    driver.close()


def test_a_forked_child_is_told_not_to_use_a_session_given_to_its_parent(cassandra_session: Session) -> None:
    driver = CassandraDriver(session=cassandra_session)

    def child(answers: Any) -> None:
        try:
            driver.submit(raw("SELECT release_version FROM system.local"))
        except ConfigurationError as error:
            answers.send(str(error))
        driver.close()  # must not touch the parent's sockets
        answers.close()
        os._exit(0)

    receiving, sending = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=child, args=(sending,))
    process.start()
    sending.close()
    assert "Call init_coodie() in the child" in receiving.recv()
    process.join()
    assert driver.submit(raw("SELECT release_version FROM system.local")).items


def test_many_threads_and_loops_share_a_driver(driver: CassandraDriver, hits: Table) -> None:
    async def twenty() -> None:
        await asyncio.gather(*(driver.submit_async(one) for one in increments(hits, 20)))

    def synchronously() -> None:
        for one in increments(hits, 20):
            driver.submit(one)

    threads = [threading.Thread(target=target) for target in (lambda: asyncio.run(twenty()), synchronously) * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert driver.submit(statement(Select(hits))).items[0]["views"] == 160


@pytest.fixture
def _registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(drivers, "_registry", registry.Registry())
    monkeypatch.setattr(drivers, "_default_driver_name", None)
    yield
    for opened in list(drivers._registry.values()):
        opened.close()


@pytest.mark.usefixtures("_registry")
@pytest.mark.parametrize("driver_type", ["cassandra", "scylla", "acsylla", None])
@pytest.mark.parametrize("face", ["sync", "async"])
def test_the_guides_line_reaches_the_server_of_the_environment(
    cassandra: Server, keyspace: str, monkeypatch: pytest.MonkeyPatch, driver_type: str | None, face: str
) -> None:
    monkeypatch.setenv("COODIE_PORT", str(cassandra.port))
    if driver_type is not None:
        monkeypatch.setenv("COODIE_DRIVER", driver_type)
    if face == "sync":
        opened = drivers.init_coodie(hosts=cassandra.hosts, keyspace=keyspace)
    else:
        opened = asyncio.run(drivers.init_coodie_async(hosts=cassandra.hosts, keyspace=keyspace))
    assert drivers.get_driver() is opened
    module = {"scylla": "cassandra", None: "cassandra" if face == "sync" else "acsylla"}.get(driver_type, driver_type)
    assert type(opened).__module__ == f"coodie.drivers.{module}.driver"
    assert opened._default_keyspace == keyspace
    assert opened.submit(raw("SELECT release_version FROM system.local")).items


@pytest.mark.usefixtures("_registry")
@pytest.mark.parametrize("driver_type", ["cassandra", "acsylla"])
def test_a_lazy_connection_keeps_every_option(cassandra: Server, keyspace: str, driver_type: str) -> None:
    options = {"compression": False} if driver_type == "cassandra" else {}
    lazy = drivers.init_coodie(
        cassandra.hosts, keyspace=keyspace, driver_type=driver_type, port=cassandra.port, lazy=True, **options
    )
    assert lazy._opened is None
    assert asyncio.run(lazy.submit_async(raw("SELECT release_version FROM system.local"))).items
    assert type(lazy._opened).__module__ == f"coodie.drivers.{driver_type}.driver"
    if driver_type == "cassandra":
        assert lazy._opened._session.cluster.compression is False
