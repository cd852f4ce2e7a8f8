"""The form in which values are written: checked, and as every database of CQL stores them."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest

from coodie.durations import CqlDuration
from coodie.exceptions import InvalidQueryError
from coodie.floats import in_32_bits, shortest
from coodie.schema import Column
from coodie.type_text import collection_of
from coodie.types import element_writer, row_writer_of, writer_of

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
ID = UUID(int=5)


class Colour(Enum):
    """Stored by value."""

    RED = "red"


class Text(str):
    """A kind of text."""

    __slots__ = ()


def written(cql_type: str, value: Any) -> Any:
    return writer_of(Column("c", cql_type))(value)


@pytest.mark.parametrize(
    ("cql_type", "value", "expected"),
    [
        ("text", Text("a"), "a"),
        ("text", Colour.RED, "red"),
        ("text", "\u00e9", "\u00e9"),
        ("int", True + 1, 2),
        ("float", 0.1, 0.10000000149011612),
        ("double", 0.1, 0.1),
        ("double", 1, 1.0),
        ("blob", bytearray(b"x"), b"x"),
        ("uuid", str(ID), ID),
        ("timestamp", NOON.replace(tzinfo=None), NOON),
        ("timestamp", NOON.astimezone(timezone(timedelta(hours=-9))) + timedelta(microseconds=999), NOON),
        ("decimal", Decimal("-0.00"), Decimal("0.00")),
        ("list<text>", (Text("a"), Colour.RED), ["a", "red"]),
        ("frozen<list<int>>", [], []),
        ("set<frozen<list<int>>>", {(1, 2)}, {(1, 2)}),
        ("set<frozen<set<int>>>", {frozenset({1})}, {frozenset({1})}),
        ("map<text, frozen<list<uuid>>>", {Colour.RED: [str(ID)]}, {"red": [ID]}),
        ("tuple<int, text>", [None, "a"], (None, "a")),
    ],
)
def test_values_are_written_in_one_form(cql_type: str, value: Any, expected: Any) -> None:
    found = written(cql_type, value)
    assert (type(found), repr(found)) == (type(expected), repr(expected))


@pytest.mark.parametrize(
    "cql_type", ["text", "int", "double", "timestamp", "list<int>", "tuple<int, text>", "duration"]
)
def test_none_stays_none(cql_type: str) -> None:
    assert written(cql_type, None) is None


def test_what_is_no_key_may_be_not_a_number_and_of_any_size() -> None:
    assert math.isnan(written("double", math.nan))
    assert math.isnan(written("float", math.nan))
    assert len(written("text", "x" * 70_000)) == 70_000


@pytest.mark.parametrize(
    ("cql_type", "value", "why"),
    [
        ("int", 2**31, "integers from"),
        ("int", True, "takes int, not bool"),
        ("float", 1e39, "within its width"),
        ("text", "\ud800", "lone surrogate"),
        ("list<int>", [1, None], "no None inside a collection"),
        ("set<text>", {None}, "no None inside a collection"),
        ("map<text, int>", {"a": None}, "no None inside a collection"),
        ("map<text, int>", {None: 1}, "no None inside a collection"),
        ("map<text, int>", [("a", 1)], "takes a map, not list"),
        ("list<int>", "12", "takes a list, not str"),
        ("set<int>", [1], "takes a set, not list"),
        ("list<frozen<list<text>>>", [["a"], [5]], "takes str, not int"),
        ("tuple<int, text>", (1,), "takes 2 elements, not 1"),
        ("duration", timedelta(1), "takes a CqlDuration, not timedelta"),
    ],
)
def test_what_a_column_cannot_hold_is_refused_by_name(cql_type: str, value: Any, why: str) -> None:
    with pytest.raises(InvalidQueryError, match=rf"Column 'c' .*{why}.*; nothing was sent"):
        written(cql_type, value)


def test_elements_are_checked_one_by_one() -> None:
    column = Column("c", "list<int>")
    assert element_writer(column, "int")(5) == 5
    with pytest.raises(InvalidQueryError, match="no None inside"):
        element_writer(column, "int")(None)
    assert element_writer(column, "frozen<list<int>>", hashable=True)([1]) == (1,)


@pytest.mark.parametrize("number", [0.1, 1e-6, 123456.0, 16777215.0, 3.4028235e38, 1e-45, 0.3, -7.25, 9.999999e9])
def test_a_number_of_few_digits_survives_32_bits(number: float) -> None:
    assert shortest(in_32_bits(number)) == number


@pytest.mark.parametrize("number", [1 / 3, math.pi, 16777217.3, 1e38 / 7])
def test_a_number_of_many_digits_is_rounded_once(number: float) -> None:
    once = shortest(in_32_bits(number))
    assert once == pytest.approx(number, rel=1e-7)
    assert in_32_bits(once) == in_32_bits(number)
    assert shortest(in_32_bits(once)) == once


def test_numbers_without_end_have_no_digits() -> None:
    assert shortest(math.inf) == math.inf
    assert shortest(-math.inf) == -math.inf
    assert math.isnan(shortest(math.nan))


@pytest.mark.parametrize(
    ("cql_type", "expected"),
    [
        ("int", ("int", ())),
        ("list<int>", ("list", ("int",))),
        ("frozen<frozen<set<text>>>", ("set", ("text",))),
        ("map<text, frozen<map<int, list<uuid>>>>", ("map", ("text", "frozen<map<int, list<uuid>>>"))),
        ("tuple<int,tuple<text,blob>,date>", ("tuple", ("int", "tuple<text,blob>", "date"))),
    ],
)
def test_types_are_taken_apart(cql_type: str, expected: tuple[str, tuple[str, ...]]) -> None:
    assert collection_of(cql_type) == expected


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (CqlDuration(1, 2, 3), "1mo2d3ns"),
        (CqlDuration(-1, 0, -3), "-1mo3ns"),
        (CqlDuration(), "0ns"),
        (CqlDuration(nanoseconds=2**63 - 1), "9223372036854775807ns"),
        (CqlDuration(-(2**31), 0, -(2**63)), "-2147483648mo9223372036854775808ns"),
    ],
)
def test_durations_print_as_cql_and_are_read_back(duration: CqlDuration, text: str) -> None:
    assert str(duration) == text
    assert CqlDuration.parse(text) == duration


def test_durations_are_read_in_every_unit() -> None:
    assert CqlDuration.parse("1y2mo3w4d5h6m7s8ms9us10ns") == CqlDuration(14, 25, 18_367_008_009_010)
    assert CqlDuration.parse("2µs") == CqlDuration(nanoseconds=2_000)
    assert CqlDuration.parse("") == CqlDuration()


@pytest.mark.parametrize("text", ["1", "mo", "1x", "1mo 2d", "--1d", "1.5h"])
def test_other_texts_are_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="1mo2d3ns"):
        CqlDuration.parse(text)


@pytest.mark.parametrize("parts", [(1, -1, 0), (0, 1, -1), (2**31, 0, 0), (0, 0, -(2**63) - 1)])
def test_impossible_durations_are_refused(parts: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="CqlDuration takes"):
        CqlDuration(*parts)


def test_durations_hold_integers() -> None:
    with pytest.raises(TypeError, match="not float"):
        CqlDuration(1.5)  # type: ignore[arg-type]  # what is refused
    assert len({CqlDuration(1), CqlDuration(1), CqlDuration(2)}) == 2


def test_the_values_of_a_row_are_written_each_by_its_own_writer_in_their_order() -> None:
    write_row = row_writer_of({"b": str, "a": abs, 'it\'s \\ "x"]': len})
    assert write_row({"a": -1, 'it\'s \\ "x"]': "two", "b": 3, "c": None}) == ("3", 1, 3)
    assert row_writer_of({})({"a": 1}) == ()
    with pytest.raises(KeyError, match="'a'"):
        write_row({"b": 3})
