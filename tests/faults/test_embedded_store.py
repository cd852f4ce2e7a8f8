"""
The embedded store under the aggregator: locked by another process, read by others, its log gone after a crash.

Exact on both kinds of tables: what a flush adds and the mark that it did are one transaction. That it survives SIGKILL
at any instant is shown in ``tests/processes``.
"""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

import coodie.sync
from aggregator import Aggregator
from coodie.drivers import _registry as registry
from coodie.drivers.sqlite import opening, pool
from tests.support import field, oracle
from tests.support.load import Flushes, Load, document, quiesce

ROOT = Path(__file__).parents[2]
TABLE = "hits"
ROWS = [f"/{number}" for number in range(50)]


@pytest.fixture(params=field.KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "hits.db"


@contextmanager
def opened(path: Path, kind: str) -> Iterator[Any]:
    """Give a model on an embedded store."""
    registry.clear()
    driver = coodie.sync.init_coodie(driver_type="sqlite", database=str(path))
    try:
        model = document(TABLE, kind)
        model.sync_table()
        yield model
    finally:
        driver.close()
        registry.clear()


def stored(path: Path) -> Counter[str]:
    """Return the totals, read without coodie."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return Counter(dict(connection.execute(f"SELECT url, sum(views) FROM {TABLE} GROUP BY url")))


@contextmanager
def held_by_another_process(path: Path) -> Iterator[None]:
    """Have a process hold the store's write lock."""
    program = [sys.executable, "-m", "tests.support.sqlite_processes", "hold", str(path)]
    with subprocess.Popen(program, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield
        holder.communicate("go\n")


@contextmanager
def read_by_another(path: Path) -> Iterator[None]:
    """Hold what a reader has once seen."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        connection.execute(f"SELECT count(*) FROM {TABLE}").fetchone()
        yield
        connection.execute("COMMIT")


def test_a_store_locked_by_another_process_is_waited_for(
    path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "BUSY_TIMEOUT_S", 0.1)
    monkeypatch.setattr(pool, "BUSY_TIMEOUT_S", 0.1)
    flushes = Flushes()
    with opened(path, kind) as hits, Aggregator(flush_interval=0.02, on_flush=flushes) as running:
        with Load([hits], "") as load:
            flushes.wait(field.whole)
            with held_by_another_process(path):
                flushes.wait_until(lambda: running.stats().state == "backing_off")
                tried = running.stats().flush_errors
                flushes.wait_until(lambda: running.stats().flush_errors > tried)
            flushes.wait(field.whole)
        quiesce(running)
        assert running.unknown() == []
        oracle.check_identity(running, {TABLE: load.accepted[hits].total()})
    oracle.check_exact(load.accepted[hits], stored(path))


def test_a_reader_holds_up_nothing(path: Path, kind: str) -> None:
    flushes = Flushes()
    with opened(path, kind) as hits, Aggregator(flush_interval=0.02, on_flush=flushes) as running:
        with Load([hits], "") as load:
            flushes.wait(field.whole)
            with read_by_another(path):
                for _ in range(5):
                    flushes.wait(field.whole)
        quiesce(running)
        assert running.stats().flush_errors == 0
    oracle.check_exact(load.accepted[hits], stored(path))


def test_a_store_whose_log_was_deleted_holds_whole_flushes_and_is_counted_on(path: Path, kind: str) -> None:
    crashed = path.with_name("crashed.db")
    with opened(path, kind) as hits, Aggregator(flush_interval=None) as running:
        for _ in range(20):
            for row in ROWS:
                hits(url=row).increment(views=1)
            quiesce(running)
            with closing(sqlite3.connect(path)) as connection:
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        for row in ROWS:
            hits(url=row).increment(views=1)
        quiesce(running)
        shutil.copyfile(path, crashed)  # as after a crash and `rm *-wal`: what the log alone held is gone
    before = stored(crashed)
    assert set(before.values()) == {20}
    assert set(stored(path).values()) == {21}
    with opened(crashed, kind) as hits, Aggregator(flush_interval=None) as running:
        for row in ROWS:
            hits(url=row).increment(views=5)
        quiesce(running)
    oracle.check_exact(dict.fromkeys(ROWS, 25), stored(crashed))
