"""Plain documents on every store: what is saved comes back as it was."""

from __future__ import annotations

import enum
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Any
from uuid import UUID, uuid4

import pytest
from pydantic import Field

from coodie.exceptions import MultipleDocumentsFound
from coodie.fields import Ascii, BigInt, ClusteringKey, Double, Frozen, PrimaryKey, SmallInt, TinyInt, VarInt
from coodie.results import LWTResult
from tests.contract.stores import Store, fresh


class Colour(enum.Enum):
    """Stored by value."""

    RED = "red"


def posts_model(store: Store) -> Any:
    """Return a model of posts."""

    class Post(store.face.Document):  # type: ignore[name-defined,misc]  # a face chosen at run time
        author: Annotated[str, PrimaryKey()]
        number: Annotated[int, ClusteringKey()]
        title: str = "untitled"
        tags: set[str] = Field(default_factory=set)
        score: int | None = None

        class Settings:
            name = fresh("posts")

    return Post


@pytest.fixture
def posts(store: Store) -> Any:
    """Give a model of posts on a table that the tests share: each writes for an author of its own."""
    return store.once("posts", posts_model)


@pytest.fixture
def ann() -> str:
    """Give an author no other test writes for."""
    return fresh("ann")


MOMENT = datetime(2024, 5, 1, 12, 30, 15, 123_000, tzinfo=UTC)
VALUES: list[tuple[Any, list[Any]]] = [
    (str, ["", "text", "a\0b", "\N{SNOWMAN}", "x" * 70_000]),
    (Annotated[str, Ascii()], ["plain"]),
    (int, [0, 2**31 - 1, -(2**31)]),
    (Annotated[int, BigInt()], [2**63 - 1, -(2**63)]),
    (Annotated[int, SmallInt()], [-(2**15)]),
    (Annotated[int, TinyInt()], [127]),
    (Annotated[int, VarInt()], [10**40, -(10**40), 0]),
    (float, [1.5, -0.25]),
    (Annotated[float, Double()], [0.1, 1e300, float("inf")]),
    (bool, [True, False]),
    (bytes, [b"", b"\x00\xff"]),
    (UUID, [uuid4()]),
    (datetime, [MOMENT, MOMENT.astimezone(timezone(timedelta(hours=5))), datetime(1969, 12, 31, 23, tzinfo=UTC)]),
    (date, [date(2024, 2, 29), date(1, 1, 1), date(9999, 12, 31)]),
    (time, [time(0), time(23, 59, 59, 999_999)]),
    (Decimal, [Decimal("1.50"), Decimal("-12345678901234567890.123456789")]),
    (IPv4Address, [IPv4Address("10.0.0.1")]),
    (IPv6Address, [IPv6Address("2001:db8::1")]),
    (list[int], [[], [3, 1, 2, 1]]),
    (set[str], [set(), {"a", "b"}]),
    (dict[str, int], [{}, {"a": 1, "b": 2}]),
    (dict[UUID, datetime], [{uuid4(): MOMENT}]),
    (list[Decimal], [[Decimal("0.10")]]),
    (tuple[int, str], [(1, "one")]),
    (frozenset[date], [frozenset({date(2024, 5, 1)})]),
    (Annotated[list[date], Frozen()], [[date(2024, 5, 1)]]),
    (Colour, ["red"]),
    (int | None, [None, 5]),
]


def made(base: type[Any], annotations: dict[str, Any], **body: Any) -> Any:
    """Make a model class as a class statement would."""
    settings = type("Settings", (), {"name": fresh("made"), "__module__": __name__, "__qualname__": "Made.Settings"})
    body |= {"__annotations__": annotations, "__module__": __name__, "__qualname__": "Made", "Settings": settings}
    metaclass: Any = type(base)
    return metaclass("Made", (base,), body)


def boxes(store: Store) -> Any:
    """Return a model with a column of every type."""
    columns = {f"value{number}": annotation | None for number, (annotation, _) in enumerate(VALUES)}
    return made(store.face.Document, {"id": Annotated[str, PrimaryKey()]} | columns, **dict.fromkeys(columns))


@pytest.mark.parametrize("number", range(len(VALUES)), ids=[str(annotation)[-40:] for annotation, _ in VALUES])
def test_values_come_back_equal_and_of_the_declared_type(store: Store, number: int) -> None:
    box = store.once("boxes", boxes)
    for value in VALUES[number][1]:
        key, column = fresh("box"), f"value{number}"
        store.do(box(**{"id": key, column: value}).save())
        read = getattr(store.do(box.get(id=key)), column)
        assert (read, type(read)) == (value, type(value))


KEYS = [
    (annotation, values[-1])
    for annotation, values in VALUES
    if annotation not in (int | None, list[int], set[str], dict[str, int], dict[UUID, datetime], list[Decimal])
]


def test_keys_of_every_type_find_their_row(store: Store) -> None:
    columns = {f"key{number}": Annotated[annotation, ClusteringKey()] for number, (annotation, _) in enumerate(KEYS)}
    columns["key0"] = Annotated[KEYS[0][0], PrimaryKey()]
    keyed = store.table(made(store.face.Document, {**columns, "title": str}))
    key = {f"key{number}": value for number, (_, value) in enumerate(KEYS)} | {"key0": "\N{SNOWMAN}\0'"}
    for title in ("first", "second"):
        store.do(keyed(**key, title=title).save())
    read = store.do(keyed.get(**key))
    assert read == keyed(**key, title="second")
    assert [type(getattr(read, name)) for name in key] == [type(value) for value in key.values()]
    store.do(read.delete())
    assert store.do(keyed.find_one(**key)) is None


def test_a_naive_time_means_utc(store: Store) -> None:
    box, key = store.once("boxes", boxes), fresh("box")
    column = next(f"value{number}" for number, (annotation, _) in enumerate(VALUES) if annotation is datetime)
    store.do(box(**{"id": key, column: MOMENT.replace(tzinfo=None)}).save())
    assert getattr(store.do(box.get(id=key)), column) == MOMENT


def test_saving_replaces_the_whole_row(store: Store, posts: Any, ann: str) -> None:
    store.do(posts.create(author=ann, number=1, title="first", tags={"a"}, score=3))
    store.do(posts(author=ann, number=1, title="second").save())
    assert store.do(posts.get(author=ann, number=1)) == posts(author=ann, number=1, title="second")


def test_inserting_keeps_what_is_there(store: Store, posts: Any, ann: str) -> None:
    assert store.do(posts(author=ann, number=1, title="first").insert()) == LWTResult(True, None)
    result = store.do(posts(author=ann, number=1, title="second").insert())
    assert not result.applied
    assert result.existing["title"] == "first"
    assert store.do(posts.get(author=ann, number=1)).title == "first"


def test_updating_sets_some_columns(store: Store, posts: Any, ann: str) -> None:
    post = store.do(posts.create(author=ann, number=1, title="first", score=3))
    assert store.do(post.update(title="second", tags={"x"})) is None
    expected = posts(author=ann, number=1, title="second", tags={"x"}, score=3)
    assert store.do(posts.get(author=ann, number=1)) == post == expected


def test_a_conditional_update_is_applied_or_not(store: Store, posts: Any, ann: str) -> None:
    post = store.do(posts.create(author=ann, number=1, score=3))
    refused = store.do(post.update(title="no", if_conditions={"score__gt": 5}))
    assert (refused.applied, refused.existing) == (False, {"score": 3})
    assert post.title == "untitled"
    assert store.do(post.update(title="yes", if_conditions={"score": 3})) == LWTResult(True, None)
    assert store.do(posts.get(author=ann, number=1)).title == "yes"


def test_deleting_removes_one_row(store: Store, posts: Any, ann: str) -> None:
    for number in (1, 2):
        store.do(posts(author=ann, number=number).save())
    assert store.do(posts(author=ann, number=1).delete()) is None
    assert [post.number for post in store.listed(posts.find(author=ann))] == [2]
    assert store.do(posts(author=ann, number=1).delete(if_exists=True)).applied is False
    assert store.do(posts(author=ann, number=2).delete(if_exists=True)).applied is True
    assert store.do(posts.find(author=ann).count()) == 0


def test_two_rows_are_too_many(store: Store, posts: Any, ann: str) -> None:
    for number in (1, 2):
        store.do(posts(author=ann, number=number).save())
    for call in (posts.get, posts.find_one):
        with pytest.raises(MultipleDocumentsFound, match=r"Expected one Post but found multiple matching"):
            store.do(call(author=ann))


def test_a_queryset_creates_documents(store: Store, posts: Any, ann: str) -> None:
    assert store.do(posts.find().create(author=ann, number=1, title="first")) is None
    assert store.do(posts.get(author=ann)).title == "first"


def test_columns_may_be_named_as_the_parameters_of_methods(store: Store) -> None:
    class Odd(store.face.Document):  # type: ignore[name-defined,misc]  # a face chosen at run time
        self: Annotated[str, PrimaryKey()]
        cls: Annotated[str, ClusteringKey()]

        class Settings:
            name = fresh("odd")

    store.do(Odd.sync_table())
    made = store.do(Odd.create(self="a", cls="b"))
    assert store.do(Odd.get(self="a", cls="b")) == made
    assert store.do(Odd.find_one(self="a", cls="c")) is None
    assert store.do(Odd.find(self="a").filter(cls="b").all()) == [made]
