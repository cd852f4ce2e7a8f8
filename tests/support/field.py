"""
A field for faults: hit tables of both kinds, reached by both drivers, on one cluster, under one load.

Rules that live here:

* A fault is paid for once: every kind of table and every driver meet it together, each over a connection of its own.
* Tables are made once a cluster; a test keeps to rows under a prefix of its own.
* What is stored is read by a session of the test at consistency ALL: what no read repair has yet brought together would
  show as an error.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import coodie.sync
from aggregator import Aggregator, FlushResult
from coodie.drivers import _registry as registry
from tests.support import oracle
from tests.support.load import Flushes, Load, document
from tests.support.proxy import Proxy
from tests.support.road import Road

if TYPE_CHECKING:
    from cassandra.cluster import Session

DRIVERS = ("cassandra", "acsylla")
WRITES = {"native": '"views" = "views" + ?', "exact": "INSERT INTO"}  # what the text of a write holds, by kind
KINDS = ("native", "exact")
REQUEST_TIMEOUT_S = 3.0  # above the nodes' own 2 s, so that a node's answer comes first
KEYSPACE = "faults"


@dataclass(frozen=True)
class Spot:
    """One table of the field: its kind, its driver and its model."""

    kind: str
    driver: str
    model: type[Any]
    table: str


@dataclass
class Field:
    """Connected tables, and what was accepted for them."""

    session: Session
    spots: list[Spot]
    prefix: str = field(default_factory=lambda: f"/{uuid.uuid4().hex[:8]}")
    flushes: Flushes = field(default_factory=Flushes)

    def aggregator(self, **options: Any) -> Aggregator:
        """Return an aggregator, not started, that flushes often and gives up soon."""
        chosen = {"flush_interval": 0.1, "flush_timeout": 20.0, "consistency": "QUORUM", "on_flush": self.flushes}
        return Aggregator(**{**chosen, **options})

    def load(self, **options: Any) -> Load:
        """Return a load on every table."""
        return Load([spot.model for spot in self.spots], self.prefix, **options)

    def stored(self, spot: Spot) -> Counter[str]:
        """Return the total of each row of this test, as every replica together holds it."""
        return stored(self.session, spot.table, self.prefix)

    def of_kind(self, kind: str) -> list[Spot]:
        """Return the tables of a kind."""
        return [spot for spot in self.spots if spot.kind == kind]

    def only(self, *kinds: str) -> Field:
        """Return a field of some kinds of tables alone, with the same rows."""
        return replace(self, spots=[spot for spot in self.spots if spot.kind in kinds])

    def judge(self, running: Aggregator, load: Load) -> None:
        """Compare what is stored with what was accepted, by the rule of each kind of table."""
        oracle.check_identity(running, {spot.table: load.accepted[spot.model].total() for spot in self.spots})
        for spot in self.spots:
            self.judge_one(running, load, spot)

    def judge_one(self, running: Aggregator, load: Load, spot: Spot) -> None:
        """Compare one table."""
        accepted, found = load.accepted[spot.model], self.stored(spot)
        if spot.kind == "exact":
            oracle.check_exact(accepted, found)
            return
        parked = oracle.unknown_by_row(running, spot.table, "views")
        oracle.check_native(accepted, found, parked, load.mixed())
        oracle.check_column(running, spot.table, "views", found.total())

    def forget(self, running: Aggregator) -> None:
        """Resolve everything parked as it is, so that the aggregator can end without a word."""
        for item in running.unknown():
            running.resolve(item, apply=False)


def rows_kept(running: Aggregator) -> int:
    """Return how many rows the aggregator must remember: those with something pending, in flight or parked."""
    parked = {(item.table, tuple(item.key.values())) for item in running.unknown()}
    return len(parked | set(running.pending()))


def troubled(result: FlushResult) -> bool:
    """Return whether a flush met a failure."""
    return bool(result.errors)


def whole(result: FlushResult) -> bool:
    """Return whether a flush wrote all it had, on every table."""
    return result.statements > 0 and not result.errors


def stored(session: Session, table: str, prefix: str) -> Counter[str]:
    """Return the totals of rows whose url starts with the prefix, summed over writers where there are any."""
    from cassandra import ConsistencyLevel
    from cassandra.query import SimpleStatement

    found: Counter[str] = Counter()
    query = SimpleStatement(f"SELECT url, views FROM {table}", consistency_level=ConsistencyLevel.ALL)
    for row in session.execute(query, timeout=60):
        if row.url.startswith(prefix + "/"):
            found[row.url] += row.views
    return found


def make_keyspace(session: Session, replicas: int, keyspace: str = KEYSPACE) -> None:
    """Make the keyspace of a field."""
    replication = f"{{'class': 'SimpleStrategy', 'replication_factor': {replicas}}}"
    session.execute(f"CREATE KEYSPACE IF NOT EXISTS {keyspace} WITH replication = {replication}")


@contextmanager
def connected(
    hosts: Sequence[str],
    port: int,
    keyspace: str = KEYSPACE,
    drivers: Sequence[str] = DRIVERS,
    credentials: tuple[str, str] | None = None,
) -> Iterator[list[Spot]]:
    """Connect coodie by each driver under its own name, and give the tables there are, made if need be."""
    registry.clear()
    spots = []
    try:
        for driver in drivers:
            connect(driver, hosts, port, keyspace, credentials)
            for kind in KINDS:
                name = f"{kind}_by_{driver}"
                model = document(name, kind, driver)
                model.sync_table()
                spots.append(Spot(kind, driver, model, f"{keyspace}.{name}"))
        yield spots
    finally:
        for opened in list(registry.values()):
            opened.close()
        registry.clear()


def reconnect(driver: str, hosts: Sequence[str], port: int, credentials: tuple[str, str]) -> None:
    """Put a new connection in the place of an old one."""
    old = registry[driver]
    connect(driver, hosts, port, KEYSPACE, credentials)
    old.close()


@contextmanager
def one(driver: str, kind: str, server: Proxy | Road, keyspace: str) -> Iterator[Any]:
    """Connect by one driver along a way that may fail, and give a model on a new table of a kind."""
    registry.clear()
    opened = connect(driver, [server.address], server.port, keyspace)
    try:
        model = document(f"hits_{uuid.uuid4().hex[:8]}", kind, driver)
        model.sync_table()
        yield model
    finally:
        opened.close()
        registry.clear()


def connect(
    driver: str, hosts: Sequence[str], port: int, keyspace: str, credentials: tuple[str, str] | None = None
) -> Any:
    """
    Connect by one driver, under its own name; ``credentials`` are a user and a password.

    Everything by which a client notices that a node is away or back is short: minutes of an outage become seconds.
    """
    options = _of_acsylla(credentials) if driver == "acsylla" else _of_cassandra(credentials)
    return coodie.sync.init_coodie(
        hosts=list(hosts), port=port, keyspace=keyspace, driver_type=driver, name=driver, **options
    )


def _of_acsylla(credentials: tuple[str, str] | None) -> dict[str, Any]:
    user = {} if credentials is None else {"username": credentials[0], "password": credentials[1]}
    return {
        **user,
        "request_timeout": REQUEST_TIMEOUT_S,
        "heartbeat_interval_sec": 1,
        "idle_timeout_sec": 3,
        "constant_reconnect_delay_ms": 500,
    }


def _of_cassandra(credentials: tuple[str, str] | None) -> dict[str, Any]:
    from cassandra.auth import PlainTextAuthProvider
    from cassandra.cluster import EXEC_PROFILE_DEFAULT, ExecutionProfile, default_lbp_factory
    from cassandra.policies import ConstantReconnectionPolicy, FallthroughRetryPolicy
    from cassandra.query import dict_factory

    profile = ExecutionProfile(
        default_lbp_factory(), FallthroughRetryPolicy(), request_timeout=REQUEST_TIMEOUT_S, row_factory=dict_factory
    )
    user = {} if credentials is None else {"auth_provider": PlainTextAuthProvider(*credentials)}
    return {
        **user,
        "execution_profiles": {EXEC_PROFILE_DEFAULT: profile},
        "idle_heartbeat_interval": 1,
        "idle_heartbeat_timeout": 2,
        "reconnection_policy": ConstantReconnectionPolicy(0.5, max_attempts=None),
        "max_schema_agreement_wait": 60,
    }
