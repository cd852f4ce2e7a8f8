"""The proxy does to a real node's frames what it says, and what that does to a counter."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import acsylla
import pytest
from cassandra import ConsistencyLevel
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable
from cassandra.connection import ConnectionException
from cassandra.policies import FallthroughRetryPolicy, RetryPolicy, RoundRobinPolicy
from cassandra.query import SimpleStatement

from tests.support.cassandra import Cluster as Nodes
from tests.support.cassandra import Server
from tests.support.proxy import Proxy
from tests.support.session import connected

if TYPE_CHECKING:
    from cassandra.cluster import Session

UPDATE = "SET views = views + ?"


class FirstThen(RoundRobinPolicy):
    """Plans that start with one address: the order is the test's, not chance's."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.address = address

    def make_query_plan(self, working_keyspace: Any = None, query: Any = None) -> list[Any]:
        plan = super().make_query_plan(working_keyspace, query)
        return sorted(plan, key=lambda host: (host.address != self.address, host.address))


@pytest.fixture(scope="module")
def hits(cassandra_session: Session, keyspace: str) -> str:
    """Give the name of a counter table."""
    cassandra_session.execute(f"CREATE TABLE {keyspace}.hits (url text PRIMARY KEY, views counter)")
    return f"{keyspace}.hits"


@pytest.fixture
def proxy(cassandra: Server) -> Iterator[Proxy]:
    with Proxy(cassandra.hosts[0], cassandra.port) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: Proxy) -> Iterator[Session]:
    """Give a session through the proxy that never re-sends."""
    with connected([proxy.address], proxy.port) as session:
        yield session


def views(session: Session, table: str, url: str) -> int:
    """Return the stored total, read past the proxy; 0 where there is no row."""
    row = session.execute(f"SELECT views FROM {table} WHERE url = %s", (url,)).one()
    return row.views if row else 0


def test_an_update_whose_reply_is_lost_is_stored_once(
    client: Session, proxy: Proxy, cassandra_session: Session, hits: str
) -> None:
    update = client.prepare(f"UPDATE {hits} {UPDATE} WHERE url = ?")
    fault = proxy.drop_reply(UPDATE)
    with pytest.raises(ConnectionException):
        client.execute(update, (1, "/lost"))
    assert fault.wait()
    assert proxy.count(UPDATE) == 1
    assert views(cassandra_session, hits, "/lost") == 1


def test_a_request_killed_before_the_node_is_not_stored(
    client: Session, proxy: Proxy, cassandra_session: Session, hits: str
) -> None:
    update = client.prepare(f"UPDATE {hits} {UPDATE} WHERE url = ?")
    fault = proxy.kill_request(UPDATE)
    with pytest.raises(ConnectionException):
        client.execute(update, (1, "/killed"))
    assert fault.wait()
    assert proxy.count(UPDATE) == 0
    assert views(cassandra_session, hits, "/killed") == 0


def test_a_held_reply_arrives_when_it_is_released(
    client: Session, proxy: Proxy, cassandra_session: Session, hits: str
) -> None:
    update = client.prepare(f"UPDATE {hits} {UPDATE} WHERE url = ?")
    fault = proxy.hold_reply(UPDATE)
    future = client.execute_async(update, (1, "/held"))
    assert fault.wait()
    assert views(cassandra_session, hits, "/held") == 1, "the node has applied it"
    assert not future._event.is_set(), "and the client does not know"
    fault.release()
    future.result()


def test_a_replayed_frame_counts_again(client: Session, proxy: Proxy, cassandra_session: Session, hits: str) -> None:
    update = client.prepare(f"UPDATE {hits} {UPDATE} WHERE url = ?")
    fault = proxy.hold_reply(UPDATE)
    fault.release()
    client.execute(update, (1, "/again"))
    assert fault.frame is not None
    proxy.replay(fault.frame)
    assert views(cassandra_session, hits, "/again") == 2


def test_other_statements_pass_while_a_fault_waits_for_its_own(client: Session, proxy: Proxy, hits: str) -> None:
    fault = proxy.drop_reply("no statement holds this")
    client.execute(f"UPDATE {hits} SET views = views + 1 WHERE url = '/other'")
    assert not fault.wait(0)
    assert proxy.count("'/other'") == 1


def test_a_newer_client_steps_down_to_version_4(proxy: Proxy) -> None:
    with Cluster([proxy.address], port=proxy.port) as cluster:
        cluster.connect()
        assert cluster.protocol_version == 4


def test_the_default_policy_says_no_host_though_the_update_is_stored(
    proxy: Proxy, cassandra_session: Session, hits: str
) -> None:
    profiles = {EXEC_PROFILE_DEFAULT: ExecutionProfile(RoundRobinPolicy(), RetryPolicy())}
    with Cluster([proxy.address], port=proxy.port, protocol_version=4, execution_profiles=profiles) as cluster:
        session = cluster.connect()
        update = session.prepare(f"UPDATE {hits} {UPDATE} WHERE url = ?")
        proxy.drop_reply(UPDATE)
        with pytest.raises(NoHostAvailable):
            session.execute(update, (1, "/nohost"))
    assert views(cassandra_session, hits, "/nohost") == 1


def test_acsylla_goes_through_the_proxy_too(proxy: Proxy, cassandra_session: Session, hits: str) -> None:
    async def count_one() -> None:
        session = await acsylla.create_cluster([proxy.address], port=proxy.port).create_session()
        try:
            update = await session.create_prepared(f"UPDATE {hits} {UPDATE} WHERE url = ?")
            bound = update.bind()
            bound.bind_list([1, "/acsylla"])
            bound.set_retry_policy("fallthrough")
            proxy.drop_reply(UPDATE)
            with pytest.raises(acsylla.errors.CassErrorLibRequestTimedOut):
                await session.execute(bound)
        finally:
            await session.close()

    asyncio.run(count_one())
    assert proxy.count(UPDATE) == 1
    assert views(cassandra_session, hits, "/acsylla") == 1


@pytest.mark.parametrize(("policy", "stored"), [(RetryPolicy(), 2), (FallthroughRetryPolicy(), 1)])
def test_the_default_policy_counts_a_lost_reply_twice(cluster3: Nodes, policy: RetryPolicy, stored: int) -> None:
    node = cluster3.nodes[0]
    url = f"/{type(policy).__name__}"
    with connected(cluster3.hosts, cluster3.port) as check, Proxy(node.address, node.port) as proxy:
        replication = "{'class': 'SimpleStrategy', 'replication_factor': 3}"
        check.execute(f"CREATE KEYSPACE IF NOT EXISTS twice WITH replication = {replication}")
        check.execute("CREATE TABLE IF NOT EXISTS twice.hits (url text PRIMARY KEY, views counter)")
        profile = ExecutionProfile(FirstThen(proxy.address), policy, consistency_level=ConsistencyLevel.QUORUM)
        profiles = {EXEC_PROFILE_DEFAULT: profile}
        with Cluster([proxy.address], port=proxy.port, protocol_version=4, execution_profiles=profiles) as cluster:
            session = cluster.connect(wait_for_all_pools=True)  # else the first plan may pass the proxy by
            assert len(cluster.metadata.all_hosts()) == 3
            update = session.prepare(f"UPDATE twice.hits {UPDATE} WHERE url = ?")
            fault = proxy.drop_reply(UPDATE)
            future = session.execute_async(update, (1, url))
            assert fault.wait()
            if stored == 2:
                future.result()  # the driver reports plain success
            else:
                with pytest.raises(ConnectionException):
                    future.result()
        query = SimpleStatement(
            f"SELECT views FROM twice.hits WHERE url = '{url}'", consistency_level=ConsistencyLevel.ALL
        )
        assert check.execute(query).one().views == stored
