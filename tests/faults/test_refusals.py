"""
What the database refuses: a row, a table that is dropped or altered under load, a right revoked, a password rotated.

A refused row is set apart with its reason and everything else flows; a refused table is suspended, keeps its deltas and
is tried again with a growing pause until it is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from aggregator import Aggregator
from tests.support import field, oracle
from tests.support.cassandra import Cluster
from tests.support.field import Field, Spot
from tests.support.load import Load, quiesce
from tests.support.road import Road
from tests.support.session import connected

if TYPE_CHECKING:
    from cassandra.cluster import Session

    from tests.support.cassandra import Server

USER, PASSWORD, NEW_PASSWORD = "app", "first", "second"


@pytest.fixture
def ground(cassandra: Server, cassandra_session: Session, keyspace: str) -> Iterator[Field]:
    """Give a field on the one node."""
    with field.connected(cassandra.hosts, cassandra.port, keyspace) as spots:
        yield Field(cassandra_session, spots)


def test_a_row_that_is_refused_is_set_apart_and_the_rest_flows(ground: Field) -> None:
    with ground.aggregator(flush_interval=None) as running:
        for spot in ground.spots:
            for number in range(25):
                spot.model(url=f"{ground.prefix}/{number}").increment(views=2)
            past_the_door(running, spot, "", 7)  # a key the database refuses, and no call would have let in
        result = running.flush()
        assert result.remaining == 0
        items = {item.table: item for item in running.rejected()}
        assert set(items) == {spot.table for spot in ground.spots}
        for item in items.values():
            assert (item.key, item.deltas) == ({"url": ""}, {"views": 7})
            assert "empty" in item.reason
        for spot in ground.spots:
            assert set(ground.stored(spot).values()) == {2}
            assert len(ground.stored(spot)) == 25
        assert running.stats().dropped == 7 * len(ground.spots)
        assert running.flush().statements == 0


def past_the_door(running: Aggregator, spot: Spot, url: str, units: int) -> None:
    """Put a row into the buffer that ``increment`` refuses."""
    machine: Any = running._machine
    machine.buffer.add(machine.intake.bind(spot.model).held, url, {"views": units})


@pytest.mark.parametrize("kind", field.KINDS)
def test_a_table_dropped_under_load_waits_until_it_is_made_again(
    ground: Field, cassandra_session: Session, kind: str
) -> None:
    dropped, others = ground.of_kind(kind), [spot for spot in ground.spots if spot.kind != kind]
    with ground.aggregator() as running:
        with ground.load(kinds=["up"]) as load:
            ground.flushes.wait(field.whole)
            least = {spot: applied(running, spot) for spot in dropped}
            for spot in dropped:
                cassandra_session.execute(f"DROP TABLE {spot.table}", timeout=60)
            ground.flushes.wait_until(lambda: all(is_suspended(running, spot) for spot in dropped))
            assert running.stats().state == "suspended"
            most = {spot: applied(running, spot) for spot in dropped}
            before = {spot: applied(running, spot) for spot in others}
            ground.flushes.wait_until(lambda: all(applied(running, spot) > before[spot] for spot in others))
            assert most == {spot: applied(running, spot) for spot in dropped}
            for spot in dropped:
                spot.model.sync_table()
            ground.flushes.wait_until(lambda: running.stats().state == "ok")
            ground.flushes.wait(field.whole)
        quiesce(running)
        assert running.stats().dropped == 0
        for spot in others:
            ground.judge_one(running, load, spot)
        for spot in dropped:
            judge_dropped(ground, running, load, spot, least[spot], most[spot])
        ground.forget(running)


def judge_dropped(ground: Field, running: Aggregator, load: Load, spot: Spot, least: int, most: int) -> None:
    """What was applied to the table that is gone is gone; an exact row is whole again, for it is written as a total."""
    accepted, found = load.accepted[spot.model], ground.stored(spot)
    if spot.kind == "exact":
        oracle.check_exact(accepted, found)
    else:
        unknown = oracle.unknown_by_row(running, spot.table, "views").total()
        assert accepted.total() - most - unknown <= found.total() <= accepted.total() - least


def applied(running: Aggregator, spot: Spot) -> int:
    return running.stats().tables[spot.table]["views"].applied


def is_suspended(running: Aggregator, spot: Spot) -> bool:
    """Return whether the flusher waits for this table."""
    machine: Any = running._machine
    return machine.intake.bind(spot.model).held.error is not None


# --- rights and passwords -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded(own_nodes: None) -> Iterator[Cluster]:
    """Give one node of our own that asks who comes, and what they may do."""
    checks = {"authenticator": "PasswordAuthenticator", "authorizer": "CassandraAuthorizer"}
    fresh = {f"{each}_validity": "0ms" for each in ("permissions", "roles", "credentials")}
    with Cluster.start(1, "-XX:TieredStopAtLevel=1", **checks, **fresh) as cluster:
        [node] = cluster.nodes
        node.wait(lambda: "Created default superuser role" in node.log_text(), 60)
        yield cluster


@pytest.fixture
def owner(guarded: Cluster) -> Iterator[Session]:
    """Give the session of a superuser, with a role for the application that may do everything in its keyspace."""
    from cassandra.auth import PlainTextAuthProvider

    with connected(
        guarded.hosts, guarded.port, auth_provider=PlainTextAuthProvider("cassandra", "cassandra")
    ) as session:
        field.make_keyspace(session, 1)
        session.execute(f"CREATE ROLE IF NOT EXISTS {USER} WITH LOGIN = true AND PASSWORD = '{PASSWORD}'")
        session.execute(f"ALTER ROLE {USER} WITH PASSWORD = '{PASSWORD}'")
        session.execute(f"GRANT ALL PERMISSIONS ON KEYSPACE {field.KEYSPACE} TO {USER}")
        yield session


@pytest.mark.parametrize("driver", field.DRIVERS)
def test_a_right_revoked_under_load_suspends_the_table_until_it_is_granted(
    guarded: Cluster, owner: Session, driver: str
) -> None:
    with field.connected(guarded.hosts, guarded.port, drivers=[driver], credentials=(USER, PASSWORD)) as spots:
        ground = Field(owner, spots)
        with ground.aggregator() as running:
            with ground.load() as load:
                ground.flushes.wait(field.whole)
                owner.execute(f"REVOKE MODIFY ON KEYSPACE {field.KEYSPACE} FROM {USER}")
                for spot in spots:  # whoever made a table may do everything with it
                    owner.execute(f"REVOKE MODIFY ON TABLE {spot.table} FROM {USER}")
                ground.flushes.wait_until(lambda: all(is_suspended(running, spot) for spot in spots))
                stats = running.stats()
                assert stats.state == "suspended"
                assert stats.retry_in_s is not None
                assert "no MODIFY permission" in str(stats.last_error)
                flushes = len(ground.flushes.results)
                ground.flushes.wait_until(lambda: running.stats().increments > stats.increments + 1000)
                assert len(ground.flushes.results) - flushes <= 2 + 4 * len(spots)  # the pause grows
                owner.execute(f"GRANT MODIFY ON KEYSPACE {field.KEYSPACE} TO {USER}")
                ground.flushes.wait_until(lambda: running.stats().state == "ok")
            quiesce(running)
            stats = running.stats()
            assert (stats.unknown, stats.dropped) == (0, 0)
            ground.judge(running, load)


@pytest.mark.parametrize("driver", field.DRIVERS)
def test_deltas_outlive_a_password_that_was_changed(guarded: Cluster, owner: Session, driver: str) -> None:
    with (
        Road(guarded.hosts[0], guarded.port) as road,
        field.connected([road.address], road.port, drivers=[driver], credentials=(USER, PASSWORD)) as spots,
    ):
        ground = Field(owner, spots)
        with ground.aggregator() as running:
            with ground.load() as load:
                ground.flushes.wait(field.whole)
                owner.execute(f"ALTER ROLE {USER} WITH PASSWORD = '{NEW_PASSWORD}'")
                road.cut()
                road.mend()
                ground.flushes.wait_until(lambda: running.stats().state == "backing_off")
                refused = running.stats()
                ground.flushes.wait_until(lambda: running.stats().increments > refused.increments + 500)
                assert running.stats().applied == refused.applied
                field.reconnect(driver, [road.address], road.port, (USER, NEW_PASSWORD))
                ground.flushes.wait(field.whole)
            quiesce(running)
            ground.judge(running, load)
            ground.forget(running)
