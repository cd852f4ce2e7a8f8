"""Which annotations have a CQL type, and which are refused."""

from __future__ import annotations

import enum
import typing
from datetime import date, datetime
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Any, Literal, NewType, Optional
from uuid import UUID

import pytest
from pydantic import (
    AwareDatetime,
    ByteSize,
    Field,
    FutureDate,
    IPvAnyAddress,
    NaiveDatetime,
    PastDatetime,
    PositiveInt,
    StrictStr,
)
from pydantic.types import UUID4

from coodie import sync
from coodie.exceptions import InvalidQueryError
from coodie.fields import BigInt, ClusteringKey, Duration, Frozen, PrimaryKey, TinyInt
from coodie.schema import Column, ColumnDefinition, build_schema
from coodie.types import CqlDuration, coerce_row_none_collections, python_type_to_cql_type_str

UserNumber = NewType("UserNumber", int)
Deep = NewType("Deep", UserNumber)
Bare = enum.Enum("Bare", {})


class Label(str):
    """A kind of text that pydantic cannot make."""

    __slots__ = ()


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (int | None, "int"),
        (Optional[Annotated[int, BigInt()]], "bigint"),  # noqa: UP045 - the old spelling is tested
        (Annotated[list[int], Frozen()], "frozen<list<int>>"),
        (CqlDuration, "duration"),
        (Annotated[CqlDuration, Duration()], "duration"),
        (list[CqlDuration], "list<duration>"),
        (UserNumber, "int"),
        (Annotated[Deep, TinyInt()], "tinyint"),
        (Literal["a", "b"], "text"),
        (Literal[1, 2], "int"),
        (IPv4Address | IPv6Address, "inet"),
        (IPv4Address | IPv6Address | None, "inet"),
        (IPvAnyAddress, "inet"),
        (AwareDatetime, "timestamp"),
        (PastDatetime, "timestamp"),
        (FutureDate, "date"),
        (PositiveInt, "int"),
        (StrictStr, "text"),
        (UUID4, "uuid"),
        (ByteSize, "int"),
        (Annotated[Decimal, Field(max_digits=5)], "decimal"),
        (typing.List[int], "list<int>"),  # noqa: UP006 - the old spelling is tested
        (dict[str, list[tuple[int, date]]], "map<text, frozen<list<tuple<int, date>>>>"),
        (set[frozenset[UUID]], "set<frozen<set<uuid>>>"),
    ],
)
def test_annotations_have_cql_types(annotation: Any, expected: str) -> None:
    assert python_type_to_cql_type_str(annotation) == expected


@pytest.mark.parametrize(
    ("annotation", "said"),
    [
        (object, "Cannot map Python type <class 'object'> to a CQL type"),
        (Any, "Cannot map Python type typing.Any to a CQL type"),
        (complex, "Cannot map Python type <class 'complex'> to a CQL type"),
        (list, "Cannot map Python type <class 'list'> to a CQL type"),
        (typing.List, "Cannot map Python type typing.List to a CQL type"),  # noqa: UP006 - the old spelling is tested
        (dict, "Cannot map Python type <class 'dict'> to a CQL type"),
        (tuple[int, ...], "Cannot map Python type tuple"),
        (list[object], "Cannot map Python type <class 'object'> to a CQL type"),
        (NaiveDatetime, "Cannot map Python type <class 'pydantic.types.NaiveDatetime'> to a CQL type"),
        (Label, "rows hold str, which pydantic does not take for it"),
        (list[Label], "rows hold str, which pydantic does not take for it"),
        (Bare, "its values are not of one type"),
        (Literal["a", 1], "its values are not of one type"),
        (int | str, r"Cannot map Union type int \| str to CQL"),
        (Optional[int | str], "Cannot map Union type"),  # noqa: UP045 - the old spelling is tested
        (Annotated[int, Frozen()], "Frozen.. is for collections, not for <class 'int'>"),
    ],
)
def test_what_has_no_cql_type_is_refused(annotation: Any, said: str) -> None:
    with pytest.raises(InvalidQueryError, match=said):
        python_type_to_cql_type_str(annotation)


def test_the_empty_collection_stands_for_null() -> None:
    class Kept(sync.Document):
        id: Annotated[int, PrimaryKey()]
        tags: set[str] | None = None
        names: Annotated[list[str], Frozen()] = []
        pair: tuple[int, int] | None = None

    row = {"id": 1, "tags": None, "names": None, "pair": None, "more": None}
    assert coerce_row_none_collections(Kept, row) == {"id": 1, "tags": set(), "names": [], "pair": None, "more": None}
    assert coerce_row_none_collections(Kept, {"tags": {"a"}}) == {"tags": {"a"}}


def test_an_unforeseen_failure_names_the_field() -> None:
    class Odd:
        """An annotation that cannot even be looked at."""

        def __class_getitem__(cls, item: Any) -> Any:
            return None

        @property
        def __supertype__(self) -> Any:
            raise RuntimeError("never")

    class Broken(sync.Document):
        id: Annotated[int, PrimaryKey()]
        odd: int

    Broken.model_fields["odd"].annotation = Odd()  # type: ignore[assignment]  # no class could say it
    with pytest.raises(InvalidQueryError, match="Cannot determine CQL type for field 'odd' on 'Broken': never"):
        build_schema(Broken)


@pytest.mark.parametrize(
    "annotation",
    [
        Annotated[CqlDuration, ClusteringKey()],
        set[CqlDuration],
        dict[CqlDuration, int],
        list[frozenset[CqlDuration]],
        dict[tuple[int, CqlDuration], int],
        Annotated[tuple[int, CqlDuration], ClusteringKey()],
    ],
)
def test_a_duration_where_an_order_is_needed_is_refused(annotation: Any) -> None:
    namespace = {"__annotations__": {"id": Annotated[int, PrimaryKey()], "period": annotation}}
    made: Any = type(sync.Document)("Made", (sync.Document,), {**namespace, "__module__": __name__})
    with pytest.raises(InvalidQueryError, match=r"Column 'period' .* durations have no order"):
        build_schema(made)


def test_a_column_has_the_name_that_users_know() -> None:
    assert ColumnDefinition is Column


def test_a_subclass_keeps_the_columns_of_its_own() -> None:
    class First(sync.Document):
        id: Annotated[int, PrimaryKey()]
        one: str = ""

    class Second(First):
        two: datetime | None = None

    assert [column.name for column in build_schema(First).columns] == ["id", "one"]
    assert [column.name for column in build_schema(Second).columns] == ["id", "one", "two"]


def test_annotations_of_a_function_are_resolved() -> None:
    Here = NewType("Here", int)

    class Local(sync.Document):
        id: Annotated[Here, PrimaryKey()]
        many: list[Here] = []

    assert [column.cql_type for column in build_schema(Local).columns] == ["int", "list<int>"]
