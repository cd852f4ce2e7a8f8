"""
The fixtures that give tests a Cassandra, and what pytest says about it.

Rules that live here:

* Nothing is started before the first test that asks for it; one cluster serves the whole run.
* A test that asks for it is marked ``cassandra``; one that does so by ``getfixturevalue`` marks itself.
* Where there is none, the tests are skipped and the summary says so once, in red; with ``CI`` set the run fails.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.support.cassandra import Cluster, NotAvailable, Server, jars, obtain

if TYPE_CHECKING:
    from cassandra.cluster import Session

_FIXTURES = {"cassandra", "cassandra_session", "keyspace", "own_nodes"}
_SHORT_LIVED = ("-XX:TieredStopAtLevel=1",)  # such nodes live for seconds: the second compiler costs more than it gives
_FAULTY = {
    "phi_convict_threshold": 5,  # a node that is gone is missed after 11 s, not 18
    # Each write is on disk before it is answered. With the usual periodic sync a killed leader of a counter forgets its
    # last 0.1 s and counts again from there: what it had acknowledged is gone, whatever the client did.
    "commitlog_sync": "batch",
    "commitlog_sync_period": "0ms",
}
_missing = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let long versions of the tests that repeat something be asked for."""
    parser.addoption("--rounds", type=int, help="how often tests kill or fork a process (default: each its own number)")
    parser.addoption("--seeds", type=int, default=10_000, help="histories of the simulation to play (default: 10,000)")
    parser.addoption("--seed", type=int, help="the one history of the simulation to play")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line("markers", "cassandra: needs a real Cassandra (set by itself on users of its fixtures)")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that asks for a Cassandra."""
    for item in items:
        if _FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.cassandra)


@pytest.fixture(scope="session")
def tell(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Give a function that writes a line to the terminal, past pytest's capture."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    reporter = pytestconfig.pluginmanager.getplugin("terminalreporter")

    def write(line: str) -> None:
        with capture.global_and_fixture_disabled():
            reporter.ensure_newline()
            reporter.write_line(line)

    return write


@pytest.fixture(scope="session")
def cassandra(pytestconfig: pytest.Config, tell: Callable[[str], None]) -> Iterator[Server]:
    """Give a running Cassandra (``hosts``, ``port``), the same for the whole run."""
    with _skipping(pytestconfig):
        server = obtain(tell)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def cassandra_session(cassandra: Server) -> Iterator[Session]:
    """Give a cassandra-driver session that never re-sends, for arranging and checking."""
    from tests.support.session import connected

    with connected(cassandra.hosts, cassandra.port) as session:
        yield session


@pytest.fixture(scope="module")
def keyspace(cassandra_session: Session) -> Iterator[str]:
    """Give the name of a fresh keyspace, dropped after the module's last test."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    replication = "{'class': 'SimpleStrategy', 'replication_factor': 1}"
    cassandra_session.execute(f"CREATE KEYSPACE {name} WITH replication = {replication}")
    yield name
    cassandra_session.execute(f"DROP KEYSPACE {name}", timeout=60)


@pytest.fixture(scope="session")
def own_nodes(pytestconfig: pytest.Config) -> None:
    """Skip the test where this machine cannot run nodes of its own (``Cluster``)."""
    with _skipping(pytestconfig):
        jars.java()
        jars.jars()


@pytest.fixture(scope="session")
def _three_nodes(own_nodes: None, tell: Callable[[str], None]) -> Iterator[Cluster]:
    cluster = Cluster.start(3, *_SHORT_LIVED, **_FAULTY)
    tell(f"Three nodes for faults: {', '.join(cluster.hosts)} port {cluster.port}")
    with cluster:
        yield cluster


@pytest.fixture
def cluster3(_three_nodes: Cluster) -> Iterator[Cluster]:
    """Give three nodes of our own to pause, kill and restart (about 25 s at first use); mended after each test."""
    yield _three_nodes
    _three_nodes.mend()


@contextmanager
def _skipping(config: pytest.Config) -> Iterator[None]:
    """Turn NotAvailable into a skip, and keep its reason for the summary."""
    try:
        yield
    except NotAvailable as missing:
        config.stash[_missing] = str(missing)
        pytest.skip(f"no Cassandra: {missing}")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run of the CI that could not run its Cassandra tests."""
    if _missing in session.config.stash and _is_ci():
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say once, so that nobody misses it, that the Cassandra tests did not run, and why."""
    reason = config.stash.get(_missing, None)
    if reason is None:
        return
    unrun = [report for report in terminalreporter.stats.get("skipped", ()) if "no Cassandra: " in str(report.longrepr)]
    terminalreporter.section("CASSANDRA TESTS NOT RUN", red=True, bold=True)
    terminalreporter.write_line(f"{len(unrun)} tests need a Cassandra and did not run: {reason}", red=True)
    if _is_ci():
        terminalreporter.write_line("CI is set, so this run has failed.", red=True)


def _is_ci() -> bool:
    return os.environ.get("CI", "").lower() in ("1", "true", "yes")
