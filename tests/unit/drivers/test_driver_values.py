"""Which values the drivers convert, and which they leave alone."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any
from uuid import UUID

import pytest
from cassandra import cqltypes

from coodie.drivers.acsylla.values import convert_rows, readers_of, writers_of
from coodie.drivers.cassandra.values import address_text, addresses_of, reader
from coodie.schema import Column, Table
from coodie.statement import Change, CounterUpdate, Delete, Insert, Raw, Select, Selected, Term, Update

TABLE = Table(
    "things",
    (
        Column("id", "varint", int, partition_index=0),
        Column("at", "timestamp", datetime, clustering_index=0),
        Column("name", "text"),
        Column("tags", "frozen<set<uuid>>", frozenset[UUID]),
        Column("seen", "map<text, frozen<list<timestamp>>>", dict[str, list[datetime]]),
        Column("views", "counter", int, counter=True),
    ),
    "ks",
)
NAIVE, AWARE = datetime(2024, 1, 1), datetime(2024, 1, 1, tzinfo=UTC)  # noqa: DTZ001 - the one without zone
ID = UUID(int=5)


def written(shape: Any, values: tuple[Any, ...]) -> tuple[Any, ...]:
    writers = dict(writers_of(shape))
    return tuple(writers[i](value) if i in writers else value for i, value in enumerate(values))


@pytest.mark.parametrize(
    ("shape", "values", "expected"),
    [
        (Insert(TABLE, ("id", "at", "name"), ttl=True), (-1, NAIVE, "x", 60), (b"\xff", AWARE, "x", 60)),
        (CounterUpdate(TABLE, ("views",)), (3, 128, NAIVE), (3, b"\x00\x80", AWARE)),
        (Select(TABLE, where=(Term("id"), Term("at", ">=")), limited=True), (0, NAIVE, 9), (b"\x00", AWARE, 9)),
        (Select(TABLE, where=(Term("at", "IN"),)), ((NAIVE, AWARE),), ([AWARE, AWARE],)),
        (Select(TABLE, where=(Term("id", ">", token=True),)), (7,), (7,)),
        (Delete(TABLE, where=(Term("id"),), timestamp=True), (12, 1), (12, b"\x01")),
        (Delete(TABLE, where=(Term("id"),), elements=("seen",)), ("a", 1), ("a", b"\x01")),
        (
            Update(TABLE, (Change("name"), Change("seen", "put")), (Term("id"),), (Term("at"),), ttl=True),
            (60, "x", "a", [NAIVE], 1, NAIVE),
            (60, "x", "a", [AWARE], b"\x01", AWARE),
        ),
        (Update(TABLE, (Change("seen", "append"),), (Term("id"),)), ({"a": [NAIVE]}, 1), ({"a": [AWARE]}, b"\x01")),
        (Raw("SELECT ?"), (1,), (1,)),
    ],
)
def test_acsylla_is_given_varints_as_bytes_and_times_with_a_zone(
    shape: Any, values: tuple[Any, ...], expected: tuple[Any, ...]
) -> None:
    assert written(shape, values) == expected


def test_acsyllas_texts_and_bytes_become_the_declared_types() -> None:
    moment, function = (1704067200000).to_bytes(8, "big"), "system.timestampasblob(at)"
    rows: list[dict[str, Any]] = [
        {
            "id": b"\x80",
            function: moment,
            "name": "x",
            "tags": {str(ID)},
            "seen": '{"a": ["2024-01-01 00:00:00.000Z"]}',
            "views": 1,
        },
        {"id": b"\x00", function: moment, "name": None, "tags": None, "seen": None, "views": None},
    ]
    convert_rows(rows, readers_of(list(rows[0]), Select(TABLE)))
    assert rows[0] == {
        "id": -128, "at": AWARE, "name": "x", "tags": frozenset({ID}), "seen": {"a": [AWARE]}, "views": 1,
    }  # fmt: skip
    assert isinstance(rows[0]["tags"], frozenset)
    assert rows[1]["tags"] is None


def test_acsyllas_functions_have_the_type_of_their_argument_or_cast() -> None:
    selected = (
        Selected("views", function="sum", cast="varint"),
        Selected("id", function="max"),
        Selected("id", function="writetime"),
        Selected("*", function="count"),
        Selected("name", cast="uuid"),
    )
    row: dict[str, Any] = {"a": b"\x01\x00", "b": b"\x7f", "c": 12, "d": 3, "e": str(ID)}
    convert_rows([row], readers_of(list(row), Select(TABLE, selected)))
    assert row == {"a": 256, "b": 127, "c": 12, "d": 3, "e": ID}


@pytest.mark.parametrize(
    "kind",
    [
        cqltypes.UTF8Type,
        cqltypes.Int32Type,
        cqltypes.CounterColumnType,
        cqltypes.UUIDType,
        cqltypes.BytesType,
        cqltypes.ListType.apply_parameters([cqltypes.Int32Type]),
        cqltypes.TupleType.apply_parameters([cqltypes.Int32Type, cqltypes.UTF8Type]),
    ],
)
def test_most_types_cost_cassandra_driver_nothing_per_row(kind: Any) -> None:
    assert reader(kind) is None


def test_addresses_are_found_and_written_at_any_depth() -> None:
    nested = cqltypes.MapType.apply_parameters(
        [cqltypes.UTF8Type, cqltypes.ListType.apply_parameters([cqltypes.InetAddressType])]
    )
    assert addresses_of([cqltypes.UTF8Type, cqltypes.InetAddressType, nested]) == (1, 2)
    address = ip_address("192.0.2.1")
    assert address_text({"a": [address, None]}) == {"a": ["192.0.2.1", None]}
    assert address_text((address, {address})) == ("192.0.2.1", {"192.0.2.1"})
