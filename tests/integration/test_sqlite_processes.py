"""Several processes on one SQLite file: exact totals through contention, locks, SIGKILL and fork."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import subprocess
import sys
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from coodie.drivers.sqlite import SQLiteDriver, opening, pool
from coodie.statement import APPLIED, Fate
from tests.support.sqlite import ADD_VIEWS, HITS, make, totals, write
from tests.support.sqlite_processes import KEYS

ROOT = Path(__file__).parents[2]
SEED = 20_260_117


@contextmanager
def program(*arguments):
    """Run a program of tests.support.sqlite_processes for the time of the context."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.sqlite_processes", *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def tell(process):
    process.stdin.write("go\n")
    process.stdin.flush()


def hear(process):
    return process.stdout.readline().strip()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "hits.db"


def stored(path):
    driver = SQLiteDriver(path)
    try:
        assert driver.execute_one("SELECT integrity_check FROM pragma_integrity_check", ()) == "ok"
        return totals(driver)
    finally:
        driver.close()


def test_processes_that_open_and_write_a_new_file_at_once_lose_nothing(path):
    with ExitStack() as stack:
        writers = [stack.enter_context(program("add", path, 10)) for _ in range(4)]
        assert [hear(writer) for writer in writers] == ["ready"] * 4
        for writer in writers:
            tell(writer)
        for writer in writers:
            assert writer.wait() == 0
    assert stored(path) == dict.fromkeys(KEYS, (40, 4 * sum(range(1, 11))))


def test_a_lock_held_by_another_process_is_not_applied_and_then_applied(path, monkeypatch):
    monkeypatch.setattr(opening, "BUSY_TIMEOUT_S", 0.1)
    monkeypatch.setattr(pool, "BUSY_TIMEOUT_S", 0.1)
    driver = SQLiteDriver(path)
    make(driver, HITS)
    work = [(ADD_VIEWS, (1, f"/{number}")) for number in range(100)]
    with program("hold", path) as holder:
        assert hear(holder) == "held"
        outcomes = write(driver, work)
        assert {outcome.fate for outcome in outcomes} == {Fate.NOT_APPLIED}
        assert totals(driver) == {}
        tell(holder)
        assert holder.wait() == 0
    assert set(write(driver, work)) == {APPLIED}
    assert set(totals(driver).values()) == {(1, 0)}
    driver.close()


def test_a_writer_killed_at_any_moment_leaves_whole_flushes(path):
    chance = random.Random(SEED)
    acknowledged = 0
    for _ in range(8):
        with program("add", path, 10**6) as writer:
            hear(writer)
            tell(writer)
            said = [hear(writer) for _ in range(chance.randrange(1, 40))]
            writer.kill()
            said += writer.stdout.read().split()
        found = stored(path)
        assert sorted(found) == sorted(KEYS)
        (views,) = {views for views, _ in found.values()}  # every row of a flush, or none
        assert views - acknowledged - int(said[-1]) in (0, 1), SEED
        acknowledged = views
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("SELECT count(*) FROM coodie_flushes").fetchone()[0] <= 8


def test_after_a_kill_at_any_moment_the_marks_tell_what_is_stored(path):
    """A flush is several transactions; the process that died between two of them told nobody which were applied."""
    chance = random.Random(SEED)
    wanted, cut_short = dict.fromkeys(KEYS, 0), 0
    for number in range(12):
        with program("mark", path, f"host/{number}") as writer:
            assert hear(writer) == "ready"
            tell(writer)
            said = [hear(writer) for _ in range(chance.randrange(1, 30))]
            with contextlib.suppress(subprocess.TimeoutExpired):
                writer.wait(chance.random() * 0.01)  # a moment within a flush
            writer.kill()
            said += writer.stdout.read().split()
        with closing(SQLiteDriver(path)) as driver:
            flush, applied = driver.marked(f"host/{number}")
        assert flush - int(said[-1]) in (0, 1), SEED
        items = {index for start, count in applied for index in range(start, start + count)}
        cut_short += len(items) < len(KEYS)
        for index, key in enumerate(KEYS):
            wanted[key] += flush - 1 + (index in items)
        assert stored(path) == {key: (views, 0) for key, views in wanted.items()}, SEED
    assert cut_short, "no kill hit the middle of a flush: this test would prove nothing"


@pytest.mark.parametrize("attempt", range(3))
def test_a_fork_with_an_open_driver_in_use_loses_nothing(path, attempt):
    with program("fork", path) as parent:
        assert hear(parent) == "7 2 1"
        assert parent.wait() == 0
    found = stored(path)
    assert {found.pop("/child"), found.pop("/parent")} == {(2, 0), (1, 0)}
    assert len(set(found.values())) == 1


def test_a_fork_in_the_moment_of_the_first_use_leaves_no_lock_behind(path):
    """Seen as a child that was told for ever that another process holds the database: nobody held it."""
    with closing(SQLiteDriver(path)) as driver:
        make(driver, HITS)
    command = [sys.executable, "-m", "tests.support.fork_at_first_use", path]
    assert subprocess.check_output(command, text=True) == "7\n"


def test_a_database_in_memory_is_not_used_by_a_forked_child():
    with program("fork_memory") as parent:
        assert hear(parent) == "7 1"
        assert parent.wait() == 0
