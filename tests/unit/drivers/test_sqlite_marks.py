"""Marks of the embedded store: what each flush applied, noted with it; and totals written in bulk."""

from __future__ import annotations

import random

import pytest

from coodie.drivers.sqlite import SQLiteDriver, exact_rows, flush
from coodie.exceptions import ConfigurationError, InvalidQueryError
from coodie.plans import exact
from coodie.run import run
from coodie.schema import Column, Table
from coodie.statement import APPLIED, CreateTable, Fate, Statement
from tests.support.sqlite import ADD, ADD_VIEWS, HITS, counter, insert, make, totals, write

WRITER = "host/0001/a"
COLUMNS = (Column("site", "text", partition_index=0), Column("day", "int", int, clustering_index=0))
EXACT = Table("exact_hits", (*COLUMNS, counter("views"), counter("visitors")), counters="exact")
WRITE = exact.write(EXACT, ("views", "visitors"))


@pytest.fixture(params=["memory", "file"])
def driver(request, tmp_path):
    opened = SQLiteDriver(":memory:" if request.param == "memory" else tmp_path / "hits.db")
    make(opened, HITS)
    opened.submit(Statement(CreateTable(EXACT.stored)))
    yield opened
    opened.close()


def marking(driver, number, work, writer=WRITER):
    told = {}

    def settle(index, outcome, count=1):
        told.update(dict.fromkeys(range(index, index + count), outcome.fate))

    driver.execute_many(work, 16, settle, mark=(writer, number))
    return [told[index] for index in range(len(told))]


def adds(count):
    return [(ADD_VIEWS, (1, f"/{number}")) for number in range(count)]


def test_the_driver_says_that_it_marks(driver):
    assert driver.marks is True
    assert driver.marked(WRITER) is None
    assert driver.marked(WRITER, 3) is None


def test_what_a_flush_applied_is_one_run_whatever_its_transactions(driver, monkeypatch):
    monkeypatch.setattr(flush, "CHUNK_ROWS", 10)
    marking(driver, 7, adds(95))
    assert driver.marked(WRITER) == (7, [(0, 95)])


def test_interleaved_templates_are_one_run(driver):
    marking(driver, 1, [(ADD, (1, 1, "/a")) if n % 2 else (ADD_VIEWS, (1, "/a")) for n in range(40)])
    assert driver.marked(WRITER) == (1, [(0, 40)])


def test_refused_rows_are_not_among_the_applied(driver):
    work = adds(50)
    work[3] = work[17] = work[18] = (ADD_VIEWS, ("one", "/x"))
    fates = marking(driver, 1, work)
    assert [index for index, fate in enumerate(fates) if fate is Fate.REJECTED] == [3, 17, 18]
    assert driver.marked(WRITER) == (1, [(0, 3), (4, 13), (19, 31)])


def test_a_refused_table_takes_its_own_rows_alone(driver):
    nowhere = exact.write(Table("nowhere", EXACT.columns, counters="exact"), ("views",))
    marking(driver, 1, [*adds(5), (nowhere, ("a", 1, WRITER, 1, 1)), *adds(5)])
    assert driver.marked(WRITER) == (1, [(0, 5), (6, 5)])


def test_the_next_flush_removes_the_marks_of_the_one_before(driver):
    marking(driver, 1, adds(5))
    marking(driver, 2, adds(3), writer="another")
    marking(driver, 5, adds(2))
    assert driver.marked(WRITER) == (5, [(0, 2)])
    assert driver.marked(WRITER, 1) is None
    assert driver.marked("another") == (2, [(0, 3)])


def test_a_flush_that_applied_nothing_leaves_no_mark(driver):
    marking(driver, 1, [(ADD_VIEWS, ("one", "/x"))])
    assert driver.marked(WRITER) is None


def test_marks_of_a_process_that_died_stay_until_they_are_forgotten(tmp_path):
    """Its tables are taken up one by one: the first one's flush must not take the answer from the others."""
    path = tmp_path / "hits.db"
    died, lives = SQLiteDriver(path), SQLiteDriver(path)
    make(died, HITS)
    marking(died, 10, adds(9))
    marking(lives, 11, adds(4))
    marking(lives, 12, adds(3))
    assert lives.marked(WRITER, 10) == (10, [(0, 9)])
    assert lives.marked(WRITER, 11) is None
    assert lives.marked(WRITER) == (12, [(0, 3)])
    lives.forget_marks(WRITER, 12)
    assert lives.marked(WRITER, 10) is None
    assert lives.marked(WRITER) == (12, [(0, 3)])
    died.close()
    lives.close()


def test_a_transaction_that_is_rolled_back_leaves_no_mark(driver):
    insert(driver, HITS, url="/full", views=2**63 - 1)
    fates = marking(driver, 1, [(ADD_VIEWS, (1, "/full")), (ADD_VIEWS, (1, "/b"))])
    assert fates == [Fate.REJECTED, Fate.APPLIED]
    assert driver.marked(WRITER) == (1, [(1, 1)])


def test_marks_of_a_closed_driver_are_refused(tmp_path):
    driver = SQLiteDriver(tmp_path / "hits.db")
    driver.close()
    with pytest.raises(ConfigurationError, match="closed"):
        driver.marked(WRITER)


def test_no_table_may_bear_the_name_of_the_marks(driver):
    with pytest.raises(InvalidQueryError, match="taken by the SQLite store"):
        make(driver, Table("Coodie_Marks", HITS.columns, counters="native"))


# --- totals ---------------------------------------------------------------------------------------------------------


def own(driver, site, day, writer=WRITER):
    return run(exact.own_row(EXACT, (site, day), writer), driver)


@pytest.mark.parametrize("length", [1, 15, 16, 17, 333])
def test_totals_in_bulk_are_stored_as_written(driver, monkeypatch, length):
    monkeypatch.setattr(flush, "CHUNK_ROWS", 100)
    monkeypatch.setattr(exact_rows, "ROWS_MAX", 16)
    exact_rows.layout.cache_clear()
    rows = [(WRITE, (f"s{n}", n, WRITER, n, -n, 1_000 + n)) for n in range(length)]
    assert write(driver, rows) == [APPLIED] * length
    exact_rows.layout.cache_clear()
    for n in range(length):
        assert own(driver, f"s{n}", n) == {"views": (n, 1_000 + n), "visitors": (-n, 1_000 + n)}


def test_totals_commute_and_the_latest_counts(driver):
    rows = [(WRITE, (f"s{n % 7}", 1, WRITER, n, n * 2, n)) for n in range(500)]
    random.Random(3).shuffle(rows)
    assert set(write(driver, rows)) == {APPLIED}
    assert set(write(driver, rows)) == {APPLIED}  # all of it once more
    for n in range(493, 500):
        assert own(driver, f"s{n % 7}", 1) == {"views": (n, n), "visitors": (n * 2, n)}


def test_a_bad_total_is_refused_alone_and_others_keep_their_writers(driver):
    rows = [(WRITE, ("a", 1, f"w{n}", n, n, 5)) for n in range(40)]
    rows[9] = (WRITE, ("a", 1, "w9", 2**63, 9, 5))
    rows[20] = (WRITE, ("a", 1, "w20", None, 9, 5))
    outcomes = write(driver, rows)
    assert [n for n, outcome in enumerate(outcomes) if outcome.fate is Fate.REJECTED] == [9, 20]
    assert run(exact.writers(EXACT), driver) == sorted(f"w{n}" for n in range(40) if n not in (9, 20))


def test_totals_beside_counter_updates_in_one_stream(driver):
    work = [item for n in range(30) for item in ((ADD_VIEWS, (1, "/a")), (WRITE, ("a", n, WRITER, n, n, n)))]
    assert marking(driver, 1, work) == [Fate.APPLIED] * 60
    assert totals(driver)["/a"] == (30, 0)
    assert own(driver, "a", 29) == {"views": (29, 29), "visitors": (29, 29)}
    assert driver.marked(WRITER) == (1, [(0, 60)])
