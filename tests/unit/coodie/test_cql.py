"""Shapes as CQL text: names quoted, values bound, clauses in the order CQL wants."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from coodie.cql import render
from coodie.cql.quote import column_name, literal, object_name, stored_name
from coodie.schema import Column, Table, table_of
from coodie.statement import (
    AddColumn,
    AlterOptions,
    Change,
    CounterUpdate,
    CreateIndex,
    CreateTable,
    Delete,
    DropIndex,
    DropTable,
    Insert,
    Raw,
    ReadColumns,
    ReadIndexes,
    ReadOptions,
    Select,
    Selected,
    Term,
    Truncate,
    Update,
)
from tests.unit.coodie.models import DailyHits

DAILY = table_of(DailyHits).qualified("web")
T = Table("t", (Column("k", "text", partition_index=0), Column("v", "int"), Column("m", "map<text, int>")), "ks")
KEY = (Term("k"),)
LOOKUP = "WHERE keyspace_name = 'ks' AND table_name = 't'"


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        (
            CreateTable(DAILY),
            (
                'CREATE TABLE IF NOT EXISTS web.daily_hits ("site" text, "section" uuid, "day" date, "hits" counter, '
                'PRIMARY KEY (("site", "section"), "day")) WITH CLUSTERING ORDER BY ("day" DESC)'
            ),
        ),
        (
            CreateTable(replace(T, default_ttl=60, options=(("comment", "it's"), ("caching", {"keys": "ALL"})))),
            (
                'CREATE TABLE IF NOT EXISTS ks.t ("k" text, "v" int, "m" map<text, int>, PRIMARY KEY (("k"))) '
                "WITH default_time_to_live = 60 AND comment = 'it''s' AND caching = {'keys': 'ALL'}"
            ),
        ),
        (
            CounterUpdate(DAILY, ("hits",)),
            'UPDATE web.daily_hits SET "hits" = "hits" + ? WHERE "site" = ? AND "section" = ? AND "day" = ?',
        ),
        (Select(T), 'SELECT "k", "v", "m" FROM ks.t'),
        (Select(T, (Selected("*", "count"),), KEY), 'SELECT COUNT(*) FROM ks.t WHERE "k" = ?'),
        (Select(T, (Selected("v", cast="text"),)), 'SELECT CAST("v" AS text) FROM ks.t'),
        (
            Select(T, (), (Term("k", "IN"), Term("v", ">=")), (("v", True),), True, True),
            'SELECT "k", "v", "m" FROM ks.t WHERE "k" IN ? AND "v" >= ? ORDER BY "v" DESC LIMIT ? ALLOW FILTERING',
        ),
        (
            Select(T, (Selected("k"),), (Term("k", ">", token=True),), distinct=True, per_partition_limited=True),
            'SELECT DISTINCT "k" FROM ks.t WHERE TOKEN("k") > ? PER PARTITION LIMIT ?',
        ),
        (Insert(T, ("k", "v")), 'INSERT INTO ks.t ("k", "v") VALUES (?, ?)'),
        (
            Insert(T, ("k",), if_not_exists=True, ttl=True, timestamp=True),
            'INSERT INTO ks.t ("k") VALUES (?) IF NOT EXISTS USING TTL ? AND TIMESTAMP ?',
        ),
        (
            Update(T, (Change("v"), Change("m", "append")), KEY, ttl=True),
            'UPDATE ks.t USING TTL ? SET "v" = ?, "m" = "m" + ? WHERE "k" = ?',
        ),
        (Update(T, (Change("v"),), KEY, (Term("v"),)), 'UPDATE ks.t SET "v" = ? WHERE "k" = ? IF "v" = ?'),
        (Update(T, (Change("m", "put"),), KEY, if_exists=True), 'UPDATE ks.t SET "m"[?] = ? WHERE "k" = ? IF EXISTS'),
        (Delete(T, KEY), 'DELETE FROM ks.t WHERE "k" = ?'),
        (
            Delete(T, KEY, columns=("v",), elements=("m",), timestamp=True),
            'DELETE "v", "m"[?] FROM ks.t USING TIMESTAMP ? WHERE "k" = ?',
        ),
        (AddColumn(T, "v"), 'ALTER TABLE ks.t ADD "v" int'),
        (AlterOptions(T, (("a", "1"), ("b", "'x'"))), "ALTER TABLE ks.t WITH a = 1 AND b = 'x'"),
        (CreateIndex(T, "v", "t_v_idx"), 'CREATE INDEX IF NOT EXISTS t_v_idx ON ks.t ("v")'),
        (DropIndex(T, "t_v_idx"), "DROP INDEX IF EXISTS ks.t_v_idx"),
        (DropTable(T), "DROP TABLE IF EXISTS ks.t"),
        (Truncate(T), "TRUNCATE TABLE ks.t"),
        (ReadColumns(T), f"SELECT column_name, type, kind, position FROM system_schema.columns {LOOKUP}"),
        (ReadOptions(T), f"SELECT * FROM system_schema.tables {LOOKUP}"),
        (ReadIndexes(T), f"SELECT index_name FROM system_schema.indexes {LOOKUP}"),
        (Raw("SELECT 1"), "SELECT 1"),
    ],
)
def test_a_shape_has_its_text(shape: Any, text: str) -> None:
    assert render(shape) == text


@pytest.mark.parametrize(
    ("name", "text", "stored"),
    [
        ("hits", "hits", "hits"),
        ("Hits2", "Hits2", "hits2"),
        ("select", '"select"', "select"),
        ("Table", '"table"', "table"),
        ("page-hits", '"page-hits"', "page-hits"),
        ("_hidden", '"_hidden"', "_hidden"),
        ('"MyTable"', '"MyTable"', "MyTable"),
        ('x"; DROP TABLE y; --', '"x""; drop table y; --"', 'x"; drop table y; --'),
        ('"a"b"', '"""a""b"""', '"a"b"'),
    ],
)
def test_names_are_quoted_where_they_must_be(name: str, text: str, stored: str) -> None:
    assert (object_name(name), stored_name(name)) == (text, stored)


def test_columns_are_always_quoted_and_keep_their_case() -> None:
    assert column_name("createdAt") == '"createdAt"'
    assert column_name('a"b') == '"a""b"'


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("it's", "'it''s'"),
        (True, "true"),
        (0.1, "0.1"),
        ({"class": "X", "n": 4}, "{'class': 'X', 'n': 4}"),
        ([1], "[1]"),
    ],
)
def test_options_are_printed_as_literals(value: Any, text: str) -> None:
    assert literal(value) == text
