"""Rows as JSON in the encoding of CQL, there and back."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address
from typing import Any
from uuid import UUID

import pytest

from coodie.durations import CqlDuration
from coodie.exceptions import InvalidQueryError
from coodie.json_values import json_text, json_value, row_json, values_of
from coodie.schema import Column, Table

ID = UUID(int=5)
NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)

CODED: list[tuple[str, Any, str]] = [
    ("text", 'a\0"\u00e9', '"a\\u0000\\"\\u00e9"'),
    ("int", -5, "-5"),
    ("varint", 2**70, str(2**70)),
    ("boolean", True, "true"),
    ("float", 0.1, "0.1"),
    ("double", 1e300, "1e+300"),
    ("double", math.inf, '"Infinity"'),
    ("double", -math.inf, '"-Infinity"'),
    ("decimal", Decimal("1.50"), '"1.50"'),
    ("blob", b"\0\xff", '"0x00ff"'),
    ("blob", b"", '"0x"'),
    ("uuid", ID, f'"{ID}"'),
    ("timestamp", NOON, '"2024-05-01 12:00:00.000Z"'),
    ("timestamp", datetime(1, 1, 1, tzinfo=UTC), '"0001-01-01 00:00:00.000Z"'),
    ("date", date(1, 1, 1), '"0001-01-01"'),
    ("time", time(1, 2, 3, 4), '"01:02:03.000004000"'),
    ("inet", IPv6Address("::1"), '"::1"'),
    ("duration", CqlDuration(1, 2, 3), '"1mo2d3ns"'),
    ("duration", CqlDuration(), '"0ns"'),
    ("list<int>", [2, 1], "[2, 1]"),
    ("set<int>", {10, 9, 100}, "[9, 10, 100]"),
    ("set<text>", {"b", "a", "10", "9"}, '["a", "b", "9", "10"]'),
    ("set<frozen<set<text>>>", {frozenset({"b", "a"})}, '[["a", "b"]]'),
    ("map<text, double>", {"b": 1.0, "a": 2.0}, '{"a": 2.0, "b": 1.0}'),
    ("map<int, boolean>", {10: True, 9: False}, '{"9": false, "10": true}'),
    ("map<boolean, blob>", {True: b"x"}, '{"true": "0x78"}'),
    ("map<frozen<list<text>>, uuid>", {("a", "b"): ID}, f'{{"[\\"a\\", \\"b\\"]": "{ID}"}}'),
    ("tuple<int, text, frozen<list<date>>>", (1, None, [date(2024, 1, 1)]), '[1, null, ["2024-01-01"]]'),
]


@pytest.mark.parametrize(("cql_type", "value", "text"), CODED)
def test_values_are_coded_as_cql_does_and_come_back(cql_type: str, value: Any, text: str) -> None:
    assert json_text(cql_type, value) == text
    json.loads(text)
    found = json_value(cql_type, text)
    assert (type(found), found) == (type(value), value)


def test_not_a_number_is_a_string() -> None:
    assert json_text("double", math.nan) == '"NaN"'
    assert math.isnan(json_value("double", '"NaN"'))


@pytest.mark.parametrize(
    ("cql_type", "text", "expected"),
    [
        ("decimal", "1.50", Decimal("1.50")),
        ("decimal", "1E-30", Decimal("1E-30")),
        ("bigint", '"5"', 5),
        ("boolean", '"TRUE"', True),
        ("timestamp", "1714564800000", NOON),
        ("timestamp", '"2024-05-01T14:00:00+02:00"', NOON),
        ("duration", '"1y"', CqlDuration(12)),
        ("duration", '""', CqlDuration()),
        ("inet", '"0:0:0:0:0:0:0:1"', IPv6Address("::1")),
        ("time", '"01:02:03.000000004"', time(1, 2, 3)),
        ("int", "null", None),
    ],
)
def test_what_cassandra_writes_is_read_too(cql_type: str, text: str, expected: Any) -> None:
    assert json_value(cql_type, text) == expected


def test_other_zones_are_told_in_utc() -> None:
    assert json_text("timestamp", NOON.astimezone(timezone(timedelta(hours=5)))) == '"2024-05-01 12:00:00.000Z"'


TABLE = Table(
    "t",
    (Column("id", "int", partition_index=0), Column("MyName", "text"), Column("ip", "map<text, frozen<set<inet>>>")),
)


def test_a_row_is_an_object_in_the_order_given() -> None:
    assert row_json(TABLE, {"MyName": None, "id": 1}) == '{"\\"MyName\\"": null, "id": 1}'


def test_a_row_comes_back_by_column() -> None:
    text = row_json(TABLE, {"id": 1, "MyName": "x", "ip": {"a": {IPv4Address("10.0.0.1")}}})
    assert values_of(TABLE, text) == {"id": 1, "MyName": "x", "ip": {"a": {IPv4Address("10.0.0.1")}}}
    assert values_of(TABLE, '{"ID": 2}') == {"id": 2}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "Not a JSON text"),
        ("[1]", "an object, not list"),
        ('{"nothing": 1}', "Unknown column 'nothing' in the JSON of table t"),
        ('{"MyName": "x"}', "Unknown column 'myname'"),
        ('{"id": "secret"}', r"Column 'id' \(int\) cannot hold this JSON str; nothing was written"),
        ('{"id": true}', "cannot hold this JSON bool"),
        ('{"id": 1.5}', "cannot hold this JSON Decimal"),
        ('{"ip": {"a": "10.0.0.1"}}', "Column 'ip'"),
        ('{"ip": []}', "Column 'ip'"),
    ],
)
def test_what_is_no_row_is_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(InvalidQueryError, match=said) as caught:
        values_of(TABLE, text)
    assert "secret" not in str(caught.value)
