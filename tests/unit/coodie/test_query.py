"""Query and its builders: immutable, and checked where they are written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

import pytest

from coodie import sync
from coodie.exceptions import InvalidQueryError
from coodie.fields import PrimaryKey
from coodie.statement import Term
from tests.unit.coodie.models import DailyHits, PageHits, Post

ID = UUID("11111111-2222-3333-4444-555555555555")


def test_builders_leave_their_queryset_alone() -> None:
    start = PageHits.find(url="/a")
    before = start._query
    ended = start.filter(url="/b").limit(3).allow_filtering().fetch_size(10).page(b"s").consistency("one").timeout(2.0)
    assert start._query is before
    assert type(ended) is type(start)
    assert ended._query.terms == (Term("url"), Term("url"))
    assert ended._query.values == ("/a", "/b")
    assert (ended._query.limit, ended._query.fetch_size, ended._query.page) == (3, 10, b"s")
    assert (ended._query.consistency, ended._query.timeout, ended._query.allow_filtering) == ("ONE", 2.0, True)


@pytest.mark.parametrize(
    ("lookup", "operator"),
    [("number", "="), ("number__gt", ">"), ("number__gte", ">="), ("number__lt", "<"), ("number__lte", "<=")],
)
def test_lookups_become_terms(lookup: str, operator: str) -> None:
    query = Post.find(**{lookup: 3})._query
    assert (query.terms, query.values) == ((Term("number", operator),), (3,))


def test_the_alternatives_of_in_are_one_value_without_repetition() -> None:
    query = DailyHits.find(section__in=[ID, str(ID)])._query
    assert (query.terms, query.values) == ((Term("section", "IN"),), ((ID,),))


def test_a_column_whose_name_ends_like_an_operator_can_be_filtered() -> None:
    class Odd(sync.Document):
        id: Annotated[int, PrimaryKey()]
        opt__in: str

    assert Odd.find(opt__in="x")._query.terms == (Term("opt__in"),)
    assert Odd.find(opt__in__in=["x"])._query.terms == (Term("opt__in", "IN"),)


@pytest.mark.parametrize(
    ("lookup", "term", "value"),
    [
        ("tags__contains", Term("tags", "CONTAINS"), "x"),
        ("notes__contains", Term("notes", "CONTAINS"), 5),
        ("notes__contains_key", Term("notes", "CONTAINS KEY"), "k"),
        ("title__like", Term("title", "LIKE"), "%x%"),
        ("title__ne", Term("title", "!="), "x"),
        ("author__token__gt", Term("author", ">", token=True), -5),
        ("author__token__lte", Term("author", "<=", token=True), 2**63 - 1),
    ],
)
def test_other_lookups_become_terms(lookup: str, term: Term, value: Any) -> None:
    query = Post.find(**{lookup: value})._query
    assert (query.terms, query.values) == ((term,), (value,))


def test_a_column_named_like_a_token_can_be_filtered() -> None:
    class Odd(sync.Document):
        id: Annotated[int, PrimaryKey()]
        id__token: int

    assert Odd.find(id__token__gt=5)._query.terms == (Term("id__token", ">"),)
    assert Odd.find(id__token=5)._query.terms == (Term("id__token"),)


def test_equal_filters_share_their_terms() -> None:
    first, second = Post.find(author="a", number=1)._query, Post.find(author="b", number=2)._query
    assert first.terms is second.terms


def test_what_is_chosen_is_kept() -> None:
    found = Post.find().only("title", "price", "title").defer("title").cast("price", "TEXT").cast("price", "ascii")
    assert (found._query.columns, found._query.casts) == (("price",), (("price", "ascii"),))
    assert Post.find().defer("tags", "notes", "price", "written", "motto")._query.columns == (
        "author", "number", "title",
    )  # fmt: skip
    tuples = Post.find().values_list("title", "title")._query
    assert (tuples.columns, tuples.as_tuples) == (("title", "title"), True)
    assert Post.find().only("price").values_list()._query.columns == ("price",)
    tokens = Post.find().select_token("author")._query
    assert (tokens.columns, tokens.tokens, tokens.as_tuples) == ((), ("author",), True)
    assert Post.find().values_list().select_token("author")._query.columns is None
    assert Post.find().select_token("author").values_list()._query.columns is None
    assert Post.find().only("title").select_token("author")._query.columns == ("title",)


def test_how_it_is_written_is_kept() -> None:
    used = Post.find().ttl(5).using(timestamp=7, consistency="one", timeout=1.5)._query
    assert (used.ttl, used.timestamp, used.consistency, used.timeout) == (5, 7, "ONE", 1.5)
    assert Post.find().using(ttl=0)._query.ttl == 0
    query = Post.find().if_exists().if_not_exists().distinct().per_partition_limit(3).group_by("author")._query
    assert (query.if_exists, query.if_not_exists, query.distinct) == (True, True, True)
    assert (query.per_partition_limit, query.group_by) == (3, ("author",))
    assert Post.find().validate(enabled=False)._query == Post.find()._query


def test_an_ordering_may_descend() -> None:
    assert Post.find().order_by("-number")._query.order == (("number", True),)
    assert Post.find().order_by("-number").order_by("number")._query.order == (("number", False),)


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: PageHits.find(likes=1), "Unknown column 'likes' of table page_hits.*url, views, unique_visitors"),
        (lambda: PageHits.find(url__near="x"), "Unknown column 'url__near'"),
        (lambda: PageHits.find(views__contains=1), "Counter column 'views' cannot be used in a filter"),
        (lambda: Post.find(number__like="1%"), "'number__like' needs a text column, and number is bigint"),
        (lambda: Post.find(title__like=5), "'title'.*str, not int"),
        (lambda: Post.find(title__contains="x"), "'title__contains' does not fit a column of type text"),
        (lambda: Post.find(tags__contains_key="x"), "'tags__contains_key' does not fit a column of type set<text>"),
        (lambda: Post.find(tags__contains=5), "'tags'.*str, not int"),
        (lambda: Post.find(notes__contains="x"), "'notes'.*int, not str"),
        (lambda: Post.find(author__token__gt="x"), "token of 'author'.*64-bit integer, not 'x'"),
        (lambda: Post.find(author__token__gt=2**63), "64-bit integer"),
        (lambda: Post.find(author__token__gt=True), "64-bit integer"),
        (lambda: Post.find(author__token__ne=1), "Unknown column 'author__token'"),
        (lambda: Post.find(title__isnull=True), "Cannot filter on 'title' with IS .NOT. NULL: CQL only allows IS NOT"),
        (lambda: Post.find().is_null("title"), "definitions, and IS NULL is not valid CQL.$"),
        (lambda: Post.find().is_not_null("motto"), "Cannot filter on 'motto' with IS"),
        (lambda: Post.find().is_null("colour"), "Unknown column 'colour'"),
        (lambda: PageHits.find(likes__in=[1]), "Unknown column 'likes'"),
        (lambda: PageHits.find(views=1), "Counter column 'views' cannot be used in a filter"),
        (lambda: PageHits.find(views__gt=1), "Counter column 'views' cannot be used in a filter"),
        (lambda: PageHits.find(url=5), "'url'"),
        (lambda: PageHits.find(url=None), "'url'.*None"),
        (lambda: PageHits.find(url=""), "'url' is the whole partition key and cannot be empty"),
        (lambda: PageHits.find(url__in="/home"), "'url__in' takes a list of values, not str"),
        (lambda: PageHits.find(url__in=5), "'url__in' takes a list of values, not int"),
        (lambda: PageHits.find().order_by("likes"), "Unknown column 'likes'"),
        (lambda: PageHits.find().order_by("-views"), "Cannot order by 'views'.*none"),
        (lambda: Post.find().order_by("title"), "Cannot order by 'title'.*number"),
        (lambda: PageHits.find().limit(0), "limit takes an integer from 1"),
        (lambda: PageHits.find().limit(True), "limit takes an integer"),
        (lambda: PageHits.find().fetch_size(-1), "fetch_size takes an integer"),
        (lambda: PageHits.find().consistency("MOST"), "Unknown consistency level 'MOST'; allowed: ANY"),
        (lambda: Post.find().per_partition_limit(0), "per_partition_limit takes an integer from 1"),
        (lambda: Post.find().page("state"), "page takes the paging_state of a PagedResult, not str"),
        (lambda: Post.find().timeout(0), "timeout takes a number of seconds above 0, not 0"),
        (lambda: Post.find().timeout(float("nan")), "timeout takes"),
        (lambda: Post.find().timeout("5"), "timeout takes"),
        (lambda: Post.find().ttl(-1), "ttl takes an integer from 0 to 630720000, not -1"),
        (lambda: Post.find().ttl(630_720_001), "ttl takes"),
        (lambda: Post.find().timestamp(1.5), "timestamp takes an integer"),
        (lambda: Post.find().using(consistency="MOST"), "Unknown consistency level"),
        (lambda: Post.find().only(), "only.. names at least one column of posts: author"),
        (lambda: Post.find().only("colour"), "Unknown column 'colour'"),
        (lambda: Post.find().defer(), "defer.. names at least one"),
        (lambda: Post.find().only("title").defer("title"), "defer.. leaves nothing"),
        (lambda: Post.find().values_list("colour"), "Unknown column 'colour'"),
        (lambda: Post.find().cast("price", "money"), "Cannot cast 'price' .decimal. to 'money'; allowed: tinyint"),
        (lambda: Post.find().cast("price", "int) FROM x; --"), "Cannot cast"),
        (lambda: PageHits.find().cast("views", "text"), "Cannot cast columns of page_hits"),
        (lambda: Post.find().select_token("number"), "whole partition key of posts in its order .author., not"),
        (lambda: DailyHits.find().select_token("section", "site"), "in its order .site, section., not .section, site."),
        (
            lambda: DailyHits.find().group_by("section", "site"),
            "in its order .site, section, day., not .section, site.",
        ),
        (lambda: DailyHits.find().group_by(), "group_by.. takes columns of the primary key"),
        (lambda: Post.find().group_by("title"), "group_by.. takes columns of the primary key"),
        (lambda: Post.find().group_by("author", "author"), "group_by.. takes columns of the primary key"),
    ],
)
def test_mistakes_are_refused_where_they_are_written(build: Callable[[], Any], said: str) -> None:
    with pytest.raises(InvalidQueryError, match=said):
        build()
