"""The field that faults are done to: tables of both kinds, reached by both drivers, on three nodes of our own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

import aggregator
from tests.support import field
from tests.support.cassandra import Cluster
from tests.support.field import Field
from tests.support.session import connected

if TYPE_CHECKING:
    from cassandra.cluster import Session


@pytest.fixture(autouse=True)
def nothing_left_started() -> Iterator[None]:
    """End what a test that failed left started, or every test after it would fail too."""
    yield
    started = aggregator.current()
    if started is not None:
        started.shutdown(timeout=1)


@pytest.fixture
def nodes_session(cluster3: Cluster) -> Iterator[Session]:
    """Give a session on the three nodes, for arranging and checking."""
    with connected(cluster3.hosts, cluster3.port, seconds=60) as session:
        yield session


@pytest.fixture
def ground(cluster3: Cluster, nodes_session: Session) -> Iterator[Field]:
    """Give a field on the three nodes."""
    field.make_keyspace(nodes_session, 3)
    with field.connected(cluster3.hosts, cluster3.port) as spots:
        yield Field(nodes_session, spots)
