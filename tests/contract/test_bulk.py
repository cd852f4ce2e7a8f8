"""Writes through QuerySets on every store: create, update and delete, what they honour and what they refuse."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import Field

from coodie.exceptions import InvalidQueryError
from coodie.fields import ClusteringKey, PrimaryKey, Static
from coodie.results import LWTResult
from tests.contract.stores import Store, fresh


def posts_model(store: Store) -> Any:
    """Return a model of posts."""

    class Post(store.face.Document):  # type: ignore[name-defined,misc]  # a face chosen at run time
        author: Annotated[str, PrimaryKey()]
        year: Annotated[int, ClusteringKey(clustering_key_index=0)]
        number: Annotated[int, ClusteringKey(clustering_key_index=1)]
        title: str | None = None
        tags: set[str] = Field(default_factory=set)

        class Settings:
            name = fresh("posts")

    return Post


@pytest.fixture
def posts(store: Store) -> Any:
    """Give the model on a table that the tests share: each writes for an author of its own."""
    return store.once("posts", posts_model)


@pytest.fixture
def ann(store: Store, posts: Any) -> str:
    """Give an author with posts 2023/1, 2023/2, 2024/1, 2024/2, 2024/3."""
    author = fresh("ann")
    for year, number in ((2023, 1), (2023, 2), (2024, 1), (2024, 2), (2024, 3)):
        store.do(posts(author=author, year=year, number=number, title="old").save())
    return author


def titles(store: Store, posts: Any, author: str) -> dict[tuple[int, int], str | None]:
    return {(post.year, post.number): post.title for post in store.do(posts.find(author=author).all())}


# --- create -------------------------------------------------------------------------------------------------------


def test_creating_honours_if_not_exists(store: Store, posts: Any, ann: str) -> None:
    rows = posts.find().if_not_exists()
    assert store.do(rows.create(author=ann, year=1, number=1, title="first")) == LWTResult(True, None)
    refused = store.do(rows.create(author=ann, year=1, number=1, title="second"))
    assert (refused.applied, refused.existing["title"]) == (False, "first")
    assert store.do(posts.find().create(author=ann, year=1, number=1, title="third")) is None
    assert store.do(posts.get(author=ann, year=1)).title == "third"


def test_creating_takes_no_if_exists(store: Store, posts: Any) -> None:
    with pytest.raises(InvalidQueryError, match=r"create\(\) takes no if_exists"):
        store.do(posts.find().if_exists().create(author="x", year=1, number=1))


# --- update -------------------------------------------------------------------------------------------------------


def test_a_row_named_by_its_whole_key_is_updated(store: Store, posts: Any, ann: str) -> None:
    rows = posts.find(author=ann, year=2024, number=1)
    assert store.do(rows.update(title="new", tags__add={"a"})) is None
    read = store.do(posts.get(author=ann, year=2024, number=1))
    assert (read.title, read.tags) == ("new", {"a"})
    assert sorted(titles(store, posts, ann).values()) == ["new", "old", "old", "old", "old"]
    assert store.do(rows.update()) is None
    assert store.do(rows.update(title=None)) is None
    assert store.do(posts.get(author=ann, year=2024, number=1)).title is None


def test_several_rows_are_updated_at_once(store: Store, posts: Any, ann: str) -> None:
    rows = posts.find(author=ann, year=2024, number__in=[1, 3])
    if not store.is_cassandra:
        with pytest.raises(InvalidQueryError, match=r"full primary key by equality"):
            store.do(rows.update(title="new"))
        return
    store.do(rows.update(title="new"))
    assert [key for key, title in titles(store, posts, ann).items() if title == "new"] == [(2024, 1), (2024, 3)]


def test_an_in_without_alternatives_changes_nothing(store: Store, posts: Any, ann: str) -> None:
    before = titles(store, posts, ann)
    assert store.do(posts.find(author=ann, year=2024, number__in=[]).update(title="new")) is None
    assert store.do(posts.find(author=ann, year=2024, number__in=[]).delete()) is None
    assert titles(store, posts, ann) == before


def test_an_update_depends_on_a_condition(store: Store, posts: Any, ann: str) -> None:
    rows = posts.find(author=ann, year=2024, number=1)
    refused = store.do(rows.update(if_conditions={"title": "else"}, title="new"))
    assert refused == LWTResult(False, {"title": "old"})
    assert store.do(rows.update(if_conditions={"title": "old"}, title="new")) == LWTResult(True, None)
    assert store.do(rows.if_exists().update(title="newer")) == LWTResult(True, None)
    missing = posts.find(author=ann, year=1, number=1)
    assert store.do(missing.if_exists().update(title="no")).applied is False
    assert store.do(posts.find(author=ann, year=1).count()) == 0
    assert titles(store, posts, ann)[2024, 1] == "newer"


def test_options_of_the_query_go_with_the_write(store: Store, posts: Any, ann: str) -> None:
    rows = posts.find(author=ann, year=2024, number=1).consistency("LOCAL_QUORUM").timeout(9.0)
    store.do(rows.update(title="new"))
    assert titles(store, posts, ann)[2024, 1] == "new"
    for bad in ({"ttl": -1}, {"ttl": True}, {"ttl": 630_720_001}):
        with pytest.raises(InvalidQueryError, match=r"ttl takes an integer"):
            store.do(rows.update(title="no", **bad))


# --- delete -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lookups", "left"),
    [
        ({"year": 2024, "number": 2}, [(2023, 1), (2023, 2), (2024, 1), (2024, 3)]),
        ({"year": 2024}, [(2023, 1), (2023, 2)]),
        ({}, []),
        ({"year": 2024, "number__gt": 1}, [(2023, 1), (2023, 2), (2024, 1)]),
        ({"year": 2024, "number__gte": 2, "number__lt": 3}, [(2023, 1), (2023, 2), (2024, 1), (2024, 3)]),
        ({"year__lt": 2024}, [(2024, 1), (2024, 2), (2024, 3)]),
        ({"year": 2024, "number__in": [1, 3]}, [(2023, 1), (2023, 2), (2024, 2)]),
    ],
)
def test_rows_are_deleted_by_a_prefix_of_their_key(
    store: Store, posts: Any, ann: str, lookups: dict[str, Any], left: list[tuple[int, int]]
) -> None:
    bob = store.do(posts.create(author=f"bob of {ann}", year=2024, number=2))
    assert store.do(posts.find(author=ann, **lookups).delete()) is None
    assert list(titles(store, posts, ann)) == left
    assert store.do(posts.find(author=bob.author).count()) == 1


def test_partitions_are_deleted_at_once(store: Store, posts: Any, ann: str) -> None:
    other = store.do(posts.create(author=f"bob of {ann}", year=2024, number=2)).author
    store.do(posts.find(author__in=[ann, other]).delete())
    assert store.do(posts.find(author__in=[ann, other]).count()) == 0


def test_a_deletion_depends_on_a_condition(store: Store, posts: Any, ann: str) -> None:
    rows = posts.find(author=ann, year=2024, number=1)
    assert store.do(rows.delete(if_conditions={"title": "new"})) == LWTResult(False, {"title": "old"})
    assert store.do(rows.delete(if_conditions={"title": "old"})) == LWTResult(True, None)
    assert store.do(rows.if_exists().delete()).applied is False
    assert (2024, 1) not in titles(store, posts, ann)


REFUSED: list[tuple[Any, str]] = [
    (lambda rows, key: rows.find().delete(), r"use truncate\(\)"),
    (lambda rows, key: rows.find(year=2024).delete(), r"delete\(\) names rows of"),
    (lambda rows, key: rows.find(author="x", number=1).delete(), r"delete\(\) names rows of"),
    (lambda rows, key: rows.find(author__gt="x").delete(), r"delete\(\) names rows of"),
    (lambda rows, key: rows.find(author="x", year__gt=1, number=1).delete(), r"delete\(\) names rows of"),
    (lambda rows, key: rows.find(author="x", title="y").allow_filtering().delete(), r"delete\(\) names rows of"),
    (lambda rows, key: rows.find(author="x", year__ne=1).delete(), r"delete\(\) names rows of"),
    (lambda rows, key: rows.find(author__token__gt=5).delete(), r"delete\(\) names rows of"),
    (lambda rows, key: rows.find(author="x").delete(if_conditions={"title": "y"}), r"delete\(\) names rows of"),
    (lambda rows, key: rows.find(**key).ttl(5).delete(), r"takes no ttl"),
    (lambda rows, key: rows.find(**key).if_not_exists().delete(), r"takes no if_not_exists"),
    (lambda rows, key: rows.find(**key).limit(1).delete(), r"delete\(\) cannot honour limit"),
    (lambda rows, key: rows.find(**key).order_by("year").update(title="z"), r"update\(\) cannot honour order_by"),
    (lambda rows, key: rows.find(**key).only("title").update(title="z"), r"cannot honour only"),
    (lambda rows, key: rows.find(**key).distinct().update(title="z"), r"cannot honour distinct"),
    (lambda rows, key: rows.find(**key).page(b"x").update(title="z"), r"cannot honour page"),
    (lambda rows, key: rows.find(**key).per_partition_limit(1).delete(), r"cannot honour per_partition_limit"),
    (lambda rows, key: rows.find(author="x").update(title="z"), r"update\(\) names rows of"),
    (lambda rows, key: rows.find().update(title="z"), r"update\(\) names rows of"),
    (lambda rows, key: rows.find(author="x", year=1, number__gt=1).update(title="z"), r"update\(\) names rows of"),
    (lambda rows, key: rows.find(**key, title="old").update(title="z"), r"update\(\) names rows of"),
    (
        lambda rows, key: rows.find(author="x", year=1, number__in=[1]).update(if_conditions={"title": "a"}, title="z"),
        r"no __in beside a condition",
    ),
    (lambda rows, key: rows.find(**key).update(nothing=1), r"Unknown column 'nothing'"),
    (lambda rows, key: rows.find(**key).update(number=1), r"'number' is part of the primary key"),
    (lambda rows, key: rows.find(**key).update(tags__add="x"), r"takes a set"),
    (
        lambda rows, key: rows.find(**key).if_exists().update(if_conditions={"title__ne": "x"}, title="z"),
        r"a missing row meets",
    ),
    (
        lambda rows, key: rows.find(**key).timestamp(5).update(if_conditions={"title": "x"}, title="z"),
        r"conditional write takes no timestamp",
    ),
]


@pytest.mark.parametrize(("call", "said"), REFUSED, ids=range(len(REFUSED)))
def test_what_no_write_can_mean_is_refused_and_nothing_is_sent(
    store: Store, posts: Any, ann: str, call: Any, said: str
) -> None:
    before = titles(store, posts, ann)
    with pytest.raises(InvalidQueryError, match=said):
        store.do(call(posts, {"author": ann, "year": 2024, "number": 1}))
    assert titles(store, posts, ann) == before


# --- static columns -----------------------------------------------------------------------------------------------


def test_static_columns_are_changed_by_their_partition(store: Store) -> None:
    class Feed(store.face.Document):  # type: ignore[name-defined,misc]  # a face chosen at run time
        author: Annotated[str, PrimaryKey()]
        number: Annotated[int, ClusteringKey()]
        motto: Annotated[str | None, Static()] = None
        title: str | None = None

        class Settings:
            name = fresh("feeds")

    if not store.is_cassandra:
        with pytest.raises(InvalidQueryError, match=r"no static columns"):
            store.table(Feed)
        return
    store.table(Feed)
    for number in (1, 2):
        store.do(Feed(author="ann", number=number, motto="m", title="t").save())
    store.do(Feed.find(author="ann").update(motto="n"))
    post = store.do(Feed.get(author="ann", number=1))
    assert store.do(post.update(motto="o")) is None
    assert store.do(post.update(motto="p", if_conditions={"motto": "o"})).applied
    assert not store.do(post.update(motto="q", if_conditions={"title": "x"})).applied
    assert [row.motto for row in store.do(Feed.find(author="ann").all())] == ["p", "p"]
    with pytest.raises(InvalidQueryError, match=r"names rows of .* on each of \(author\) and nothing else"):
        store.do(Feed.find(author="ann", number=1).update(motto="z"))
    with pytest.warns(UserWarning, match=r"delete_columns"):
        store.do(post.delete_columns("motto"))
    assert [row.motto for row in store.do(Feed.find(author="ann").all())] == [None, None]
    store.do(post.update(motto="r", title="u"))
    assert [(row.motto, row.title) for row in store.do(Feed.find(author="ann").all())] == [("r", "u"), ("r", "t")]
