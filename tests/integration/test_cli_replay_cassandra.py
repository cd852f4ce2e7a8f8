"""``aggregator replay`` on a real Cassandra, through both drivers."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from aggregator.cli.access_log import target
from tests.integration.processes import run
from tests.support.cassandra import Server

if TYPE_CHECKING:
    from cassandra.cluster import Session

DRIVERS = ["cassandra"] if sys.platform != "linux" else ["cassandra", "acsylla"]
LINE = b'10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET %b HTTP/1.1" 200 5 "-" "-"\n'
LOG = b"".join(LINE % b"/%d?q=%%20" % (number * number % 1000) for number in range(10_000))


class Replay:
    def __init__(self, server: Server, keyspace: str, driver: str, directory: Path) -> None:
        self.directory = directory
        where = ["--hosts", ",".join(server.hosts), "--port", str(server.port), "--driver", driver]
        self.command = ["-m", "aggregator", "replay", "access.log", "--json", *where]
        self.keyspace = keyspace
        (directory / "access.log").write_bytes(LOG)

    # acsylla leaves the sockets by which it wakes its loop to the garbage collector.
    def __call__(self, *arguments: str, keyspace: str = "", **extra: str) -> tuple[int, Any, list[str]]:
        command = [*self.command, "--keyspace", keyspace or self.keyspace, *arguments]
        done = run(command, self.directory, b"", PYTHONWARNINGS="ignore::ResourceWarning", **extra)
        out = json.loads(done.stdout) if done.stdout else None
        return done.returncode, out, done.stderr.decode().splitlines()


@pytest.fixture(params=DRIVERS)
def replay(request: pytest.FixtureRequest, cassandra: Server, keyspace: str, tmp_path: Path) -> Replay:
    return Replay(cassandra, keyspace, request.param, tmp_path)


def test_totals_are_exact_and_double(
    replay: Replay, cassandra_session: Session, request: pytest.FixtureRequest
) -> None:
    """With several workers; each run verifies against what was there before."""
    table = f"hits_{request.node.callspec.params['replay']}"
    expected = Counter(url for url in map(target, LOG.splitlines()) if url is not None)
    for times in (1, 2):
        code, result, errors = replay("--table", table, "--workers", "2", "--verify")
        assert (code, errors) == (0, [])
        assert (result["hits"], result["keys"], result["verified"]) == (10_000, len(expected), True)
        assert result["statements"] <= len(expected) * result["flushes"]
        rows = cassandra_session.execute(f"SELECT url, views FROM {replay.keyspace}.{table}")
        assert {row.url: row.views for row in rows} == {url: times * count for url, count in expected.items()}


def test_a_keyspace_that_does_not_exist(replay: Replay) -> None:
    code, _, errors = replay(keyspace="no_such_keyspace")
    assert code == 1
    assert len(errors) == 1, errors
    assert "no_such_keyspace" in errors[0]


def test_a_table_of_another_shape(replay: Replay, cassandra_session: Session, request: pytest.FixtureRequest) -> None:
    """A counter table with another key."""
    table = f"other_{request.node.callspec.params['replay']}"
    cassandra_session.execute(
        f"CREATE TABLE {replay.keyspace}.{table} (url text, day date, views counter, PRIMARY KEY (url, day))"
    )
    code, _, errors = replay("--table", table)
    assert code == 1
    assert len(errors) == 1, errors
    assert "has another shape" in errors[0]


def test_a_flush_timeout_below_the_request_timeout_is_a_wrong_call(replay: Replay) -> None:
    """Found at the first hit; said alone, and nothing is blamed on the log."""
    code, out, errors = replay(AGGREGATOR_FLUSH_TIMEOUT="1")
    assert (code, out) == (2, None)
    assert len(errors) == 1, errors
    assert errors[0].startswith("aggregator: flush_timeout=1.0 with a driver whose request_timeout is ")
