"""What acsylla cannot carry goes another way, or is refused by name."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from coodie.cql import render
from coodie.drivers.acsylla.detours import goes_as_json, results_of, text_of
from coodie.drivers.acsylla.values import convert_rows, readers_of, writers_of
from coodie.exceptions import InvalidQueryError
from coodie.schema import Column, Table
from coodie.statement import Batch, Change, Delete, Insert, Raw, Select, Selected, Shape, Statement, Term, Update

TABLE = Table(
    "bills",
    (
        Column("id", "text", str, partition_index=0),
        Column("at", "timestamp", datetime, clustering_index=0),
        Column("total", "decimal", Decimal),
        Column("parts", "map<text, decimal>", dict[str, Decimal]),
        Column("groups", "set<frozen<set<int>>>", set[frozenset[int]]),
    ),
    "ks",
)
OTHER = Table("notes", (Column("id", "text", str, partition_index=0), Column("n", "int", int)), "ks")
DELETED, ADDED = Delete(OTHER, (Term("id"),)), Insert(TABLE, ("id", "total"))


def text(shape: Shape) -> str:
    return text_of(Statement(shape, render=render))


@pytest.mark.parametrize(
    ("kind", "reading", "expected"),
    [
        ("decimal", False, True),
        ("map<text, frozen<list<decimal>>>", False, True),
        ("timestamp", True, False),
        ("list<timestamp>", False, False),
        ("list<timestamp>", True, True),
        ("set<frozen<set<int>>>", True, True),
        ("set<frozen<tuple<int, frozen<list<int>>>>>", True, True),
        ("map<frozen<list<int>>, int>", True, True),
        ("map<int, frozen<list<int>>>", True, False),
        ("set<frozen<tuple<int, text>>>", True, False),
        ("list<text>", True, False),
    ],
)
def test_what_goes_as_json(kind: str, reading: bool, expected: bool) -> None:
    assert goes_as_json(kind, reading=reading) is expected


def test_statements_of_other_tables_stay_as_they_are() -> None:
    statement = Statement(Select(OTHER), render=render)
    assert text_of(statement) is statement.cql


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (
            Insert(TABLE, ("id", "at", "total"), ttl=True),
            'INSERT INTO ks.bills ("id", "at", "total") VALUES (?, ?, fromJson(?)) USING TTL ?',
        ),
        (
            Update(TABLE, (Change("parts", "put"), Change("total")), (Term("id"), Term("at"))),
            'UPDATE ks.bills SET "parts"[?] = fromJson(?), "total" = fromJson(?) WHERE "id" = ? AND "at" = ?',
        ),
        (
            Select(TABLE, (Selected("id"), Selected("total")), (Term("total", ">"),), limited=True),
            'SELECT "id", TOJSON("total") FROM ks.bills WHERE "total" > fromJson(?) LIMIT ?',
        ),
        (
            Select(TABLE, (Selected("total", "max"), Selected("at", "min"), Selected("*", "count"))),
            'SELECT TOJSON(MAX("total")), TIMESTAMPASBLOB(MIN("at")), COUNT(*) FROM ks.bills',
        ),
        (
            Select(TABLE),
            'SELECT "id", TIMESTAMPASBLOB("at"), TOJSON("total"), TOJSON("parts"), TOJSON("groups") FROM ks.bills',
        ),
        (
            Batch((DELETED, ADDED)),
            f"BEGIN UNLOGGED BATCH {render(DELETED)}; {render(ADDED).replace('?, ?', '?, fromJson(?)')}; APPLY BATCH",
        ),
    ],
)
def test_texts_say_how_values_travel(shape: Shape, expected: str) -> None:
    assert text(shape) == expected


def test_a_name_with_a_comma_or_a_question_mark_is_no_end_of_anything() -> None:
    odd = Table("t", (Column("a, (b?", "text", partition_index=0), Column("v, FROM", "decimal")), "ks")
    assert text(Select(odd, where=(Term("v, FROM"),))) == (
        'SELECT "a, (b?", TOJSON("v, FROM") FROM ks.t WHERE "v, FROM" = fromJson(?)'
    )


@pytest.mark.parametrize(
    "shape",
    [
        Insert(TABLE, ("id", "at", "total"), if_not_exists=True),
        Update(TABLE, (Change("total"),), (Term("id"), Term("at")), (Term("total"),)),
        Delete(TABLE, (Term("id"), Term("at")), conditions=(Term("groups"),)),
        Batch((Update(TABLE, (Change("total"),), (Term("id"), Term("at")), (Term("parts"),)),)),
        Select(TABLE, where=(Term("total", "IN"),)),
    ],
)
def test_what_has_no_way_around_is_refused_by_name(shape: Shape) -> None:
    with pytest.raises(InvalidQueryError, match=r"acsylla cannot .*nothing was sent"):
        text(shape)


def test_conditions_on_other_columns_are_taken() -> None:
    shape = Update(TABLE, (Change("total"),), (Term("id"), Term("at")), if_exists=True)
    assert text(shape).endswith(" IF EXISTS")


def test_rows_are_read_under_the_names_of_their_columns() -> None:
    names = [
        "id",
        "system.timestampasblob(at)",
        "system.tojson(total)",
        "system.tojson(parts)",
        "system.tojson(groups)",
    ]
    rows: list[dict[str, Any]] = [dict(zip(names, ["a", bytes(8), "1.50", "null", "[[1]]"], strict=True))]
    convert_rows(rows, readers_of(names, Select(TABLE)))
    assert rows[0]["total"] == Decimal("1.50")
    assert (rows[0]["parts"], rows[0]["groups"]) == (None, {frozenset({1})})
    assert rows[0]["at"].year == 1970
    assert [result.name for result in results_of(Select(TABLE))] == list(TABLE.by_name)


def test_values_are_written_as_json() -> None:
    writers = dict(writers_of(Insert(TABLE, ("id", "total", "parts"))))
    assert writers[1](Decimal("1.50")) == '"1.50"'
    assert writers[2]({"a": Decimal(1)}) == '{"a": "1"}'
    assert 0 not in writers


@pytest.mark.parametrize("value", [Decimal(1), [Decimal(1)], {"a": Decimal(1)}, {"a": [(Decimal(1),)]}])
def test_a_decimal_for_a_text_of_the_users_is_refused(value: Any) -> None:
    ((_, writer),) = writers_of(Raw("INSERT INTO t (a) VALUES (?)"))
    assert writer("text") == "text"
    with pytest.raises(InvalidQueryError, match=r"fromJson.*nothing was sent"):
        writer(value)


def test_ascii_text_with_a_nul_is_refused() -> None:
    table = Table("t", (Column("k", "ascii", partition_index=0),), "ks")
    ((_, writer),) = writers_of(Insert(table, ("k",)))
    assert writer("plain") == "plain"
    with pytest.raises(InvalidQueryError, match="NUL"):
        writer("a\0b")
