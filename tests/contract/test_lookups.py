"""Lookups beyond comparisons, on every store: collections, patterns, inequality, tokens, nulls."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import Field

from coodie.exceptions import InvalidQueryError, Rejected
from coodie.fields import ClusteringKey, Frozen, PrimaryKey
from tests.contract.stores import Store, fresh


def tagged(store: Store) -> Any:
    """Return a model of posts with collections."""

    class Post(store.face.Document):  # type: ignore[name-defined,misc]  # a face chosen at run time
        blog: Annotated[str, PrimaryKey()]
        number: Annotated[int, ClusteringKey()]
        title: str = ""
        tags: set[str] = Field(default_factory=set)
        grades: list[int] = Field(default_factory=list)
        links: dict[str, int] = Field(default_factory=dict)
        fixed: Annotated[list[int], Frozen()] = Field(default_factory=list)
        opt__in: int = 0

        class Settings:
            name = fresh("posts")

    return Post


@pytest.fixture
def posts(store: Store) -> Any:
    """Give three posts of one blog and one of another; the tests share them and only read."""
    if "posts" not in store.shared:
        post = store.once("posts", tagged)
        store.do(post(blog="a", number=1, title="Go", tags={"x", "y"}, grades=[1, 2], links={"k": 7}, opt__in=1).save())
        store.do(post(blog="a", number=2, title="goat", tags={"y"}, grades=[2], links={"l": 8}, fixed=[1, 2]).save())
        store.do(post(blog="a", number=3, title="Gopher").save())
        store.do(post(blog="b", number=1, title="Go").save())
    return store.shared["posts"]


def numbers(store: Store, found: Any) -> list[int]:
    return [post.number for post in store.do(found.allow_filtering().all())]


@pytest.mark.parametrize(
    ("lookups", "expected"),
    [
        ({"tags__contains": "x"}, [1]),
        ({"tags__contains": "y"}, [1, 2]),
        ({"tags__contains": "z"}, []),
        ({"grades__contains": 2}, [1, 2]),
        ({"links__contains": 8}, [2]),
        ({"links__contains_key": "k"}, [1]),
        ({"tags__contains": "y", "grades__contains": 1}, [1]),
        ({"tags__contains": "y", "number__gt": 1}, [2]),
        ({"fixed": [1, 2]}, [2]),
        ({"fixed__contains": 2}, [2]),
        ({"opt__in": 1}, [1]),
    ],
)
def test_rows_are_found_by_what_their_collections_hold(
    store: Store, posts: Any, lookups: dict[str, Any], expected: list[int]
) -> None:
    assert numbers(store, posts.find(blog="a", **lookups)) == expected


@pytest.mark.parametrize(
    ("lookups", "expected"),
    [
        ({"title__like": "Go%"}, [1, 3]),
        ({"title__like": "%o%"}, [1, 2, 3]),
        ({"title__like": "%ph%"}, [3]),
        ({"title__ne": "Go"}, [2, 3]),
        ({"number__ne": 2}, [1, 3]),
    ],
)
def test_what_the_server_cannot_compare_comes_as_its_refusal(
    store: Store, posts: Any, lookups: dict[str, Any], expected: list[int]
) -> None:
    found = posts.find(blog="a", **lookups)
    if not store.is_cassandra:
        assert numbers(store, found) == expected
        return
    with pytest.raises(Rejected, match=r"LIKE|!="):
        numbers(store, found)


def test_rows_are_found_by_the_token_of_their_partition(store: Store, posts: Any) -> None:
    everything = posts.find(blog__token__gte=-(2**63))
    if not store.is_cassandra:
        with pytest.raises(InvalidQueryError, match="SQLite store has no token"):
            store.do(everything.all())
        return
    tokens = dict(store.do(posts.find().values_list("blog").select_token("blog").distinct().all()))
    assert sorted((post.blog, post.number) for post in store.do(everything.all())) == [
        ("a", 1), ("a", 2), ("a", 3), ("b", 1),
    ]  # fmt: skip
    assert store.do(posts.find(blog__token__gt=tokens["a"], blog__token__lte=tokens["b"]).count()) in (0, 1)
    assert {post.blog for post in store.do(posts.find(blog__token__gte=min(tokens.values())).all())} == {"a", "b"}
    assert {post.blog for post in store.do(posts.find(blog__token__lt=max(tokens.values())).all())} == {
        min(tokens, key=tokens.__getitem__)
    }


def test_the_number_of_alternatives_does_not_matter(store: Store, posts: Any) -> None:
    for alternatives in ([1], [1, 3], [3, 2, 1, 9], []):
        found = posts.find(blog="a", number__in=alternatives)
        assert [post.number for post in store.do(found.all())] == sorted(set(alternatives) & {1, 2, 3})


def test_an_unindexed_filter_is_not_allowed_behind_the_users_back(store: Store, posts: Any) -> None:
    found = posts.find(title="Go")
    if store.is_cassandra:
        with pytest.raises(Rejected, match="ALLOW FILTERING"):
            store.do(found.all())
    assert sorted(post.blog for post in store.do(found.allow_filtering().all())) == ["a", "b"]
