"""Tables of the embedded store: making, changing and describing them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from coodie.drivers.sqlite import SQLiteDriver
from coodie.exceptions import InvalidQueryError, TableRejected
from coodie.schema import Column, Table
from coodie.statement import (
    AddColumn,
    AlterOptions,
    CreateIndex,
    CreateTable,
    DropIndex,
    DropTable,
    ReadColumns,
    ReadIndexes,
    ReadOptions,
    Statement,
    Truncate,
)
from tests.support.sqlite import EVENTS, HITS, insert, make, select


@pytest.fixture
def driver():
    opened = SQLiteDriver(":memory:")
    yield opened
    opened.close()


def run(driver, shape):
    return driver.submit(Statement(shape)).items


def test_the_catalogue_says_what_was_declared(driver):
    make(driver, EVENTS)
    found = [
        (row["column_name"], row["type"], row["kind"], row["position"]) for row in run(driver, ReadColumns(EVENTS))
    ]
    assert found == [
        ("site", "text", "partition_key", 0),
        ("day", "int", "clustering", 0),
        ("hour", "int", "clustering", 1),
        ("note", "text", "regular", -1),
        ("tags", "set<text>", "regular", -1),
        ("steps", "list<int>", "regular", -1),
        ("prices", "map<text, decimal>", "regular", -1),
    ]


def test_making_a_table_twice_changes_nothing(driver):
    make(driver, HITS)
    insert(driver, HITS, url="/a", views=5)
    make(driver, HITS, Table(HITS.name, HITS.columns[:2], counters="native"))
    assert len(run(driver, ReadColumns(HITS))) == 3
    assert select(driver, HITS).items == [{"url": "/a", "views": 5, "visitors": 0}]


def test_a_column_is_added_once(driver):
    make(driver, Table(HITS.name, HITS.columns[:2], counters="native"))
    insert(driver, HITS, url="/a", views=1)
    for _ in range(2):
        run(driver, AddColumn(HITS, "visitors"))
    assert run(driver, ReadColumns(HITS))[2] == {
        "column_name": "visitors", "type": "counter", "kind": "regular", "position": -1
    }  # fmt: skip
    assert select(driver, HITS).items == [{"url": "/a", "views": 1, "visitors": 0}]


def test_no_table_no_columns(driver):
    assert run(driver, ReadColumns(HITS)) == []
    assert run(driver, ReadIndexes(HITS)) == []
    assert run(driver, ReadOptions(HITS)) == []


def test_a_table_of_other_hands_is_described_by_its_sqlite_types(driver):
    driver.execute("CREATE TABLE page_hits (url TEXT, day INTEGER, x REAL, PRIMARY KEY (url, day))")
    found = [(row["type"], row["kind"], row["position"]) for row in run(driver, ReadColumns(HITS))]
    assert found == [("text", "partition_key", 0), ("bigint", "clustering", 0), ("double", "regular", -1)]


def test_indexes_come_and_go(driver):
    make(driver, EVENTS)
    for _ in range(2):
        run(driver, CreateIndex(EVENTS, "note", "events_note_idx"))
    assert run(driver, ReadIndexes(EVENTS)) == [{"index_name": "events_note_idx"}]
    for _ in range(2):
        run(driver, DropIndex(EVENTS, "events_note_idx"))
    assert run(driver, ReadIndexes(EVENTS)) == []


def test_an_index_on_a_column_the_table_lacks_is_refused(driver):
    make(driver, Table(EVENTS.name, EVENTS.columns[:3]))
    with pytest.raises(TableRejected):
        run(driver, CreateIndex(EVENTS, "note", "events_note_idx"))


def test_dropping_and_emptying(driver):
    make(driver, HITS)
    insert(driver, HITS, url="/a")
    run(driver, Truncate(HITS))
    assert select(driver, HITS).items == []
    for _ in range(2):
        run(driver, DropTable(HITS))
    assert run(driver, ReadColumns(HITS)) == []
    with pytest.raises(TableRejected):
        run(driver, Truncate(HITS))


def test_table_options_mean_nothing_but_a_ttl(driver):
    make(driver, replace(HITS, options=(("comment", "x"),), _in_keyspace={}))
    run(driver, AlterOptions(HITS, (("comment", "'y'"),)))
    for wrong in (-1, 630_720_001, "60", True):
        with pytest.raises(InvalidQueryError, match="A TTL is a number of seconds"):
            run(driver, CreateTable(replace(EVENTS, default_ttl=wrong, _in_keyspace={})))


@pytest.mark.parametrize("name", ["coodie_flushes", "COODIE_COLUMNS", "sqlite_x"])
def test_the_stores_own_names_are_refused(driver, name):
    with pytest.raises(InvalidQueryError, match="taken"):
        make(driver, Table(name, HITS.columns))


def test_what_sqlite_has_no_column_for_is_refused(driver):
    with pytest.raises(InvalidQueryError, match="static"):
        make(driver, Table("t", (HITS.columns[0], Column("s", "text", static=True))))
    with pytest.raises(InvalidQueryError, match="primary key"):
        make(driver, Table("t", (Column("s", "text"),)))
    assert driver.execute("SELECT count(*) AS n FROM coodie_columns") == [{"n": 0}]


def test_key_columns_take_no_null(driver):
    make(driver, HITS)
    from coodie.exceptions import RowRejected

    with pytest.raises(RowRejected):
        driver.execute("INSERT INTO page_hits (url) VALUES (NULL)")
