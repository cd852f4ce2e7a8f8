"""Forked children with connections that coodie opened: they open their own, and the parent's go on, on a Cassandra."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cassandra.cluster import Session

from tests.support.cassandra import Server
from tests.support.fork_processes import IN_CHILD, TABLE

ROOT = Path(__file__).parents[2]
SECONDS = 300


@pytest.fixture
def _table(cassandra_session: Session, keyspace: str) -> Iterator[None]:
    cassandra_session.execute(f"CREATE TABLE {keyspace}.{TABLE} (url text PRIMARY KEY, views counter)")
    yield
    cassandra_session.execute(f"DROP TABLE {keyspace}.{TABLE}")


@pytest.fixture(params=["cassandra", "acsylla"])
def program(request: pytest.FixtureRequest, cassandra: Server, keyspace: str, _table: None) -> Any:
    """Give a function that runs a program of tests.support.fork_processes and returns what it printed."""

    def run(name: str) -> dict[str, Any]:
        place = (cassandra.hosts[0], str(cassandra.port), keyspace)
        command = [sys.executable, "-m", "tests.support.fork_processes", name, request.param, *place]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    return run


def test_children_use_the_connection_and_the_parent_goes_on(program: Any) -> None:
    found = program("forks")
    assert found["codes"] == [7]
    assert found["child"] == 6 * IN_CHILD
    assert found["told"] == {"APPLIED": found["parent"]}  # no request of the parent's was lost or sent twice


def test_a_fork_while_the_connection_is_being_opened(program: Any) -> None:
    assert program("at_any_instant") == {"codes": [7], "child": 4 * IN_CHILD}


def test_children_that_end_or_close_without_using_the_connection(program: Any) -> None:
    found = program("idle")
    assert found["codes"] == [7]
    assert found["child"] == 3 * IN_CHILD
    assert found["told"] == {"APPLIED": found["parent"]}
