"""What a SELECT of the embedded store can answer beside plain rows: first rows of groups, casts, exact sums."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

import pytest

from coodie.drivers.sqlite import SQLiteDriver
from coodie.exceptions import InvalidQueryError, RowRejected
from coodie.schema import Column, Table
from coodie.statement import Change, Select, Selected, Statement, Term, Update
from tests.support.sqlite import EVENTS, insert, make, select

NUMBERS = Table(
    "numbers",
    (
        Column("id", "int", int, partition_index=0),
        Column("big", "bigint", int),
        Column("huge", "varint", int),
        Column("exact", "decimal", Decimal),
        Column("half", "float", float),
        Column("real", "double", float),
        Column("flag", "boolean", bool),
        Column("who", "uuid", UUID),
        Column("word", "text"),
        Column("reals", "list<float>", list[float]),
    ),
)


@pytest.fixture
def driver():
    opened = SQLiteDriver(":memory:")
    make(opened, EVENTS, NUMBERS)
    yield opened
    opened.close()


@pytest.fixture
def events(driver):
    for site in ("a", "b"):
        for day in (1, 2, 3):
            for hour in (1, 2):
                insert(driver, EVENTS, site=site, day=day, hour=hour, note=f"{site}{day}{hour}")
    return driver


def ask(driver, shape, *values, **sent):
    return driver.submit(Statement(shape, values, **sent))


def notes(rows):
    return [row["note"] for row in rows.items]


@pytest.mark.parametrize(
    ("options", "values", "wanted"),
    [
        ({}, (1,), "a31 b31"),
        ({}, (3,), "a31 a32 a21 b31 b32 b21"),
        ({"where": (Term("day", "<"),), "allow_filtering": True}, (3, 1), "a21 b21"),
        ({"where": (Term("site", "IN"),), "order": (("day", False), ("hour", True))}, (("a", "b"), 1), "a12 b12"),
        ({"limited": True}, (2, 3), "a31 a32 b31"),
    ],
)
def test_some_rows_of_each_partition(events, options, values, wanted):
    assert notes(ask(events, Select(EVENTS, per_partition_limited=True, **options), *values)) == wanted.split()


@pytest.mark.parametrize("size", [1, 2, 3, 5, 9])
def test_some_rows_of_each_partition_in_pages(events, size):
    shape, found, state = Select(EVENTS, per_partition_limited=True), [], None
    while not found or state is not None:
        page = ask(events, shape, 3, fetch_size=size, paging_state=state)
        found, state = found + notes(page), page.paging_state
    assert found == "a31 a32 a21 b31 b32 b21".split()


@pytest.mark.parametrize("number", [0, -1, True, "1"])
def test_a_limit_of_partitions_is_a_positive_int(driver, number):
    with pytest.raises(InvalidQueryError, match="PER PARTITION LIMIT"):
        ask(driver, Select(EVENTS, per_partition_limited=True), number)


def test_groups_without_an_aggregate_are_their_first_rows(events):
    assert notes(ask(events, Select(EVENTS, group_by=("site",)))) == ["a31", "b31"]
    by_day = Select(EVENTS, (Selected("note"),), (Term("site"),), group_by=("site", "day"))
    assert notes(ask(events, by_day, "b")) == ["b31", "b21", "b11"]
    first = ask(events, Select(EVENTS, group_by=("site", "day")), fetch_size=4)
    rest = ask(events, Select(EVENTS, group_by=("site", "day")), paging_state=first.paging_state)
    assert notes(first) + notes(rest) == ["a31", "a21", "a11", "b31", "b21", "b11"]


def test_no_condition_of_a_where_holds_for_null(driver):
    insert(driver, EVENTS, site="a", day=1, hour=1)
    insert(driver, EVENTS, site="a", day=1, hour=2, note="x")
    assert notes(select(driver, EVENTS, where=[("note", "!=", "y")])) == ["x"]


@pytest.mark.parametrize(
    ("column", "value", "cql_type", "wanted"),
    [
        ("id", 5, "text", "5"),
        ("big", 300, "tinyint", 44),
        ("big", 2**31, "int", -(2**31)),
        ("big", 2**53 + 1, "double", 2.0**53),
        ("big", -7, "varint", -7),
        ("big", 7, "decimal", Decimal(7)),
        ("huge", 2**64 + 1, "bigint", 1),
        ("huge", 2**64, "text", str(2**64)),
        ("half", 0.1, "double", 0.10000000149011612),
        ("real", -2.9, "int", -2),
        ("real", 0.1, "float", 0.1),
        ("flag", True, "text", "true"),
        ("who", UUID(int=5), "ascii", str(UUID(int=5))),
        ("word", "x", "text", "x"),
        ("word", None, "text", None),
    ],
)
def test_casts(driver, column, value, cql_type, wanted):
    insert(driver, NUMBERS, **{"id": 5, column: value})
    (row,) = ask(driver, Select(NUMBERS, (Selected(column, cast=cql_type),))).items
    assert row == {f"cast({column} as {cql_type})": wanted}
    assert [type(each) for each in row.values()] == [type(wanted)]


@pytest.mark.parametrize(("column", "cql_type"), [("real", "text"), ("exact", "int"), ("word", "int"), ("id", "bool")])
def test_casts_that_would_not_be_cassandras_are_refused(driver, column, cql_type):
    with pytest.raises(InvalidQueryError, match=f"no CAST of .* as {cql_type}"):
        ask(driver, Select(NUMBERS, (Selected(column, cast=cql_type),)))


def summed(driver, *selected):
    (row,) = ask(driver, Select(NUMBERS, selected)).items
    return list(row.values())


def test_sums_are_exact_at_any_size(driver):
    sums = (Selected("big", "sum", "varint"), Selected("huge", "sum", "varint"), Selected("exact", "sum"))
    assert summed(driver, *sums)[1:] == [0, Decimal(0)]
    for number in range(3):
        insert(driver, NUMBERS, id=number, big=2**63 - 1, huge=10**40, exact=Decimal("1e20") + Decimal("0.00001"))
    assert summed(driver, *sums) == [3 * (2**63 - 1), 3 * 10**40, Decimal("300000000000000000000.00003")]
    insert(driver, NUMBERS, id=9, exact=Decimal("1e999999"))
    with pytest.raises(RowRejected, match="too large"):
        summed(driver, Selected("exact", "sum"))


def test_sums_and_averages_as_double(driver):
    both = [Selected(column, f, "double") for column in ("half", "real", "big") for f in ("sum", "avg")]
    assert summed(driver, *both) == [0.0] * 6
    for number in (1, 2):
        insert(driver, NUMBERS, id=number, half=number / 2, real=0.25, big=2**62)
    assert summed(driver, *both) == [1.5, 0.75, 0.5, 0.25, 2.0**63, 2.0**62]


def test_a_float_has_32_bits(driver):
    insert(driver, NUMBERS, id=1, half=1 / 3, reals=[0.1, 1 / 3])
    assert select(driver, NUMBERS, "half", "reals").items == [{"half": 0.33333334, "reals": [0.1, 0.33333334]}]
    assert len(select(driver, NUMBERS, where=[("half", "=", 1 / 3), ("reals", "CONTAINS", 0.1)]).items) == 1
    with pytest.raises(InvalidQueryError, match="half"):
        insert(driver, NUMBERS, id=1, half=1e39)


def test_decimals_are_equal_by_their_value(driver):
    prices = Table(
        "prices",
        (
            Column("id", "int", int, partition_index=0),
            Column("price", "decimal", Decimal),
            Column("seen", "set<decimal>", set[Decimal]),
            Column("steps", "list<decimal>", list[Decimal]),
        ),
    )
    make(driver, prices)
    given = {"price": Decimal("1.50"), "seen": {Decimal("1.50"), Decimal("1e30")}, "steps": [Decimal("1.50")]}
    insert(driver, prices, id=1, **given)
    assert select(driver, prices).items == [{"id": 1, **given}]
    assert str(select(driver, prices).items[0]["price"]) == "1.50"
    where = [
        ("price", "=", "1.5"),
        ("price", "IN", ("1.500",)),
        ("seen", "CONTAINS", "1.5"),
        ("steps", "CONTAINS", "1.5"),
    ]
    for column, operator, value in where:
        asked = tuple(map(Decimal, value)) if isinstance(value, tuple) else Decimal(value)
        assert len(select(driver, prices, where=[(column, operator, asked)]).items) == 1
    assert select(driver, prices, where=[("price", "!=", Decimal("1.5"))]).items == []
    add = Update(prices, (Change("seen", "append"),), (Term("id"),))
    driver.submit(Statement(add, ({Decimal("1.500"), Decimal("1e30")}, 1)))
    assert len(select(driver, prices).items[0]["seen"]) == 2
