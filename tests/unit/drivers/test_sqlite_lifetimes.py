"""TTL on the embedded store: what is over is not there for any statement. The clock is the test's own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from coodie.drivers.sqlite import SQLiteDriver
from coodie.exceptions import InvalidQueryError
from coodie.schema import Column, Table
from coodie.statement import (
    AddColumn,
    Batch,
    Change,
    CreateTable,
    Delete,
    DropTable,
    Insert,
    Select,
    Selected,
    Statement,
    Term,
    Truncate,
    Update,
)
from tests.support.sqlite import ADD, EVENTS, HITS, insert, make, select, write

KEY = (Term("site"), Term("day"), Term("hour"))
HERE = ("a", 1, 2)
COLUMNS = ("site", "day", "hour", "note", "tags")
NOTES = "SELECT row, cells, next_at FROM coodie_lifetimes"


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1_000_000.5

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(params=["memory", "file"])
def driver(request, tmp_path, clock):
    opened = SQLiteDriver(":memory:" if request.param == "memory" else tmp_path / "t.db", clock=clock)
    make(opened, EVENTS, HITS)
    yield opened
    opened.close()


def save(driver, ttl=None, note="x", tags=frozenset({"t"}), key=HERE, table=EVENTS, **options):
    shape = Insert(table, COLUMNS, ttl=ttl is not None, **options)
    return driver.submit(Statement(shape, (*key, note, tags, *([] if ttl is None else [ttl])))).items


def update(driver, changes, values, ttl=None, table=EVENTS, **options):
    given = () if ttl is None else (ttl,)
    compared = options.pop("compared", ())
    shape = Update(table, changes, KEY, ttl=ttl is not None, **options)
    return driver.submit(Statement(shape, (*given, *values, *HERE, *compared))).items


def left(driver, column="note"):
    found = driver.submit(Statement(Select(EVENTS, (Selected(column, "ttl"),)))).items
    return [row[f"ttl({column})"] for row in found]


def notes(driver):
    return [row["note"] for row in select(driver, EVENTS).items]


def test_a_row_is_there_to_its_last_second(driver, clock):
    save(driver, ttl=10)
    save(driver, key=("b", 1, 2), note="stays")
    for second, wanted in ((0, ["x", "stays"]), (9.4, ["x", "stays"]), (9.5, ["stays"]), (100, ["stays"])):
        clock.now = 1_000_000.5 + second
        assert notes(driver) == wanted
    assert driver.execute(NOTES) == []


def test_every_kind_of_read_passes_over_what_is_over(driver, clock):
    for hour, ttl in enumerate((10, 10, None)):
        save(driver, ttl=ttl, key=("a", 1, hour))
    clock.now += 10
    count = Select(EVENTS, (Selected("*", "count"), Selected("hour", "sum"), Selected("hour", "min")))
    assert list(driver.submit(Statement(count)).items[0].values()) == [1, 2, 2]
    assert driver.submit(Statement(Select(EVENTS, (Selected("hour"),), distinct=True))).items == [{"hour": 2}]
    assert len(select(driver, EVENTS, where=[("tags", "CONTAINS", "t")]).items) == 1
    assert driver.execute("SELECT count(*) AS n FROM events") == [{"n": 1}]


def test_a_text_meets_nothing_that_is_over(driver, clock):
    save(driver, ttl=10)
    clock.now += 10
    assert driver.execute("SELECT count(*) AS n FROM events") == [{"n": 0}]
    save(driver, ttl=10)
    clock.now += 10
    driver.execute("UPDATE events SET note = 'y'", [])
    assert notes(driver) == []


def test_conditions_take_what_is_over_as_absent(driver, clock):
    save(driver, ttl=10)
    assert save(driver, if_not_exists=True)[0]["[applied]"] is False
    clock.now += 10
    refused = [{"[applied]": False}]
    assert update(driver, (Change("note"),), ("y",), if_exists=True) == refused
    assert update(driver, (Change("note"),), ("y",), conditions=(Term("note"),), compared=("x",)) == refused
    assert save(driver, ttl=5, note="new", if_not_exists=True) == [{"[applied]": True}]
    assert (notes(driver), left(driver)) == (["new"], [5])


@pytest.mark.parametrize("again", [None, 0])
def test_a_row_that_is_saved_again_without_a_ttl_stays(driver, clock, again):
    save(driver, ttl=10)
    save(driver, ttl=again, note="y")
    clock.now += 10
    assert (notes(driver), left(driver), driver.execute(NOTES)) == (["y"], [None], [])


def test_a_row_that_is_saved_again_ends_with_its_new_ttl(driver, clock):
    save(driver)
    save(driver, ttl=10)
    save(driver, ttl=20)
    clock.now += 15
    assert (notes(driver), left(driver)) == (["x"], [5])
    clock.now += 5
    assert notes(driver) == []


def test_a_column_may_end_before_its_row(driver, clock):
    save(driver)
    update(driver, (Change("note"), Change("tags")), ("y", None), ttl=10)
    assert left(driver) == [10]
    clock.now += 10
    assert select(driver, EVENTS, "note", "tags").items == [{"note": None, "tags": None}]
    assert (left(driver), driver.execute(NOTES)) == ([None], [])


def test_a_column_may_outlive_its_row(driver, clock):
    save(driver, ttl=10)
    update(driver, (Change("note"),), ("y",))
    clock.now += 10
    assert select(driver, EVENTS, "hour", "note", "tags").items == [{"hour": 2, "note": "y", "tags": None}]
    update(driver, (Change("note"),), (None,))
    assert select(driver, EVENTS).items == []
    assert driver.execute(NOTES) == []


def test_a_row_made_by_an_update_ends_with_its_columns(driver, clock):
    update(driver, (Change("note"),), ("x",), ttl=10)
    update(driver, (Change("tags"),), ({"t"},), ttl=20)
    clock.now += 10
    assert select(driver, EVENTS, "note", "tags").items == [{"note": None, "tags": {"t"}}]
    clock.now += 10
    assert (select(driver, EVENTS).items, driver.execute(NOTES)) == ([], [])


def test_a_ttl_of_a_deleted_row_does_not_touch_its_successor(driver, clock):
    for deletion, values in [
        (Delete(EVENTS, KEY), HERE),
        (Delete(EVENTS, (Term("site"), Term("day", ">="))), ("a", 0)),
        (Truncate(EVENTS), ()),
    ]:
        save(driver, ttl=10)
        driver.submit(Statement(deletion, values))
        assert driver.execute(NOTES) == []
        insert(driver, EVENTS, site="a", day=1, hour=2, note="y")
        clock.now += 10
        assert notes(driver) == ["y"]
    save(driver, ttl=10)
    driver.submit(Statement(DropTable(EVENTS)))
    assert driver.execute(NOTES) == []


def test_an_insert_of_some_columns_leaves_the_ends_of_the_others(driver, clock):
    save(driver, ttl=10)
    insert(driver, EVENTS, site="a", day=1, hour=2, note="y")
    clock.now += 10
    assert select(driver, EVENTS, "note", "tags").items == [{"note": "y", "tags": None}]


def test_a_table_may_have_a_ttl_of_its_own(driver, clock):
    table = replace(EVENTS, name="short", default_ttl=10, _in_keyspace={})
    make(driver, table)
    save(driver, table=table)
    save(driver, table=table, key=("b", 1, 2), ttl=0)
    save(driver, table=table, key=("c", 1, 2), ttl=30)
    clock.now += 10
    assert [row["site"] for row in select(driver, table).items] == ["b", "c"]
    option = replace(EVENTS, name="option", options=(("default_time_to_live", 5),), _in_keyspace={})
    make(driver, option)
    update(driver, (Change("note"),), ("x",), table=option)
    clock.now += 5
    assert select(driver, option).items == []


def test_elements_of_a_collection_have_no_ttl_of_their_own(driver):
    for change in (Change("tags", "append"), Change("steps", "prepend"), Change("steps", "put")):
        values = (0, 1) if change.operation == "put" else ({"u"} if change.column == "tags" else [1],)
        save(driver)
        update(driver, (Change("steps"),), ([7],))
        with pytest.raises(InvalidQueryError, match="no TTL for elements of a collection"):
            update(driver, (change,), values, ttl=10)
        update(driver, (Change(change.column),), ({"t"} if change.column == "tags" else [7],), ttl=10)
        with pytest.raises(InvalidQueryError, match="no TTL for elements of a collection"):
            update(driver, (change,), values)
        update(driver, (Change("tags", "remove"),), ({"t"},))
        assert select(driver, EVENTS, "tags", "steps").items == [{"tags": None, "steps": [7]}]


@pytest.mark.parametrize("ttl", [-1, 630_720_001, True, "60", 1.5])
def test_a_ttl_is_a_number_of_seconds(driver, ttl):
    with pytest.raises(InvalidQueryError, match="from 0 to 630720000"):
        save(driver, ttl=ttl)
    assert select(driver, EVENTS).items == []


def test_batches_and_streams_of_writes_have_ttls(driver, clock):
    shape = Insert(EVENTS, ("site", "day", "hour", "note"), ttl=True)
    driver.submit(Statement(Batch((shape, shape)), (*HERE, "x", 10, "b", 1, 2, "y", 20)))
    write(driver, [(Statement(shape), ("c", 1, hour, "z", 10 + hour)) for hour in range(3)])
    assert left(driver) == [10, 20, 10, 11, 12]
    clock.now += 11
    assert notes(driver) == ["y", "z"]


def test_keys_of_every_kind_find_their_row_again(driver, clock):
    kinds = {"text": "n\0\N{SNOWMAN}'", "bigint": -(2**63), "double": 0.5, "blob": b"\0\xff", "boolean": True}
    for number, (kind, value) in enumerate(kinds.items()):
        key = (Column("first", kind, partition_index=0), Column("second", "int", clustering_index=0, descending=True))
        table = Table(f"keyed{number}", (*key, Column("it's", "text")))
        make(driver, table)
        ttl = Insert(table, ("first", "second", "it's"), ttl=True)
        driver.submit(Statement(ttl, (value, 7, "x", 10)))
        insert(driver, table, first=value, second=8)
        assert driver.submit(Statement(Select(table, (Selected("it's", "ttl"),)))).items[-1] == {"ttl(it's)": 10}
        clock.now += 10
        assert select(driver, table).items == [{"first": value, "second": 8, "it's": None}]


def test_more_rows_than_are_swept_at_once_are_all_gone(driver, clock, monkeypatch):
    monkeypatch.setattr("coodie.drivers.sqlite.lifetimes.SWEPT_AT_ONCE", 3)
    for hour in range(10):
        save(driver, ttl=10, key=("a", 1, hour))
    clock.now += 10
    assert notes(driver) == []
    for hour in range(10):
        save(driver, ttl=10, key=("a", 1, hour))
    clock.now += 10
    insert(driver, EVENTS, site="b", day=1, hour=1)
    assert driver.execute(NOTES) == []


def test_a_column_that_was_added_or_lost_does_not_stop_the_sweep(driver, clock):
    grown = replace(EVENTS, columns=(*EVENTS.columns, Column("more", "text")), _in_keyspace={})
    driver.submit(Statement(AddColumn(grown, "more")))
    update(driver, (Change("note"),), ("x",), ttl=10)
    driver.submit(Statement(Update(grown, (Change("more"),), KEY), ("kept", *HERE)))
    clock.now += 10
    assert select(driver, grown, "note", "more").items == [{"note": None, "more": "kept"}]
    update(driver, (Change("note"),), (None,))  # by a model that does not know the column
    assert len(select(driver, EVENTS).items) == 1
    update(driver, (Change("note"),), ("x",), ttl=10)
    driver.execute("ALTER TABLE events DROP COLUMN note")
    clock.now += 10
    assert len(select(driver, EVENTS, "hour").items) == 1


def test_tables_that_are_not_there_do_not_stop_the_sweep(driver, clock):
    save(driver, ttl=10)
    driver.execute("DROP TABLE events")
    clock.now += 10
    driver.submit(Statement(CreateTable(EVENTS)))
    assert notes(driver) == []
    assert driver.execute(NOTES) == []


def test_counters_and_rows_without_ttl_leave_no_notes(driver, clock):
    write(driver, [(ADD, (1, 1, "/a"))])
    save(driver)
    insert(driver, HITS, url="/b", views=1)
    update(driver, (Change("note"),), ("y",))
    assert driver.execute(NOTES) == []


def test_counters_never_ask_what_is_over(clock):
    driver = SQLiteDriver(":memory:", clock=clock)
    make(driver, HITS)
    seen: list[str] = []
    with driver._pool.reading() as connection:
        connection.set_trace_callback(seen.append)
    write(driver, [(ADD, (1, 1, "/a"))])
    select(driver, HITS)
    driver.submit(Statement(Delete(HITS, (Term("url"),)), ("/a",)))
    assert not [text for text in seen if "coodie_lifetimes" in text]
    driver.close()


def test_a_file_of_an_older_version_gets_what_ttl_needs(tmp_path, clock):
    older = SQLiteDriver(tmp_path / "t.db")
    make(older, EVENTS)
    save(older)
    older.execute("DROP TABLE coodie_lifetimes")
    older.close()
    driver = SQLiteDriver(tmp_path / "t.db", clock=clock)
    save(driver, ttl=10)
    assert left(driver) == [10]
    driver.close()
