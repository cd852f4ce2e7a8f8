"""Canonical key values: equal keys get one spelling, impossible ones are refused."""

from __future__ import annotations

import enum
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address
from typing import Any
from uuid import UUID, uuid1, uuid4

import pytest

from coodie.exceptions import InvalidQueryError
from coodie.schema import Column
from coodie.types import canonical, encoded_size

ID = UUID("AAAAAAAA-bbbb-4ccc-8ddd-eeeeeeeeeeee")
NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


class Colour(enum.Enum):
    """An enum that is no string by itself."""

    RED = "red"


class Text(str):
    """A kind of text."""

    __slots__ = ()


def key(cql_type: str) -> Column:
    return Column("k", cql_type, partition_index=0)


@pytest.mark.parametrize(
    ("cql_type", "spellings", "expected"),
    [
        ("text", [Text("red"), Colour.RED, "red"], "red"),
        ("uuid", [ID, str(ID), str(ID).upper()], ID),
        ("timestamp", [NOON, NOON.replace(tzinfo=None), NOON + timedelta(microseconds=999)], NOON),
        ("timestamp", [NOON.astimezone(timezone(timedelta(hours=5)))], NOON),
        ("blob", [b"ab", bytearray(b"ab"), memoryview(b"ab")], b"ab"),
        ("double", [1, 1.0], 1.0),
        ("decimal", [Decimal("1.0"), Decimal("1.00"), Decimal(1)], Decimal(1)),
        ("inet", [IPv4Address("10.0.0.1"), "10.0.0.1"], IPv4Address("10.0.0.1")),
        ("inet", ["::1"], IPv6Address("::1")),
        ("frozen<list<int>>", [[1, 2], (1, 2)], (1, 2)),
        ("frozen<set<int>>", [{1, 2}, frozenset({2, 1})], frozenset({1, 2})),
        ("frozen<list<frozen<list<uuid>>>>", [[[str(ID)], []], ((ID,), ())], ((ID,), ())),
        ("tuple<uuid, frozen<tuple<int, text>>>", [[str(ID), [1, "x"]]], (ID, (1, "x"))),
    ],
)
def test_equal_keys_have_one_spelling(cql_type: str, spellings: list[Any], expected: Any) -> None:
    found = [canonical(key(cql_type), spelling) for spelling in spellings]
    assert {(type(value), repr(value)) for value in found} == {(type(expected), repr(expected))}
    assert {hash(value) for value in found} == {hash(expected)}


def test_zero_has_no_sign() -> None:
    assert repr(canonical(key("double"), -0.0)) == "0.0"
    assert repr(canonical(key("float"), -1e-190)) == "0.0"
    assert str(canonical(key("decimal"), Decimal("-0.00"))) == "0"


def test_a_decimal_of_many_digits_is_not_rounded() -> None:
    many = Decimal("1234567890123456789012345678901234567890.50")
    assert canonical(key("decimal"), many) == many


def test_a_float_key_is_what_the_database_stores() -> None:
    stored = canonical(key("float"), 0.1)
    assert stored != 0.1
    assert canonical(key("float"), stored) == stored


@pytest.mark.parametrize(("cql_type", "bits"), [("tinyint", 7), ("smallint", 15), ("int", 31), ("bigint", 63)])
def test_integers_fit_their_column(cql_type: str, bits: int) -> None:
    for fitting in (2**bits - 1, -(2**bits), 0):
        assert canonical(key(cql_type), fitting) == fitting
    for outside in (2**bits, -(2**bits) - 1):
        with pytest.raises(InvalidQueryError, match=rf"'k' \({cql_type}\) takes integers from -2\*\*{bits}"):
            canonical(key(cql_type), outside)


@pytest.mark.parametrize(
    ("cql_type", "value"),
    [
        ("text", 1),
        ("text", b"x"),
        ("ascii", "é"),
        ("int", True),
        ("int", 1.0),
        ("int", "1"),
        ("boolean", 1),
        ("blob", "x"),
        ("double", "1"),
        ("double", True),
        ("double", float("nan")),
        ("double", 10**400),
        ("float", 1e300),
        ("decimal", 1.5),
        ("decimal", Decimal("NaN")),
        ("decimal", Decimal("1E+9999999999")),
        ("decimal", Decimal("1E-2147483648")),
        ("uuid", "not a uuid"),
        ("uuid", 5),
        ("timeuuid", uuid4()),
        ("timestamp", date(2024, 5, 1)),
        ("timestamp", "2024-05-01"),
        ("timestamp", datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5)))),
        ("date", NOON),
        ("time", time(1, tzinfo=UTC)),
        ("inet", "10.0.0.999"),
        ("inet", 5),
        ("inet", IPv6Address("fe80::1%eth0")),
        ("inet", "fe80::1%eth0"),
        ("frozen<list<int>>", {1}),
        ("frozen<list<int>>", [1, "2"]),
        ("frozen<set<tinyint>>", {200}),
        ("tuple<int, text>", (1, "one", 2)),
        ("tuple<int, text>", ("one", 1)),
        ("frozen<map<text, int>>", {"a": 1}),
    ],
)
def test_what_a_column_cannot_hold_is_refused_by_name(cql_type: str, value: Any) -> None:
    with pytest.raises(InvalidQueryError, match=r"'k'.*nothing was sent"):
        canonical(key(cql_type), value)


@pytest.mark.parametrize("cql_type", ["text", "int", "uuid", "date", "frozen<list<int>>"])
def test_none_is_no_key(cql_type: str) -> None:
    with pytest.raises(InvalidQueryError, match=r"None"):
        canonical(key(cql_type), None)


def test_a_version_1_uuid_is_a_timeuuid() -> None:
    moment = uuid1()
    assert canonical(key("timeuuid"), moment) == moment


def test_only_keys_are_limited_in_size() -> None:
    assert canonical(Column("c", "text"), "x" * 70_000) == "x" * 70_000
    for cql_type, value in (("blob", b"x" * 70_000), ("varint", 1 << 8 * 70_000 - 2)):
        with pytest.raises(InvalidQueryError, match=r"at most 65535 bytes as a key, not 70000"):
            canonical(key(cql_type), value)


@pytest.mark.parametrize(
    ("cql_type", "value", "beyond"),
    [
        ("varint", 2 ** (8 * 65_535 - 1) - 1, 2 ** (8 * 65_535 - 1)),
        ("varint", -(2 ** (8 * 65_535 - 1)), -(2 ** (8 * 65_535 - 1)) - 1),
        ("decimal", Decimal(2 ** (8 * 65_531 - 1) - 1), Decimal(2 ** (8 * 65_531 - 1) + 1)),
        ("frozen<list<text>>", ["x" * 40_000, "x" * 25_523], ["x" * 40_000, "x" * 25_524]),
        ("tuple<text, int>", ("x" * 65_523, 1), ("x" * 65_524, 1)),
    ],
    ids=["varint", "negative varint", "decimal", "list", "tuple"],
)
def test_the_longest_key_of_a_type_is_taken_and_one_byte_more_is_not(cql_type: str, value: Any, beyond: Any) -> None:
    assert encoded_size(cql_type, canonical(key(cql_type), value)) == 65_535
    with pytest.raises(InvalidQueryError, match=r"'k'.* at most 65535 bytes as a key, not 65536"):
        canonical(key(cql_type), beyond)


def test_a_decimal_of_far_too_many_digits_is_refused_without_measuring_it() -> None:
    with pytest.raises(InvalidQueryError, match=r"at most 65535 bytes as a key, not 1000000 digits"):
        canonical(key("decimal"), Decimal("9" * 1_000_000))


def test_the_exponents_that_32_bits_hold_are_taken() -> None:
    for fitting in (Decimal("1E+2147483648"), Decimal("1E-2147483647"), Decimal("10E+2147483647")):
        assert canonical(key("decimal"), fitting) == fitting


def test_other_columns_take_decimals_as_they_are_spelled() -> None:
    assert str(canonical(Column("c", "decimal"), Decimal("1.50"))) == "1.50"
    with pytest.raises(InvalidQueryError, match=r"'c'.*exponents from"):
        canonical(Column("c", "decimal"), Decimal("1E+9999999999"))


@pytest.mark.parametrize(
    ("cql_type", "value", "size"),
    [
        ("text", "é", 2),
        ("blob", b"abc", 3),
        ("int", 1, 4),
        ("bigint", 1, 8),
        ("boolean", True, 1),
        ("varint", 127, 1),
        ("varint", 128, 2),
        ("varint", -128, 1),
        ("decimal", Decimal("-1.28"), 5),
        ("inet", IPv4Address("10.0.0.1"), 4),
        ("inet", IPv6Address("::1"), 16),
        ("uuid", ID, 16),
        ("timestamp", NOON, 8),
        ("frozen<set<int>>", frozenset({1, 2}), 20),
        ("tuple<int, text>", (1, "ab"), 14),
    ],
)
def test_sizes_are_those_of_the_binary_protocol(cql_type: str, value: Any, size: int) -> None:
    assert encoded_size(cql_type, value) == size


def test_two_unicode_spellings_are_two_keys() -> None:
    assert canonical(key("text"), "\u00e9") != canonical(key("text"), "e\u0301")
