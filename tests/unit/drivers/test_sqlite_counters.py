"""Counter rows of the embedded store: exact sums, and bad rows refused alone."""

from __future__ import annotations

import sqlite3
from collections import Counter

import pytest

from coodie.drivers.sqlite import SQLiteDriver, counter_rows, flush
from coodie.exceptions import InvalidQueryError, NotApplied, RowRejected, TableRejected
from coodie.schema import Column, Table
from coodie.statement import APPLIED, AddColumn, CounterUpdate, Delete, Fate, Insert, Statement, Term
from tests.support.sqlite import ADD, ADD_VIEWS, HITS, counter, hits_table, insert, make, select, totals, write

MAX = 2**63 - 1


@pytest.fixture(params=["memory", "file"])
def driver(request, tmp_path):
    opened = SQLiteDriver(":memory:" if request.param == "memory" else tmp_path / "hits.db")
    make(opened, HITS)
    yield opened
    opened.close()


def test_an_update_adds_to_a_row_and_makes_a_missing_one(driver):
    driver.submit(ADD.with_values((3, 1, "/home")))
    driver.submit(ADD.with_values((2, -4, "/home")))
    driver.submit(ADD_VIEWS.with_values((7, "/about")))
    assert totals(driver) == {"/about": (7, 0), "/home": (5, -3)}


def test_a_stream_is_summed_exactly_whatever_its_length(driver, monkeypatch):
    monkeypatch.setattr(flush, "CHUNK_ROWS", 100)
    monkeypatch.setattr(counter_rows, "ROWS_MAX", 16)
    counter_rows.layout.cache_clear()
    for length in (0, 1, 2, 15, 16, 17, 99, 100, 101, 333):
        make(driver, table := hits_table(f"hits_{length}"))
        add = Statement(CounterUpdate(table, ("views", "visitors")))
        outcomes = write(driver, ((add, (n, 1, f"/{n % 7}")) for n in range(length)))
        assert outcomes == [APPLIED] * length
        wanted = {f"/{k}": (sum(range(k, length, 7)), len(range(k, length, 7))) for k in range(min(7, length))}
        assert totals(driver, table) == wanted
    counter_rows.layout.cache_clear()


def test_interleaved_templates_and_tables_each_reach_their_own(driver):
    make(driver, other := hits_table("other"))
    templates = [ADD, ADD_VIEWS, Statement(CounterUpdate(other, ("visitors",)))]
    work = [(templates[n % 3], (1, 1, "/a") if n % 3 == 0 else (1, "/a")) for n in range(30)]
    assert set(write(driver, work)) == {APPLIED}
    assert totals(driver) == {"/a": (20, 10)}
    assert totals(driver, other) == {"/a": (0, 10)}


@pytest.mark.parametrize(("stored", "delta"), [(MAX, 1), (-MAX - 1, -1), (1, MAX), (-2, -MAX)])
def test_a_sum_beyond_64_bits_is_refused_and_the_row_stays(driver, stored, delta):
    insert(driver, HITS, url="/full", views=stored)
    with pytest.raises(RowRejected):
        driver.submit(ADD_VIEWS.with_values((delta, "/full")))
    assert totals(driver) == {"/full": (stored, 0)}


@pytest.mark.parametrize("stored", [MAX, -MAX - 1])
def test_the_edges_of_64_bits_are_reached_exactly(driver, stored):
    step = 1 if stored > 0 else -1
    insert(driver, HITS, url="/edge", views=stored - step)
    driver.submit(ADD_VIEWS.with_values((step, "/edge")))
    assert totals(driver) == {"/edge": (stored, 0)}


def test_bad_rows_are_refused_alone(driver):
    insert(driver, HITS, url="/17", views=MAX)
    insert(driver, HITS, url="/404", views=MAX)
    outcomes = write(driver, [(ADD, (1, 1, f"/{n}")) for n in range(1000)])
    refused = {index: outcome for index, outcome in enumerate(outcomes) if outcome is not APPLIED}
    assert set(refused) == {17, 404}
    assert {outcome.fate for outcome in refused.values()} == {Fate.REJECTED}
    assert all(isinstance(outcome.error, RowRejected) for outcome in refused.values())
    found = totals(driver)
    assert found.pop("/17") == found.pop("/404") == (MAX, 0)
    assert set(found.values()) == {(1, 1)}
    assert len(found) == 998


@pytest.mark.parametrize("row", [(1.5, 1, "/"), (True, 1, "/"), (1, None, "/"), (1, 1, b"/"), (1, 1), (1, 1, "/", 1)])
def test_a_value_of_the_wrong_kind_is_refused_alone_and_never_stored(driver, row):
    outcomes = write(driver, [(ADD, (1, 1, "/a")), (ADD, row), (ADD, (1, 1, "/b"))])
    assert [outcome.fate for outcome in outcomes] == [Fate.APPLIED, Fate.REJECTED, Fate.APPLIED]
    assert isinstance(outcomes[1].error, RowRejected)
    with pytest.raises(InvalidQueryError, match="nothing was written"):
        driver.submit(ADD.with_values(row))
    assert totals(driver) == {"/a": (1, 1), "/b": (1, 1)}


@pytest.mark.parametrize("row", [(2**63, 1, "/x"), (1, 1, "\ud800")])
def test_what_sqlite_cannot_bind_is_refused_alone(driver, row):
    outcomes = write(driver, [(ADD, (1, 1, "/a")), (ADD, row)])
    assert [outcome.fate for outcome in outcomes] == [Fate.APPLIED, Fate.REJECTED]
    assert "\ud800" not in str(outcomes[1].error)
    assert totals(driver) == {"/a": (1, 1)}


def test_a_missing_table_takes_only_its_own_rows_with_it(driver):
    lost = Statement(CounterUpdate(hits_table("never_made"), ("views",)))
    outcomes = write(driver, [(lost if n % 2 else ADD_VIEWS, (1, "/a")) for n in range(10)])
    assert Counter(outcome.fate for outcome in outcomes) == {Fate.APPLIED: 5, Fate.REJECTED: 5}
    assert all(isinstance(outcome.error, TableRejected) for outcome in outcomes if outcome.error)
    assert totals(driver) == {"/a": (5, 0)}


def test_a_missing_column_refuses_the_table_until_it_is_added(driver):
    grown = Table(HITS.name, (*HITS.columns, counter("likes")), counters="native")
    add = Statement(CounterUpdate(grown, ("likes",)))
    driver.submit(ADD_VIEWS.with_values((4, "/a")))
    assert isinstance(write(driver, [(add, (1, "/a"))])[0].error, TableRejected)
    with pytest.raises(TableRejected):
        select(driver, grown)
    driver.submit(Statement(AddColumn(grown, "likes")))
    assert select(driver, grown, "likes").items == [{"likes": 0}]
    assert write(driver, [(add, (1, "/a"))]) == [APPLIED]
    assert select(driver, grown, "views", "likes").items == [{"views": 4, "likes": 1}]


def test_an_error_of_the_iterator_comes_after_everything_it_gave_is_told(driver):
    def broken():
        yield from ((ADD, (1, 1, f"/{n}")) for n in range(5))
        raise LookupError("the source is gone")

    told = []
    with pytest.raises(LookupError):
        driver.execute_many(
            broken(), 16, lambda index, outcome, count=1: told.extend((index + at, outcome) for at in range(count))
        )
    assert told == [(index, APPLIED) for index in range(5)]
    assert len(totals(driver)) == 5


def test_statements_of_other_kinds_keep_their_order(driver):
    key = (Term("url"),)
    put = Statement(Insert(HITS, ("url", "views")))
    gone = Statement(Delete(HITS, key))
    outcomes = write(driver, [(put, ("/a", 5)), (ADD_VIEWS, (1, "/a")), (gone, ("/a",)), (ADD_VIEWS, (2, "/a"))])
    assert outcomes == [APPLIED] * 4
    assert totals(driver) == {"/a": (2, 0)}


def test_a_key_of_many_columns_and_types(driver):
    columns = (Column("site", "text", partition_index=0), Column("day", "date", clustering_index=0), counter("n"))
    make(driver, table := Table("daily", columns, counters="native"))
    from datetime import date

    add = Statement(CounterUpdate(table, ("n",)))
    days = [date(2026, 2, 28), date(2026, 3, 1)]
    assert set(write(driver, [(add, (n, "a", days[n % 2])) for n in range(5)])) == {APPLIED}
    assert [(row["day"], row["n"]) for row in select(driver, table).items] == [(days[0], 6), (days[1], 4)]


def test_after_close_nothing_is_written_and_a_stream_is_told_so(driver):
    driver.close()
    driver.close()
    outcome = write(driver, [(ADD, (1, 1, "/a"))])[0]
    assert outcome.fate is Fate.NOT_APPLIED
    assert isinstance(outcome.error, NotApplied)


def test_the_writers_number_is_kept_while_it_is_open_and_removed_at_close(tmp_path):
    driver = SQLiteDriver(tmp_path / "hits.db")
    make(driver, HITS)
    write(driver, [(ADD, (1, 1, "/a"))])
    raw = sqlite3.connect(tmp_path / "hits.db")
    assert len(raw.execute("SELECT seq FROM coodie_flushes").fetchall()) == 1
    driver.close()
    assert raw.execute("SELECT seq FROM coodie_flushes").fetchall() == []
    raw.close()


def test_numbers_of_writers_long_dead_are_removed(tmp_path):
    with_marks = SQLiteDriver(tmp_path / "hits.db")
    make(with_marks, HITS)
    raw = sqlite3.connect(tmp_path / "hits.db", isolation_level=None)
    raw.execute("INSERT INTO coodie_flushes VALUES ('dead', 1), ('alive', ?)", [2**62])
    write(with_marks, [(ADD, (1, 1, "/a"))])
    writers = {writer for (writer,) in raw.execute("SELECT writer FROM coodie_flushes")}
    assert "dead" not in writers
    assert "alive" in writers
    raw.close()
    with_marks.close()
