"""Values of the embedded store: what is saved comes back, what does not fit is refused."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address
from uuid import UUID, uuid1, uuid4

import pytest

from coodie.drivers.sqlite import SQLiteDriver
from coodie.drivers.sqlite.collections import change, parsed, storage
from coodie.exceptions import InvalidQueryError
from coodie.schema import Column, Table
from tests.support.sqlite import insert, make, select

SOME_UUID = UUID("d2177dd0-eaa2-11de-a572-001b779c76e3")

GOOD = [
    ("text", "a'b\"c`d\0e \u00e9 e\u0301 😀"),
    ("ascii", "plain"),
    ("tinyint", -128),
    ("smallint", 2**15 - 1),
    ("int", -(2**31)),
    ("bigint", 2**63 - 1),
    ("varint", -(10**60)),
    ("float", 0.1),
    ("double", float("-inf")),
    ("boolean", False),
    ("blob", b"\0\xff'"),
    ("uuid", uuid4()),
    ("timeuuid", SOME_UUID),
    ("timestamp", datetime(1931, 5, 6, 7, 8, 9, 123000, tzinfo=UTC)),
    ("date", date(1, 1, 1)),
    ("time", time(23, 59, 59, 999999)),
    ("decimal", Decimal("-1.2300e-40")),
    ("inet", IPv4Address("10.0.0.1")),
    ("inet", IPv6Address("::1")),
    ("list<int>", [3, 1, 3]),
    ("set<text>", {"b", "a\0", "é"}),
    ("map<text, int>", {"a": 1, "b": 2}),
    ("map<int, frozen<list<uuid>>>", {1: [SOME_UUID], -1: []}),
    ("set<frozen<set<date>>>", {frozenset({date(2026, 1, 2)}), frozenset()}),
    ("map<frozen<tuple<int, text>>, blob>", {(1, "a"): b"\0"}),
    ("tuple<int, text, boolean>", (1, None, True)),
    ("frozen<list<timestamp>>", [datetime(2026, 1, 1, tzinfo=UTC)]),
    ("frozen<set<int>>", set()),
    ("list<double>", [1.0, -2.5]),
    ("list<boolean>", [True, False]),
]

BAD = [
    ("text", 5),
    ("text", b"5"),
    ("ascii", "é"),
    ("tinyint", 128),
    ("smallint", -(2**15) - 1),
    ("int", 2**31),
    ("bigint", 2**63),
    ("int", True),
    ("int", 1.0),
    ("int", "1"),
    ("varint", 1.0),
    ("double", float("nan")),
    ("double", True),
    ("double", "1"),
    ("boolean", 1),
    ("blob", "text"),
    ("uuid", "no uuid"),
    ("timeuuid", uuid4()),
    ("timestamp", date(2026, 1, 1)),
    ("date", datetime(2026, 1, 1, tzinfo=UTC)),
    ("time", "12:00"),
    ("decimal", 1.5),
    ("decimal", Decimal("NaN")),
    ("inet", "300.1.1.1"),
    ("inet", 1),
    ("list<int>", {1}),
    ("list<int>", "12"),
    ("list<int>", [1, None]),
    ("list<double>", [float("inf")]),
    ("set<int>", [1]),
    ("map<text, int>", {"a": "1"}),
    ("map<text, int>", [("a", 1)]),
    ("tuple<int, text>", (1,)),
]


def table_of(cql_type):
    return Table("kept", (Column("k", "int", int, partition_index=0), Column("v", cql_type)))


@pytest.fixture(scope="module")
def opened():
    driver = SQLiteDriver(":memory:")
    yield driver
    driver.close()


@pytest.fixture
def driver(opened):
    yield opened
    opened.execute("DROP TABLE IF EXISTS kept")


@pytest.mark.parametrize(("cql_type", "value"), GOOD, ids=repr)
def test_a_value_comes_back_as_it_was_saved(driver, cql_type, value):
    make(driver, table := table_of(cql_type))
    insert(driver, table, k=1, v=value)
    insert(driver, table, k=2, v=None)
    first, second = select(driver, table).items
    assert first["v"] == value
    assert type(first["v"]) is type(value)
    assert second["v"] is None


@pytest.mark.parametrize(("cql_type", "value"), BAD, ids=repr)
def test_a_value_its_column_cannot_hold_is_refused_by_the_columns_name(driver, cql_type, value):
    make(driver, table := table_of(cql_type))
    with pytest.raises(InvalidQueryError, match=r"'v' of table kept .*nothing was written"):
        insert(driver, table, k=1, v=value)
    assert select(driver, table).items == []


def test_an_empty_collection_that_is_not_frozen_is_null(driver):
    make(driver, table := table_of("set<int>"))
    insert(driver, table, k=1, v=set())
    assert select(driver, table).items == [{"k": 1, "v": None}]


@pytest.mark.parametrize("cql_type", ["vector<float, 3>", "frozen<address>", "list<vector<float, 3>>"])
def test_a_type_sqlite_cannot_hold_is_refused_by_name(driver, cql_type):
    with pytest.raises(InvalidQueryError, match="SQLite store has no type"):
        make(driver, table_of(cql_type))


def test_a_time_is_kept_in_utc_to_the_millisecond(driver):
    make(driver, table := table_of("timestamp"))
    insert(driver, table, k=1, v=datetime(2026, 1, 1, 12, 0, 0, 1999, tzinfo=timezone(timedelta(hours=2))))
    insert(driver, table, k=2, v=datetime(2026, 1, 1, 12))  # noqa: DTZ001 - no zone means UTC
    assert [row["v"] for row in select(driver, table).items] == [
        datetime(2026, 1, 1, 10, 0, 0, 1000, tzinfo=UTC),
        datetime(2026, 1, 1, 12, tzinfo=UTC),
    ]


@pytest.mark.parametrize(
    ("cql_type", "ascending"),
    [
        (
            "timestamp",
            [datetime(year, 1, 1, tzinfo=UTC) for year in (1900, 1970, 2026)],
        ),
        ("decimal", [Decimal(-10), Decimal("-9.5"), Decimal(0), Decimal("1e-3"), Decimal(2), Decimal(10)]),
        ("varint", [-(10**30), -2, 0, 9, 10, 10**30]),
        ("date", [date(999, 1, 1), date(1000, 1, 1), date(2026, 1, 1)]),
        ("time", [time(0), time(9, 59), time(10, 0)]),
        ("boolean", [False, True]),
        ("text", ["", "A", "a", "b", "é"]),
        ("blob", [b"", b"\0", b"\0\0", b"a"]),
    ],
)
def test_rows_sort_as_the_type_does(driver, cql_type, ascending):
    columns = (Column("k", "int", partition_index=0), Column("v", cql_type, clustering_index=0))
    make(driver, table := Table("kept", columns))
    for value in reversed(ascending):
        insert(driver, table, k=1, v=value)
    assert [row["v"] for row in select(driver, table, where=[("k", "=", 1)]).items] == ascending
    above = select(driver, table, where=[("k", "=", 1), ("v", ">", ascending[0])])
    assert [row["v"] for row in above.items] == ascending[1:]


def test_time_uuids_sort_by_time(driver):
    columns = (Column("k", "int", partition_index=0), Column("v", "timeuuid", clustering_index=0))
    make(driver, table := Table("kept", columns))
    made = [uuid1() for _ in range(20)] + [UUID("ffffffff-ffff-1000-8000-000000000000"), SOME_UUID]
    for value in made:
        insert(driver, table, k=1, v=value)
    found = [row["v"] for row in select(driver, table).items]
    assert found == sorted(made, key=lambda value: value.time)


def test_equal_collections_have_equal_text():
    encode = storage("map<text, frozen<set<int>>>").encode
    assert encode({"b": {2, 1}, "a": set()}) == encode({"a": set(), "b": {1, 2}}) == '[["a",[]],["b",[1,2]]]'


@pytest.mark.parametrize(
    ("kind", "operation", "stored", "operands", "left"),
    [
        ("list", "append", None, ["[1]"], "[1]"),
        ("list", "append", "[1]", ["[2,3]"], "[1,2,3]"),
        ("list", "prepend", "[1]", ["[2,3]"], "[2,3,1]"),
        ("list", "remove", "[1,2,1]", ["[1]"], "[2]"),
        ("list", "put", "[1,2]", ["1", "9"], "[1,9]"),
        ("list", "discard", "[1,2]", ["0"], "[2]"),
        ("set", "append", '["a"]', ['["b","a"]'], '["a","b"]'),
        ("set", "remove", '["a"]', ['["a"]'], None),
        ("set", "discard", '["a","b"]', ['"a"'], '["b"]'),
        ("map", "append", '[["a",1]]', ['[["a",2],["b",3]]'], '[["a",2],["b",3]]'),
        ("map", "remove", '[["a",1],["b",2]]', ['["a"]'], '[["b",2]]'),
        ("map", "put", None, ['"a"', "1"], '[["a",1]]'),
        ("map", "discard", '[["a",1]]', ['"a"'], None),
        ("set", "append", '["a"]', [None], '["a"]'),
    ],
)
def test_changes_inside_a_collection(kind, operation, stored, operands, left):
    assert change(kind, operation, stored, *operands) == left


def test_a_type_is_taken_apart():
    assert parsed("text") == ("text", ())
    assert parsed("map<text, frozen<map<int, text>>>") == ("map", ("text", "frozen<map<int, text>>"))
