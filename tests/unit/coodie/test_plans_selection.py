"""Selections as statements and as what is shown: documents in part, tuples, groups; with a buffer, on exact tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

import pytest

from coodie.exceptions import InvalidQueryError, RowRejected
from coodie.model import Model
from coodie.plans import documents, queries
from coodie.schema import table_of
from coodie.statement import Rows
from tests.unit.coodie.driving import drive
from tests.unit.coodie.models import DailyHits, ExactHits, PageHits, Post

HITS, POSTS, EXACT = table_of(PageHits), table_of(Post), table_of(ExactHits)
SUMMED = 'SELECT "site", "day", SUM(CAST("views" AS varint)) FROM exact_hits GROUP BY "site", "day"'


def every(model: type[Model], found: Any, *answers: Any, pending: Any = None) -> tuple[list[tuple[str, Any]], Any]:
    """Return the texts and values that reading all rows sends, and what it answers."""
    sent, rows = drive(queries.every(model, table_of(model), found._query, pending), *answers)
    return [(statement.cql, statement.values) for statement in sent], rows


def held(key: tuple[Any, ...]) -> Mapping[str, int] | None:
    return {("/a",): {"views": 5, "unique_visitors": 1}, ("a", 1): {"views": 7}}.get(key)


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda q: q.only("title", "number"), 'SELECT "title", "number" FROM posts'),
        (lambda q: q.values_list("title", "title"), 'SELECT "title" FROM posts'),
        (lambda q: q.only("title").cast("title", "text"), 'SELECT CAST("title" AS text) FROM posts'),
        (lambda q: q.distinct(), 'SELECT DISTINCT "author" FROM posts'),
        (lambda q: q.distinct().only("author").limit(3), 'SELECT DISTINCT "author" FROM posts LIMIT ?'),
        (lambda q: q.only("number").group_by("author"), 'SELECT "number" FROM posts GROUP BY "author"'),
        (lambda q: q.select_token("author"), 'SELECT TOKEN("author") FROM posts'),
        (
            lambda q: q.filter(author="a").values_list("number").per_partition_limit(2).limit(3),
            'SELECT "number" FROM posts WHERE "author" = ? PER PARTITION LIMIT ? LIMIT ?',
        ),
        (
            lambda q: q.filter(author__token__gt=5, tags__contains="x", notes__contains_key="k").only("title"),
            'SELECT "title" FROM posts WHERE TOKEN("author") > ? AND "tags" CONTAINS ? AND "notes" CONTAINS KEY ?',
        ),
    ],
)
def test_what_is_chosen_is_what_is_read(build: Callable[[Any], Any], text: str) -> None:
    ((sent, values),), rows = every(Post, build(Post.find()))
    assert sent == text
    assert sent.count("?") == len(values)
    assert rows == []


def test_limits_are_bound_in_the_order_of_their_clauses() -> None:
    ((_, values),), _ = every(Post, Post.find(author="a").per_partition_limit(2).limit(3))
    assert values == ("a", 2, 3)


def test_the_token_of_a_composite_key_takes_all_of_it() -> None:
    ((text, _),), _ = every(DailyHits, DailyHits.find().select_token("site", "section"))
    assert text == 'SELECT TOKEN("site", "section") FROM daily_hits'


def test_partial_documents_have_the_fields_asked_for_alone() -> None:
    _, (document,) = every(
        Post, Post.find().only("title", "tags", "motto"), [{"title": "t", "tags": None, "motto": None}]
    )
    assert vars(document) == {"title": "t", "tags": set(), "motto": None}
    assert isinstance(document, Post)
    assert document.model_fields_set == {"title", "tags", "motto"}
    with pytest.raises(AttributeError, match="price"):
        _ = document.price


def test_casts_are_not_validated_and_read_by_their_place() -> None:
    found = Post.find().only("number", "title").cast("number", "text")
    _, (document,) = every(Post, found, [{"cast(number as text)": "7", "title": "t"}])
    assert vars(document) == {"number": "7", "title": "t"}
    _, rows = every(Post, found.values_list(), [{"cast(number as text)": None, "title": None}])
    assert rows == [(None, None)]


def test_a_token_comes_last() -> None:
    found = Post.find().values_list("number").select_token("author")
    _, rows = every(Post, found, [{"number": 1, "system.token(author)": -9}])
    assert rows == [(1, -9)]


def test_each_null_collection_is_shown_as_one_of_its_own() -> None:
    _, rows = every(
        Post, Post.find().values_list("notes", "tags", "price"), [dict.fromkeys(("notes", "tags", "price"))] * 2
    )
    assert rows == [({}, set(), None)] * 2
    assert rows[0][0] is not rows[1][0]


def test_what_is_buffered_is_added_whatever_is_shown() -> None:
    stored = [{"views": 1, "url": "/a"}, {"views": None, "url": "/b"}]
    sent, documents = every(PageHits, PageHits.find().only("views"), stored, pending=held)
    assert sent == [('SELECT "views", "url" FROM page_hits', ())]
    assert [vars(document) for document in documents] == [{"views": 6}, {"views": 0}]
    assert every(PageHits, PageHits.find().values_list("views"), stored, pending=held)[1] == [(6,), (0,)]
    assert drive(queries.json(PageHits, HITS, PageHits.find().only("views")._query, held), stored)[1] == [
        '{"views": 6}', '{"views": 0}',
    ]  # fmt: skip
    assert stored[0] == {"views": 1, "url": "/a"}


def test_partitions_are_read_without_what_is_buffered() -> None:
    sent, rows = every(PageHits, PageHits.find().distinct().values_list("url"), [{"url": "/a"}], pending=held)
    assert (sent, rows) == ([('SELECT DISTINCT "url" FROM page_hits', ())], [("/a",)])
    _, (document,) = every(
        DailyHits, DailyHits.find().distinct(), [{"site": "a", "section": UUID(int=1)}], pending=held
    )
    assert vars(document) == {"site": "a", "section": UUID(int=1)}


# --- exact tables -------------------------------------------------------------------------------------------------


def test_chosen_counters_of_an_exact_table_are_sums() -> None:
    row = {"views": 3, "site": "a", "day": 1}
    sent, rows = every(ExactHits, ExactHits.find().only("views"), [row], pending=held)
    text = 'SELECT SUM(CAST("views" AS varint)), "site", "day" FROM exact_hits GROUP BY "site", "day"'
    assert (sent, [vars(one) for one in rows]) == ([(text, ())], [{"views": 10}])
    sent, rows = every(
        ExactHits, ExactHits.find().values_list("site", "day", "views"), [{"s": "a", "d": 1, "v": 2**40}]
    )
    assert (sent, rows) == ([(SUMMED, ())], [("a", 1, 2**40)])
    with pytest.raises(RowRejected, match="more than 64 bits"):
        every(ExactHits, ExactHits.find().only("views"), [{"views": 2**63}])


def test_the_partitions_of_an_exact_table_are_those_of_its_writers() -> None:
    sent, _ = every(ExactHits, ExactHits.find().distinct())
    assert sent == [('SELECT DISTINCT "site" FROM exact_hits', ())]


@pytest.mark.parametrize("build", [lambda q: q.group_by("site"), lambda q: q.per_partition_limit(1)])
def test_what_would_be_over_writers_is_refused(build: Callable[[Any], Any]) -> None:
    query = build(ExactHits.find())._query
    for plan in (queries.every, queries.page, queries.first, queries.json):
        with pytest.raises(InvalidQueryError, match="exact table exact_hits are sums over its writers"):
            plan(ExactHits, EXACT, query)
    with pytest.raises(InvalidQueryError, match="exact table exact_hits are sums over its writers"):
        queries.count(EXACT, query)


# --- the other plans ----------------------------------------------------------------------------------------------


def test_the_first_row_after_a_page_is_read_by_the_same_statement() -> None:
    query = Post.find(author="a").limit(9).only("number").page(b"state")._query
    (sent,), document = drive(queries.first(Post, POSTS, query), Rows([{"number": 5}], b"more"))
    assert (sent.values, sent.fetch_size, sent.paging_state) == (("a", 9), 1, b"state")
    assert document.number == 5


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda q: q.distinct(), 'SELECT DISTINCT "author" FROM posts LIMIT ?'),
        (
            lambda q: q.group_by("author").only("title"),
            'SELECT "author", "number" FROM posts GROUP BY "author" LIMIT ?',
        ),
        (lambda q: q.per_partition_limit(2), 'SELECT "author", "number" FROM posts PER PARTITION LIMIT ? LIMIT ?'),
    ],
)
def test_rows_that_the_database_cannot_count_are_counted_by_their_keys(build: Callable[[Any], Any], text: str) -> None:
    query = build(Post.find().limit(9))._query
    sent, number = drive(queries.count(POSTS, query), Rows([{}, {}], b"1"), Rows([{}]))
    assert [each.cql for each in sent] == [text, text]
    assert (number, sent[0].fetch_size, sent[1].paging_state) == (3, queries.PAGE_ROWS, b"1")


def test_a_document_read_in_part_is_not_saved_over_the_whole() -> None:
    _, (document,) = every(Post, Post.find().only("author", "number"), [{"author": "a", "number": 1}])
    with pytest.raises(InvalidQueryError, match="This Post has no 'title'.*Use update"):
        documents.save(document, POSTS)
