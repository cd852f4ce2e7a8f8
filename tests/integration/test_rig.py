"""The rig the other tests stand on: a Cassandra that starts, answers, is broken on purpose and leaves nothing."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cassandra import ConsistencyLevel
from cassandra.query import SimpleStatement

from tests.support import frames
from tests.support.cassandra import Cluster, Server
from tests.support.session import connected

if TYPE_CHECKING:
    from cassandra.cluster import Session

ROOT = Path(__file__).parents[2]


def test_a_counter_written_to_the_keyspace_is_read_back(cassandra_session: Session, keyspace: str) -> None:
    cassandra_session.execute(f"CREATE TABLE {keyspace}.hits (url text PRIMARY KEY, views counter)")
    for _ in range(3):
        cassandra_session.execute(f"UPDATE {keyspace}.hits SET views = views + 2 WHERE url = '/home'")
    assert cassandra_session.execute(f"SELECT views FROM {keyspace}.hits").one().views == 6


def test_the_server_of_the_run_answers_on_every_host(cassandra: Server) -> None:
    assert all(frames.answers(host, cassandra.port) for host in cassandra.hosts)


def test_a_killed_node_comes_back_with_what_it_stored(cluster3: Cluster) -> None:
    node = cluster3.nodes[2]
    with connected(cluster3.hosts, cluster3.port) as session:
        session.execute("CREATE KEYSPACE kept WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 3}")
        session.execute("CREATE TABLE kept.hits (url text PRIMARY KEY, views counter)")
        session.execute("UPDATE kept.hits SET views = views + 7 WHERE url = '/home'")
        node.restart()
        cluster3.wait_connected()
        read = SimpleStatement("SELECT views FROM kept.hits", consistency_level=ConsistencyLevel.ALL)
        assert session.execute(read).one().views == 7


def test_a_paused_node_accepts_connections_and_answers_none(cluster3: Cluster) -> None:
    node = cluster3.nodes[1]
    node.pause()
    assert node.pid is not None
    assert not frames.answers(node.address, node.port, seconds=0.3)
    node.resume()
    node.wait(lambda: frames.answers(node.address, node.port), 30)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_node_outlives_the_program_that_started_it(own_nodes: None, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "tests.support.cassandra"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as program:
        assert program.stdout is not None
        (node,) = json.loads(program.stdout.readline())["pids"]
        options = Path(f"/proc/{node}/cmdline").read_text().split("\0")
        (folder,) = (option.partition("=")[2] for option in options if option.startswith("-Dcassandra.storagedir="))
        children = Path(f"/proc/{program.pid}/task/{program.pid}/children").read_text().split()
        assert str(node) in children
        processes = [os.pidfd_open(int(child)) for child in children]  # the node and its watchdog
        program.send_signal(number)
        for process in processes:
            assert select.select([process], [], [], 30)[0], "it still runs"
            os.close(process)
    assert not Path(folder).exists()
