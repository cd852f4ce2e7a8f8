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


def test_an_ordering_may_descend() -> None:
    assert Post.find().order_by("-number")._query.order == (("number", True),)
    assert Post.find().order_by("-number").order_by("number")._query.order == (("number", False),)


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: PageHits.find(likes=1), "Unknown column 'likes' of table page_hits.*url, views, unique_visitors"),
        (lambda: PageHits.find(url__like="x"), "Unknown column 'url__like'"),
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
    ],
)
def test_mistakes_are_refused_where_they_are_written(build: Callable[[], Any], said: str) -> None:
    with pytest.raises(InvalidQueryError, match=said):
        build()
