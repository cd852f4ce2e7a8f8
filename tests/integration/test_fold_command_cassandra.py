"""``aggregator journal recover`` and ``aggregator fold`` on a real Cassandra, through both drivers."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from coodie import drivers
from coodie.connections import driver_of
from coodie.cql import render
from coodie.statement import CreateTable, Statement
from coodie.sync import init_coodie
from tests.contract.stores import fresh
from tests.integration.processes import run
from tests.support.cassandra import Server
from tests.support.writers import Process, hits, stored

DRIVERS = ["cassandra"] if sys.platform != "linux" else ["cassandra", "acsylla"]
DAY = datetime(2024, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("is_qualified", [True, False])
def test_what_dead_processes_left_is_written_and_becomes_one_writer(
    cassandra: Server, keyspace: str, driver: str, is_qualified: bool, tmp_path: Path
) -> None:
    table = hits(fresh("hits"), keyspace)
    store = init_coodie(hosts=cassandra.hosts, port=cassandra.port, keyspace=keyspace, driver_type="cassandra")
    try:
        driver_of().submit(Statement(CreateTable(table.stored), render=render))
        processes = [Process(tmp_path / "journal", table) for _ in range(2)]
        for process in processes:
            process.add(("ü", DAY), views=4)
        for process in processes:
            process.die()
        where = ["--hosts", ",".join(cassandra.hosts), "--port", str(cassandra.port), "--keyspace", keyspace]
        name = table.full_name if is_qualified else table.name
        for command in (["journal", "recover", "journal"], ["fold", name, "--journal", "journal"]):
            # acsylla leaves the sockets by which it wakes its loop to the garbage collector.
            done = run(
                ["-m", "aggregator", *command, *where, "--driver", driver],
                tmp_path,
                PYTHONWARNINGS="ignore::ResourceWarning",
            )
            assert (done.returncode, done.stderr) == (0, b""), done.stdout.decode()
        assert done.stdout.decode() == f"1 rows merged, 1 writers gone\ngone: {processes[1].writer}\n"
        assert stored(driver_of(), table) == ({("ü", DAY): {"views": 8, "likes": 0}}, {processes[0].writer: 1})
    finally:
        store.close()
        drivers._registry.clear()
