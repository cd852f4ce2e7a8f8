"""``aggregator doctor`` at a real Cassandra: its clock, its tables, rows that something else removed."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from coodie import drivers
from coodie.sync import init_coodie
from tests.integration.processes import run
from tests.integration.test_cli_doctor import MODELS, Hits
from tests.support.cassandra import Server
from tests.support.writers import Process, hits

if TYPE_CHECKING:
    from cassandra.cluster import Session

DRIVERS = ["cassandra"] if sys.platform != "linux" else ["cassandra", "acsylla"]
DAY = datetime(2024, 5, 1, tzinfo=UTC)
CLOCK = [str(path) for path in Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")]


class Doctor:
    """The command at a keyspace that holds a table of hits, and a journal of a process that wrote three rows."""

    def __init__(self, server: Server, keyspace: str, directory: Path) -> None:
        self.directory = directory
        self._where = ["--hosts", ",".join(server.hosts), "--port", str(server.port), "--keyspace", keyspace]

    def __call__(self, driver: str = "cassandra", **environ: str) -> Any:
        """Return the checks by name; one that came more than once is the last."""
        models = ["--models", f"{MODELS}:Hits", "--journal", "journal", "--json"]
        # acsylla leaves the sockets by which it wakes its loop to the garbage collector.
        quiet = {"PYTHONWARNINGS": "ignore::ResourceWarning", **environ}
        done = run(["-m", "aggregator", "doctor", *self._where, "--driver", driver, *models], self.directory, **quiet)
        assert done.stdout, done.stderr.decode()
        return {each["check"]: each for each in json.loads(done.stdout)["checks"]}


@pytest.fixture
def doctor(cassandra: Server, cassandra_session: Session, keyspace: str, tmp_path: Path) -> Doctor:
    cassandra_session.execute(f"DROP TABLE IF EXISTS {keyspace}.hits")
    store = init_coodie(hosts=cassandra.hosts, port=cassandra.port, keyspace=keyspace, driver_type="cassandra")
    try:
        Hits.sync_table()
        process = Process(tmp_path / "journal", hits("hits", keyspace))
        for number in range(3):
            process.add((f"site{number}", DAY), views=number + 1)
        process.flush()
        process.slot.close()
    finally:
        store.close()
        drivers._registry.clear()
    return Doctor(cassandra, keyspace, tmp_path)


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_server_that_is_well(doctor: Doctor, driver: str) -> None:
    found = doctor(driver)
    for name in ("connection", "clock", "table", "writers", "stored"):
        assert found[name]["result"] == "ok", found[name]
    assert "3 rows are stored as the journal has them" in found["stored"]["text"]
    assert "at most 1 rows of writers" in found["writers"]["text"]


@pytest.mark.skipif(not CLOCK, reason="needs libfaketime, to run the command by another clock")
def test_a_clock_that_is_ahead(doctor: Doctor) -> None:
    found = doctor(LD_PRELOAD=CLOCK[0], FAKETIME="+400s", DONT_FAKE_MONOTONIC="1")["clock"]
    assert found["result"] == "finding"
    assert found["text"].startswith(("this machine's is 400.", "this machine's is 399."))
    assert "exact tables are not written from here" in found["text"]


def test_a_table_that_something_else_changed(doctor: Doctor, cassandra_session: Session, keyspace: str) -> None:
    cassandra_session.execute(f"TRUNCATE {keyspace}.hits")
    cassandra_session.execute(f"ALTER TABLE {keyspace}.hits WITH default_time_to_live = 60")
    found = doctor()
    assert found["stored"]["text"].startswith(
        f"{keyspace}.hits, slot-0000: 3 of 3 rows that were written are not stored"
    )
    assert "default_time_to_live" in found["table"]["text"]
    assert found["table"]["result"] == "finding"
