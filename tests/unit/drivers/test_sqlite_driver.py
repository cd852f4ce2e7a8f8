"""The embedded store as a whole: opening, threads and loops, locks, failed commits, statements given as text."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from coodie.drivers.sqlite import SQLiteDriver, flush
from coodie.exceptions import (
    ConfigurationError,
    InvalidQueryError,
    MaybeApplied,
    NotApplied,
    Rejected,
    RowRejected,
    TableRejected,
)
from coodie.statement import APPLIED, Fate, ReadColumns, Select, Statement
from tests.support.sqlite import ADD, ADD_VIEWS, HITS, insert, make, select, totals, write


@pytest.fixture
def path(tmp_path):
    return tmp_path / "hits.db"


@pytest.fixture
def driver(path):
    opened = SQLiteDriver(path)
    make(opened, HITS)
    yield opened
    opened.close()


@pytest.fixture
def in_memory():
    opened = SQLiteDriver(":memory:")
    make(opened, HITS)
    yield opened
    opened.close()


# --- opening ------------------------------------------------------------------------------------------------------


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"folder .*nowhere' does not exist; create it"):
        SQLiteDriver(tmp_path / "nowhere" / "hits.db")


def test_a_folder_is_no_database(tmp_path):
    with pytest.raises(ConfigurationError, match="is a folder"):
        SQLiteDriver(str(tmp_path))


@pytest.mark.parametrize("database", ["", "a\0b"])
def test_what_is_no_path_is_refused(database):
    with pytest.raises(ConfigurationError, match="no path"):
        SQLiteDriver(database)


def test_a_file_that_is_no_database_is_named_and_left_alone(path):
    path.write_text("these are my notes, not a database " * 50)
    with pytest.raises(ConfigurationError, match=r"hits\.db' is not a SQLite database"):
        SQLiteDriver(path)
    assert path.read_text().startswith("these are my notes")


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder in which nobody may make files")
def test_a_folder_that_cannot_be_written_is_named():
    with pytest.raises(ConfigurationError, match=r"/proc/self/hits\.db' cannot be opened"):
        SQLiteDriver("/proc/self/hits.db")


def test_an_old_sqlite_is_refused(monkeypatch):
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 36, 0))
    with pytest.raises(ConfigurationError, match=r"needs 3\.37"):
        SQLiteDriver(":memory:")


def test_the_file_stays_the_same_when_the_working_directory_changes(path, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    driver = SQLiteDriver("hits.db")
    make(driver, HITS)
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    with ThreadPoolExecutor(4) as threads:  # more connections are opened now
        list(threads.map(lambda n: insert(driver, HITS, url=f"/{n}"), range(8)))
    driver.close()
    assert path.exists()
    assert not Path("hits.db").exists()


def test_a_commit_is_on_the_disk_before_it_is_told(driver):
    assert driver.execute_one("SELECT synchronous FROM pragma_synchronous", ()) == 2
    assert driver.execute_one("SELECT journal_mode FROM pragma_journal_mode", ()) == "wal"


def test_no_keyspace_is_needed(in_memory):
    assert in_memory.needs_keyspace is False
    assert SQLiteDriver(":memory:", "ks")._default_keyspace == "ks"
    assert ":memory:" in repr(in_memory)


# --- threads and loops --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["driver", "in_memory"])
def test_threads_and_tasks_add_exactly(kind, request):
    driver = request.getfixturevalue(kind)

    def in_thread(number):
        for n in range(25):
            driver.submit(ADD.with_values((1, number, f"/{n % 5}")))
        return write(driver, [(ADD_VIEWS, (1, f"/{n % 5}")) for n in range(500)])

    async def in_loop():
        await asyncio.gather(*(driver.submit_async(ADD.with_values((1, 0, f"/{n % 5}"))) for n in range(200)))

    with ThreadPoolExecutor(9) as threads:
        loop = threads.submit(asyncio.run, in_loop())
        for outcomes in threads.map(in_thread, range(8)):
            assert set(outcomes) == {APPLIED}
        loop.result()
    views = 8 * 5 + 8 * 100 + 40
    assert totals(driver) == {f"/{n}": (views, 5 * sum(range(8))) for n in range(5)}


def test_a_read_does_not_wait_for_a_writer_of_another_connection(driver, path):
    driver.submit(ADD_VIEWS.with_values((1, "/a")))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert totals(driver) == {"/a": (1, 0)}
    other.execute("ROLLBACK")
    other.close()


def test_an_async_read_does_not_wait_for_an_async_write(driver, path):
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")

    async def main():
        writing = asyncio.create_task(driver.submit_async(ADD_VIEWS.with_values((1, "/a"))))
        await asyncio.sleep(0)
        rows = await driver.submit_async(Statement(Select(HITS)))
        assert rows.items == []
        assert not writing.done()
        other.execute("ROLLBACK")
        await writing

    asyncio.run(main())
    other.close()
    assert totals(driver) == {"/a": (1, 0)}


def test_a_lock_that_stays_is_told_as_not_applied(driver, path):
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    with pytest.raises(NotApplied, match="locked") as caught:
        driver.submit(Statement(ADD_VIEWS.shape, (1, "/a"), timeout=0.05))
    assert isinstance(caught.value, sqlite3.OperationalError)
    assert time.monotonic() - began < 4.0  # the timeout of the call, not the five seconds of the driver
    other.execute("ROLLBACK")
    other.close()
    driver.submit(ADD_VIEWS.with_values((1, "/a")))
    assert totals(driver) == {"/a": (1, 0)}


def test_a_thread_that_keeps_writing_bounds_the_wait_of_others(driver):
    with driver._pool.writing(), pytest.raises(NotApplied, match="other threads"):
        driver.submit(Statement(ADD_VIEWS.shape, (1, "/a"), timeout=0.01))
    assert totals(driver) == {}


def test_closing_finishes_what_was_begun_and_refuses_the_rest(driver):
    async def main():
        begun = [asyncio.create_task(driver.submit_async(ADD_VIEWS.with_values((1, "/a")))) for _ in range(20)]
        await asyncio.sleep(0)
        await driver.close_async()
        await asyncio.gather(*begun)
        with pytest.raises(ConfigurationError, match="closed"):
            await driver.submit_async(Statement(Select(HITS)))

    asyncio.run(main())
    with pytest.raises(ConfigurationError, match="closed"):
        driver.submit(Statement(Select(HITS)))
    reopened = SQLiteDriver(driver._pool.database)
    assert totals(reopened) == {"/a": (20, 0)}
    reopened.close()


def test_closing_leaves_one_file(driver, path):
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda _: totals(driver), range(20)))
    write(driver, [(ADD, (1, 1, "/a"))])
    driver.close()
    assert [file.name for file in path.parent.iterdir()] == ["hits.db"]


def test_a_driver_that_is_dropped_closes_its_file(path):
    dropped = SQLiteDriver(path)
    make(dropped, HITS)
    del dropped
    gc.collect()
    assert [file.name for file in path.parent.iterdir()] == ["hits.db"]


# --- a COMMIT that fails ------------------------------------------------------------------------------------------


class LostReply(sqlite3.Connection):
    """A connection whose COMMIT says it failed: after having committed, or having rolled back."""

    applied = True
    armed = threading.Event()

    def execute(self, sql, *values):
        if sql != "COMMIT" or not self.armed.is_set():
            return super().execute(sql, *values)
        self.armed.clear()
        super().execute("COMMIT" if self.applied else "ROLLBACK")
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR
        raise error


@pytest.fixture(params=[True, False], ids=["applied", "not applied"])
def lossy(request, monkeypatch, path):
    monkeypatch.setattr(LostReply, "applied", request.param)
    plain = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **options: plain(*args, factory=LostReply, **options))
    opened = SQLiteDriver(path)
    make(opened, HITS)
    yield opened, request.param
    LostReply.armed.clear()
    opened.close()


def test_a_flush_whose_commit_failed_reads_its_number_back(lossy):
    driver, applied = lossy
    LostReply.armed.set()
    outcomes = write(driver, [(ADD, (1, 1, f"/{n}")) for n in range(100)])
    assert {outcome.fate for outcome in outcomes} == {Fate.APPLIED if applied else Fate.NOT_APPLIED}
    assert len(totals(driver)) == (100 if applied else 0)


def test_an_increment_whose_commit_failed_is_told_for_certain(lossy):
    driver, applied = lossy
    LostReply.armed.set()
    if applied:
        driver.submit(ADD.with_values((1, 1, "/a")))
    else:
        with pytest.raises(NotApplied):
            driver.submit(ADD.with_values((1, 1, "/a")))
    assert totals(driver) == ({"/a": (1, 1)} if applied else {})


def test_a_number_that_cannot_be_read_back_is_unknown(lossy, monkeypatch):
    driver, _ = lossy

    def gone(path):
        raise ConfigurationError(f"{path} is gone")

    monkeypatch.setattr(flush, "open_connection", gone)
    LostReply.armed.set()
    outcome = write(driver, [(ADD, (1, 1, "/a"))])[0]
    assert outcome.fate is Fate.UNKNOWN
    assert isinstance(outcome.error, MaybeApplied)


def test_another_write_whose_commit_failed_may_have_been_applied(lossy):
    driver, applied = lossy
    LostReply.armed.set()
    with pytest.raises(MaybeApplied, match="not known"):
        insert(driver, HITS, url="/a")
    assert len(totals(driver)) == applied


# --- text ---------------------------------------------------------------------------------------------------------


def test_text_is_sql(in_memory):
    in_memory.execute("INSERT INTO page_hits (url, views) VALUES (?, ?)", ["/a", True])
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    row = in_memory.execute("SELECT url, views, ? AS moment FROM page_hits", [moment])[0]
    assert row == {"url": "/a", "views": 1, "moment": int(moment.timestamp() * 1000)}
    assert in_memory.execute_one("SELECT views FROM page_hits WHERE url = ?", ["/none"]) is None


@pytest.mark.parametrize(
    "text",
    [
        "CREATE KEYSPACE ks WITH replication = {}",
        "DROP KEYSPACE ks",
        "BEGIN",
        "COMMIT",
        "VACUUM",
        "USE ks",
        "SELEC 1",
        "SELECT ?",
        "SELECT 1; SELECT 2",
        "TRUNCATE page_hits",
    ],
)
def test_text_that_is_not_for_sqlite_is_refused(in_memory, text):
    with pytest.raises((InvalidQueryError, Rejected)):
        in_memory.execute(text)
    assert totals(in_memory) == {}


def test_text_that_names_a_missing_table_refuses_the_table(in_memory):
    with pytest.raises(TableRejected, match="no such table"):
        in_memory.execute("SELECT * FROM nowhere")
    with pytest.raises(RowRejected, match="type set"):
        in_memory.execute("SELECT ?", [{1}])


def test_the_schema_is_seen_by_every_connection(driver):
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: select(driver, HITS), range(8)))
        driver.execute("DROP TABLE page_hits")
        for found in threads.map(lambda _: driver.submit(Statement(ReadColumns(HITS))).items, range(8)):
            assert found == []
