"""Aggregates as statements, and the answers made of what comes back."""

from __future__ import annotations

import decimal
from decimal import Decimal
from typing import Annotated, Any

import pytest

from coodie.exceptions import InvalidQueryError, RowRejected
from coodie.fields import ClusteringKey, PrimaryKey, SmallInt
from coodie.plans import aggregates
from coodie.query import Query
from coodie.schema import table_of
from coodie.sync import Document
from tests.unit.coodie.driving import drive
from tests.unit.coodie.models import ExactHits, PageHits


class Sample(Document):
    """Numbers of three kinds."""

    place: Annotated[str, PrimaryKey()]
    number: Annotated[int, ClusteringKey(), SmallInt()]
    weight: float
    price: Decimal
    tags: set[str]


SAMPLES, HITS, EXACT = table_of(Sample), table_of(PageHits), table_of(ExactHits)
ALL = Query()


def single(function: str, column: str, *values: Any) -> tuple[str, Any]:
    """Return the text of one aggregate and its answer to these values."""
    row = {str(place): value for place, value in enumerate(values)}
    (sent,), answer = drive(aggregates.single(SAMPLES, ALL, function, column), [row] if values else [])
    return sent.cql, answer


def test_each_kind_of_number_is_added_up_without_loss() -> None:
    assert single("sum", "number", 2**70) == ('SELECT SUM(CAST("number" AS varint)) FROM sample', 2**70)
    assert single("sum", "weight", 0.5) == ('SELECT SUM(CAST("weight" AS double)) FROM sample', 0.5)
    assert single("sum", "price", Decimal("0.1")) == ('SELECT SUM("price") FROM sample', Decimal("0.1"))


def test_an_average_is_the_sum_divided_by_the_number_of_values() -> None:
    assert single("avg", "number", 7, 2) == (
        'SELECT SUM(CAST("number" AS varint)), COUNT("number") FROM sample', 3.5
    )  # fmt: skip
    assert single("avg", "number", 0, 0)[1] is None
    with decimal.localcontext(prec=2):  # the caller's context is not ours
        assert single("avg", "price", Decimal("123456.75"), 3)[1] == Decimal("41152.25")
    long = Decimal("1." + "3" * 60)
    assert single("avg", "price", long, 1)[1] == long


@pytest.mark.parametrize("rows", [[], [{"s": None, "n": 0}]])
def test_nothing_adds_up_to_zero(rows: list[dict[str, Any]]) -> None:
    for column, zero in (("number", 0), ("weight", 0.0), ("price", Decimal(0))):
        _, answer = drive(aggregates.single(SAMPLES, ALL, "sum", column), [{"s": None} for _ in rows])
        assert (answer, type(answer)) == (zero, type(zero))
    assert drive(aggregates.single(SAMPLES, ALL, "avg", "number"), rows)[1] is None


def test_what_several_have_in_common_is_selected_once() -> None:
    query = Sample.find(place="a").consistency("ONE").timeout(2)._query
    calls = {"s": "sum(number)", "m": "avg( number )", "n": "COUNT(*)", "again": "count(*)", "last": "max(price)"}
    answers = [{"a": 6, "b": 3, "c": 4, "d": Decimal(2)}]
    (sent,), found = drive(aggregates.aggregate(SAMPLES, query, calls), answers)
    assert sent.cql == (
        'SELECT SUM(CAST("number" AS varint)), COUNT("number"), COUNT(*), MAX("price") FROM sample WHERE "place" = ?'
    )
    assert (sent.values, sent.consistency, sent.timeout) == (("a",), "ONE", 2)
    assert found == {"s": 6, "m": 2.0, "n": 4, "again": 4, "last": Decimal(2)}


def test_an_empty_in_costs_no_round_trip() -> None:
    query = Sample.find(place__in=[])._query
    assert drive(aggregates.aggregate(SAMPLES, query, {"n": "count(*)", "m": "min(price)"})) == (
        [],
        {"n": 0, "m": None},
    )
    assert drive(aggregates.first_cell(SAMPLES, query, "ttl", "price")) == ([], None)


def test_the_age_of_a_value_is_that_of_the_first_row() -> None:
    query = Sample.find(place="a").order_by("-number").limit(5)._query
    (sent,), found = drive(aggregates.first_cell(SAMPLES, query, "writetime", "price"), [{"writetime(price)": 9}])
    assert sent.cql == 'SELECT WRITETIME("price") FROM sample WHERE "place" = ? ORDER BY "number" DESC LIMIT ?'
    assert (sent.values, found) == (("a", 1), 9)
    assert drive(aggregates.first_cell(SAMPLES, query, "ttl", "price"))[1] is None


def test_a_sum_of_counters_beyond_64_bits_is_refused() -> None:
    assert drive(aggregates.single(HITS, ALL, "sum", "views"), [{"s": 2**63 - 1}])[1] == 2**63 - 1
    for total in (2**63, -(2**63) - 1):
        with pytest.raises(RowRejected, match="sum of column 'views' of table page_hits is beyond 64 bits"):
            drive(aggregates.single(HITS, ALL, "sum", "views"), [{"s": total}])


def test_sums_of_an_exact_table_are_over_all_writers() -> None:
    query = ExactHits.find(site="a", day__gte=3)._query
    (sent,), total = drive(aggregates.single(EXACT, query, "sum", "views"), [{"s": 12}])
    assert sent.cql == 'SELECT SUM(CAST("views" AS varint)) FROM exact_hits WHERE "site" = ? AND "day" >= ?'
    assert (sent.shape.table, total) == (EXACT.stored, 12)  # type: ignore[union-attr]  # a SELECT has a table
    assert drive(aggregates.aggregate(EXACT, query, {"last": "max(day)"}), [{"m": 9}])[1] == {"last": 9}


@pytest.mark.parametrize("call", ["avg(views)", "min(views)", "max(views)", "count(views)", "count(*)", "sum(day)",
                                  "avg(day)", "count(day)"])  # fmt: skip
def test_what_would_count_writers_is_refused(call: str) -> None:
    with pytest.raises(InvalidQueryError, match="exact table exact_hits would be over the rows of its writers"):
        aggregates.aggregate(EXACT, ALL, {"n": call})


@pytest.mark.parametrize(
    ("table", "column", "said"),
    [
        (SAMPLES, "place", "'place' is part of the primary key: it has no ttl"),
        (SAMPLES, "tags", r"'tags' \(set<text>\) has a ttl for each of its elements"),
        (SAMPLES, "colour", "Unknown column 'colour'"),
        (HITS, "views", "'views' is a counter: it has no ttl"),
    ],
)
def test_what_has_no_single_age_is_refused(table: Any, column: str, said: str) -> None:
    with pytest.raises(InvalidQueryError, match=said):
        aggregates.first_cell(table, ALL, "ttl", column)
