"""One row that is hit by everyone, and more rows than the buffer may hold."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from aggregator import Aggregator
from tests.support import field
from tests.support.load import quiesce
from tests.support.proxy import Proxy

if TYPE_CHECKING:
    from cassandra.cluster import Session

    from tests.support.cassandra import Server

ROOT = Path(__file__).parents[2]
THREADS, TIMES = 4, 50_000
MEBIBYTE = 1 << 20


@pytest.mark.parametrize("kind", field.KINDS)
@pytest.mark.parametrize("driver", field.DRIVERS)
def test_a_hot_row_costs_one_statement_a_flush(
    cassandra: Server, cassandra_session: Session, keyspace: str, driver: str, kind: str
) -> None:
    def count(hits: type) -> None:
        for _ in range(TIMES):
            hits(url="/hot").increment(views=1)

    with (
        Proxy(cassandra.hosts[0], cassandra.port) as proxy,
        field.one(driver, kind, proxy, keyspace) as hits,
        Aggregator(flush_interval=0.05) as running,
    ):
        threads = [threading.Thread(target=count, args=(hits,)) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        quiesce(running)
        stats = running.stats()
        assert (stats.applied, stats.unknown) == (THREADS * TIMES, 0)
        assert stats.statements == stats.flushes
        assert proxy.count(field.WRITES[kind]) <= stats.statements + 1  # and one to prepare it
        assert field.stored(cassandra_session, f"{keyspace}.{hits.Settings.name}", "").total() == THREADS * TIMES


# Exact: each row that comes when others were let go is first asked for, which takes twice the time.
@pytest.mark.parametrize(("kind", "rows"), [("native", 1_000_000), ("exact", 250_000)])
def test_a_million_rows_pass_through_a_bounded_buffer(tmp_path: Path, kind: str, rows: int) -> None:
    program = [sys.executable, "-m", "tests.support.million", str(tmp_path / "hits.db"), kind, str(rows)]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    told = json.loads(done.stdout)
    assert told["stored"] == [rows, 2 * rows]
    assert told["rows_most"] <= told["max_keys"]
    # 20,000 rows may be held, at some hundred bytes each; a million would be a multiple of this.
    assert told["grown"] < 60 * MEBIBYTE, told
