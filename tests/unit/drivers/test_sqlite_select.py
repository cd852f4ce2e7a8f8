"""Reading from the embedded store: order, filters, aggregates, pages."""

from __future__ import annotations

from decimal import Decimal

import pytest

from coodie.drivers.sqlite import SQLiteDriver
from coodie.exceptions import InvalidQueryError, RowRejected, TableRejected
from coodie.schema import Column, Table
from coodie.statement import Select, Selected, Statement, Term
from tests.support.sqlite import EVENTS, HITS, insert, make, select


@pytest.fixture
def driver():
    opened = SQLiteDriver(":memory:")
    make(opened, EVENTS, HITS)
    for site in ("a", "b"):
        for day in (1, 2, 3):
            for hour in (1, 2):
                insert(opened, EVENTS, site=site, day=day, hour=hour, note=f"{site}{day}{hour}", tags={site, f"d{day}"})
    yield opened
    opened.close()


def notes(rows):
    return [row["note"] for row in rows.items]


def test_rows_come_in_the_order_of_the_key_each_column_in_its_own_direction(driver):
    assert notes(select(driver, EVENTS)) == "a31 a32 a21 a22 a11 a12 b31 b32 b21 b22 b11 b12".split()
    assert notes(select(driver, EVENTS, where=[("site", "=", "b"), ("day", "<", 3)])) == ["b21", "b22", "b11", "b12"]


def test_an_order_asked_for_goes_first(driver):
    rows = select(driver, EVENTS, where=[("site", "=", "a")], order=(("day", False), ("hour", True)))
    assert notes(rows) == ["a12", "a11", "a22", "a21", "a32", "a31"]


@pytest.mark.parametrize(
    ("where", "wanted"),
    [
        ([("site", "=", "a"), ("day", "=", 2), ("hour", "=", 1)], ["a21"]),
        ([("note", "=", "b12")], ["b12"]),
        ([("site", "IN", ("a", "zz")), ("day", "IN", (1,))], ["a11", "a12"]),
        ([("site", "IN", ())], []),
        ([("day", ">=", 3), ("hour", "!=", 1)], ["a32", "b32"]),
        ([("tags", "CONTAINS", "d1"), ("site", "=", "a")], ["a11", "a12"]),
        ([("note", "LIKE", "%1")], ["a31", "a21", "a11", "b31", "b21", "b11"]),
        ([("note", "LIKE", "A%")], []),
        ([("note", "LIKE", "a_1")], []),
        ([("note", "LIKE", "*")], []),
    ],
)
def test_filters(driver, where, wanted):
    assert notes(select(driver, EVENTS, where=where)) == wanted


def test_maps_are_searched_by_value_and_by_key(driver):
    insert(driver, EVENTS, site="c", day=1, hour=1, prices={"tea": Decimal("1.5")})
    assert len(select(driver, EVENTS, where=[("prices", "CONTAINS", Decimal("1.5"))]).items) == 1
    assert len(select(driver, EVENTS, where=[("prices", "CONTAINS KEY", "tea")]).items) == 1
    assert select(driver, EVENTS, where=[("prices", "CONTAINS KEY", "1.5")]).items == []


def test_columns_are_picked_in_their_order(driver):
    rows = select(driver, EVENTS, "hour", "tags", where=[("note", "=", "a11")])
    assert rows.items == [{"hour": 1, "tags": {"a", "d1"}}]
    assert list(rows.items[0]) == ["hour", "tags"]


def ask(driver, *columns, **options):
    return driver.submit(Statement(Select(EVENTS, columns, **options))).items


def test_aggregates_are_named_and_typed_as_cassandra_does(driver):
    assert ask(driver, Selected("*", "count")) == [{"count": 12}]
    found = ask(driver, Selected("day", "sum"), Selected("day", "avg"), Selected("note", "min"), Selected("day", "max"))
    assert found == [{"system.sum(day)": 24, "system.avg(day)": 2, "system.min(note)": "a11", "system.max(day)": 3}]
    assert ask(driver, Selected("day", cast="text"), where=(), distinct=True) == [
        {"cast(day as text)": "1"}, {"cast(day as text)": "2"}, {"cast(day as text)": "3"}
    ]  # fmt: skip


def test_aggregates_of_nothing(driver):
    shape = Select(HITS, (Selected("*", "count"), Selected("views", "sum"), Selected("views", "max")))
    assert driver.submit(Statement(shape)).items == [
        {"count": 0, "system.sum(views)": 0, "system.max(views)": None}
    ]  # fmt: skip


def test_a_sum_beyond_64_bits_is_an_error(driver):
    insert(driver, HITS, url="/a", views=2**63 - 1)
    insert(driver, HITS, url="/b", views=1)
    with pytest.raises(RowRejected, match="overflow"):
        driver.submit(Statement(Select(HITS, (Selected("views", "sum"),))))


def test_groups_and_distinct_values_can_be_paged(driver):
    grouped = (Selected("site"), Selected("*", "count"))
    rows = driver.submit(Statement(Select(EVENTS, grouped, group_by=("site",)), fetch_size=1))
    assert rows.items == [{"site": "a", "count": 6}]
    following = Statement(Select(EVENTS, grouped, group_by=("site",)), fetch_size=1, paging_state=rows.paging_state)
    assert driver.submit(following).items == [{"site": "b", "count": 6}]
    assert driver.submit(following).paging_state is None
    assert ask(driver, Selected("site"), distinct=True) == [{"site": "a"}, {"site": "b"}]


ORDERS = [(), (("day", False),), (("day", True), ("hour", False)), (("day", False), ("hour", True))]


@pytest.mark.parametrize("order", ORDERS, ids=repr)
@pytest.mark.parametrize("limit", [None, 1, 4, 5, 12, 100])
@pytest.mark.parametrize("size", [1, 4, 5, 100])
def test_pages_together_are_the_whole_answer(driver, order, limit, size):
    insert(driver, EVENTS, site="a", day=9, hour=9)  # its note is NULL
    options = {"where": [("site", "IN", ("a", "b"))], "order": order} | ({} if limit is None else {"limit": limit})
    whole, found, state, pages = select(driver, EVENTS, **options).items, [], None, 0
    while pages == 0 or state is not None:
        page = select(driver, EVENTS, fetch_size=size, paging_state=state, **options)
        assert 0 < len(page.items) <= size
        found, state, pages = found + page.items, page.paging_state, pages + 1
    assert found == whole
    assert pages == -(-len(whole) // size)


def test_rows_written_between_pages_shift_nothing(driver):
    first = select(driver, EVENTS, where=[("site", "=", "a")], fetch_size=2)
    insert(driver, EVENTS, site="a", day=99, hour=1, note="before")
    insert(driver, EVENTS, site="a", day=0, hour=1, note="after")
    rest = select(driver, EVENTS, where=[("site", "=", "a")], paging_state=first.paging_state)
    assert notes(first) + notes(rest) == ["a31", "a32", "a21", "a22", "a11", "a12", "after"]


def test_a_query_by_the_full_key_has_no_next_page(driver):
    where = [("site", "=", "a"), ("day", "=", 1), ("hour", "=", 1)]
    assert select(driver, EVENTS, where=where, fetch_size=1).paging_state is None


@pytest.mark.parametrize("state", [b"", b"junk", b"\x93\x91\xa1a\x00\xc0", b"\xc0"])
def test_a_page_state_of_another_query_is_refused(driver, state):
    with pytest.raises(InvalidQueryError, match="paging_state"):
        select(driver, EVENTS, fetch_size=2, paging_state=state)


def test_the_text_of_a_state_survives_what_a_key_may_hold(driver):
    for url in ("a\0a", "a\0b", "a", "😀"):
        insert(driver, HITS, url=url)
    first = select(driver, HITS, fetch_size=2)
    rest = select(driver, HITS, paging_state=first.paging_state)
    assert [row["url"] for row in first.items + rest.items] == ["a", "a\0a", "a\0b", "😀"]


@pytest.mark.parametrize(
    "options",
    [
        {"where": (Term("site", ">", token=True),)},
        {"where": (Term("site", "SOUNDS"),)},
        {"columns": (Selected("note", "writetime"),)},
        {"columns": (Selected("tags", "ttl"),)},
        {"columns": (Selected("day", "ttl"),)},
        {"columns": (Selected("site", "token"),)},
        {"columns": (Selected("*", "count"),), "per_partition_limited": True},
        {"columns": (Selected("*", "count"), Selected("note")), "group_by": ("site",)},
        {"columns": (Selected("site"),), "group_by": ("site",), "distinct": True},
        {"columns": (Selected("note", cast="int"),)},
        {"where": (Term("note", "LIKE"),), "given": "a%b", "allow_filtering": True},
        {"columns": (Selected("note", "sum"),)},
        {"columns": (Selected("tags", cast="text"),)},
        {"columns": (Selected("missing"),)},
        {"where": (Term("day", "CONTAINS"),), "allow_filtering": True},
        {"where": (Term("tags", "CONTAINS KEY"),), "allow_filtering": True},
    ],
    ids=repr,
)
def test_what_sqlite_cannot_do_is_refused_by_name(driver, options):
    given = options.pop("given", 1)
    with pytest.raises(InvalidQueryError):
        driver.submit(Statement(Select(EVENTS, **options), (given,) * len(options.get("where", ()))))


@pytest.mark.parametrize("limit", [0, -1, True, "5"])
def test_a_limit_is_a_positive_int(driver, limit):
    with pytest.raises(InvalidQueryError, match="LIMIT"):
        select(driver, EVENTS, limit=limit)
    with pytest.raises(InvalidQueryError, match="fetch_size"):
        select(driver, EVENTS, fetch_size=0)


def test_too_many_alternatives_are_refused(driver):
    with pytest.raises(InvalidQueryError, match="30000"):
        select(driver, EVENTS, where=[("day", "IN", tuple(range(30_001)))])
    assert len(select(driver, EVENTS, where=[("day", "IN", tuple(range(30_000)))]).items) == 12


def test_a_missing_table_or_column_is_an_error_and_never_read_as_text(driver):
    with pytest.raises(TableRejected, match="no such table"):
        select(driver, Table("nowhere", HITS.columns))
    grown = Table(HITS.name, (*HITS.columns, Column("likes", "int")))
    insert(driver, HITS, url="/a")
    with pytest.raises(TableRejected, match="no such column"):
        select(driver, grown, "likes")


def test_names_are_quoted(driver):
    columns = (Column("select", "text", partition_index=0), Column("a `b` \"c\" 'd'", "int"))
    make(driver, odd := Table('odd"; DROP TABLE x', columns), Table('"Quoted"', columns))
    driver.submit(Statement(Select(odd)))
    insert(driver, odd, **{"select": "x", "a `b` \"c\" 'd'": 5})
    assert select(driver, odd).items == [{"select": "x", "a `b` \"c\" 'd'": 5}]
    assert driver.execute("SELECT name FROM sqlite_master WHERE name = 'Quoted'") == [{"name": "Quoted"}]
