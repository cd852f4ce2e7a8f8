"""Exact tables in the embedded store: a timestamp for each row guards it, and sums are exact at any size."""

from __future__ import annotations

import random
import sqlite3
from dataclasses import replace
from typing import Any

import pytest

from coodie.drivers.sqlite import SQLiteDriver, counter_rows, exact_rows
from coodie.exceptions import InvalidQueryError, TableRejected
from coodie.plans import exact
from coodie.run import run
from coodie.schema import Column, Table
from coodie.statement import Batch, CreateTable, Delete, Fate, Insert, ReadColumns, Select, Selected, Statement, Term

HITS = Table(
    "hits",
    (
        Column("site", "text", partition_index=0),
        Column("day", "int", int, clustering_index=0, descending=True),
        Column("views", "counter", int, counter=True),
        Column("likes", "counter", int, counter=True),
    ),
    counters="exact",
)
WRITE = exact.write(HITS, ("views", "likes"))
SUM = Selected("views", "sum", "varint")
BY_KEY = Statement(Select(HITS.stored, (Selected("site"), Selected("day"), SUM), group_by=("site", "day")))


@pytest.fixture(params=["memory", "file"])
def driver(request, tmp_path):
    opened = SQLiteDriver(":memory:" if request.param == "memory" else tmp_path / "hits.db")
    opened.submit(Statement(CreateTable(HITS.stored)))
    yield opened
    opened.close()


def write(driver: SQLiteDriver, rows: list[tuple[Any, ...]]) -> list[Fate]:
    fates: dict[int, Fate] = {}

    def settle(index, outcome, count=1):
        fates.update(dict.fromkeys(range(index, index + count), outcome.fate))

    driver.execute_many([(WRITE, row) for row in rows], 1, settle)
    return [fates[index] for index in range(len(rows))]


def own(driver: SQLiteDriver, key: tuple[Any, ...], writer: str) -> Any:
    return run(exact.own_row(HITS, key, writer), driver)


def test_the_latest_total_of_each_writer_stays_whatever_the_order_and_the_number_of_rows(driver):
    random.seed(4)
    for length in (1, 2, 3, 63, 64, 65, 300):
        rows = []
        for _ in range(length):
            written = random.randint(1, 50)
            rows.append((f"s{length}", random.randint(1, 9), random.choice("AB"), written * 3, -written, written))
        assert write(driver, rows) == [Fate.APPLIED] * length
        latest: dict[Any, Any] = {}
        for site, day, writer, views, likes, written in rows:
            if written >= latest.get((site, day, writer), (0, 0, 0))[2]:
                latest[site, day, writer] = (views, likes, written)
        for (site, day, writer), (views, likes, written) in latest.items():
            assert own(driver, (site, day), writer) == {"views": (views, written), "likes": (likes, written)}


def test_statements_are_of_few_sizes_and_never_too_wide(driver, monkeypatch):
    monkeypatch.setattr(exact_rows, "ROWS_MAX", 8)
    exact_rows.layout.cache_clear()
    parts = exact_rows.layout(WRITE.shape)
    seen: list[int] = []
    connection = sqlite3.connect(":memory:")
    connection.set_trace_callback(lambda text: seen.append(text.count("(") - 2))
    columns = ", ".join(f"`{column.name}`" for column in parts.columns)
    connection.execute(f"CREATE TABLE hits ({columns}, PRIMARY KEY (site, day, writer))")
    seen.clear()
    exact_rows.put(parts, parts.encoded([("a", day, "W", 1, 1, 9) for day in range(13)]), connection)
    assert connection.execute("SELECT count(*) FROM hits").fetchone() == (13,)
    exact_rows.layout.cache_clear()
    assert [size for size in seen if size > 1][:2] == [8, 8]
    wide = replace(WRITE.shape, columns=(*WRITE.shape.columns,) * 3)
    assert exact_rows.layout(wide).rows_max * len(exact_rows.layout(wide).columns) <= counter_rows.VALUES_MAX


@pytest.mark.parametrize(
    "change", [{"timestamp": False}, {"ttl": True}, {"if_not_exists": True}, {"columns": ("site", "writer", "views")}]
)
def test_a_write_that_is_none_of_totals_is_refused(driver, change):
    with pytest.raises(InvalidQueryError, match=r"takes the whole key, the writer and a timestamp"):
        driver.submit(Statement(replace(WRITE.shape, **change), ("a", 1, "W", 1, 1, 9)))


@pytest.mark.parametrize(
    "row", [("a", 1, None, 1, 1, 9), ("a", 1, "W", 2**63, 1, 9), ("a", 1, "W", 1, 1, True), ("a",)]
)
def test_a_bad_row_is_refused_and_the_others_are_written(driver, row):
    fine = ("a", 2, "W", 5, 6, 9)
    assert write(driver, [fine, row]) == [Fate.APPLIED, Fate.REJECTED]
    assert own(driver, ("a", 2), "W") == {"views": (5, 9), "likes": (6, 9)}
    assert run(exact.writers(HITS), driver) == ["W"]


def test_sums_are_exact_at_any_size_and_sign(driver):
    random.seed(5)
    for site in range(20):
        views = [random.randint(-(2**63), 2**63 - 1) for _ in range(random.randint(1, 40))]
        write(driver, [(str(site), 1, str(number), total, 0, 9) for number, total in enumerate(views)])
        found = Statement(replace(BY_KEY.shape, where=(Term("site"),)), (str(site),))
        assert [row["system.sum(cast(views as varint))"] for row in driver.submit(found).items] == [sum(views)]


def test_a_sum_over_no_value_is_zero(driver):
    driver.submit(exact.write(HITS, ("likes",)).with_values(("a", 1, "W", 1, 9)))
    assert driver.submit(BY_KEY).items == [{"site": "a", "day": 1, "system.sum(cast(views as varint))": 0}]


def test_pages_of_groups_neither_shift_nor_repeat_while_rows_are_written(driver):
    write(driver, [("a", day, writer, day, 0, 9) for day in (2, 4, 6, 8) for writer in "ABC"])
    first = driver.submit(replace(BY_KEY, fetch_size=2))
    assert [row["day"] for row in first.items] == [8, 6]
    write(driver, [("a", day, "A", 1, 0, 9) for day in (7, 9, 5, 1)])
    second = driver.submit(replace(BY_KEY, fetch_size=3, paging_state=first.paging_state))
    assert [(row["day"], row["system.sum(cast(views as varint))"]) for row in second.items] == [(5, 1), (4, 12), (2, 6)]
    last = driver.submit(replace(BY_KEY, fetch_size=3, paging_state=second.paging_state))
    assert ([row["day"] for row in last.items], last.paging_state) == ([1], None)


def test_functions_of_a_cast_are_refused(driver):
    for selected in (Selected("views", "max", "varint"), Selected("site", "sum", "varint")):
        with pytest.raises(InvalidQueryError, match=r"(max|sum)\(\) of \w+ as varint"):
            driver.submit(Statement(Select(HITS.stored, (selected,))))


def test_other_tables_have_no_write_times(driver):
    plain = Table("plain", (Column("id", "int", int, partition_index=0), Column("n", "bigint", int)))
    driver.submit(Statement(CreateTable(plain)))
    with pytest.raises(InvalidQueryError, match=r"no write timestamps"):
        driver.submit(Statement(Select(plain, (Selected("n", "writetime"),))))
    for shape in (Insert(plain, ("id", "n"), timestamp=True), Delete(plain, (Term("id"),), timestamp=True)):
        with pytest.raises(InvalidQueryError, match=r"no write timestamps"):
            driver.submit(Statement(shape, (1, 2, 3)))


def test_the_column_of_timestamps_is_not_in_the_catalogue(driver):
    names = [row["column_name"] for row in driver.submit(Statement(ReadColumns(HITS.stored))).items]
    assert names == ["site", "day", "writer", "views", "likes"]


def test_a_batch_is_one_transaction(driver):
    write(driver, [("a", 1, "D", 5, 5, 9)])
    good = exact.fold_row(HITS, ("a", 1), "W", {"views": 5, "likes": 5}, 1, "D", 9)
    missing = Table("nowhere", HITS.stored.columns, per_writer=True)
    bad = Batch((*good.shape.shapes, Delete(missing, good.shape.shapes[1].where, timestamp=True)))
    with pytest.raises(TableRejected):
        driver.submit(Statement(bad, (*good.values, *good.values[6:])))
    assert run(exact.writers(HITS), driver) == ["D"]
    driver.submit(good)
    assert run(exact.writers(HITS), driver) == ["W"]
