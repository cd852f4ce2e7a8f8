"""Plans of reads: rows as documents, pages, counts, and what a buffer adds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import pytest

from coodie.exceptions import DocumentNotFound, InvalidQueryError, MultipleDocumentsFound
from coodie.fields import ClusteringKey, PrimaryKey, Static
from coodie.plans import only, queries
from coodie.plans.selection import select
from coodie.query import Query
from coodie.results import PagedResult
from coodie.schema import table_of
from coodie.statement import Rows
from coodie.sync import Document
from tests.unit.coodie.driving import drive
from tests.unit.coodie.models import PageHits, Post

HITS = table_of(PageHits)
POSTS = table_of(Post)
SELECT = 'SELECT "url", "views", "unique_visitors" FROM page_hits'


def row(url: str, views: int | None = 1) -> dict[str, Any]:
    return {"url": url, "views": views, "unique_visitors": None}


def find(**lookups: Any) -> Query:
    return PageHits.find(**lookups)._query


def held(key: tuple[Any, ...]) -> Mapping[str, int] | None:
    return {("/a",): {"views": 5}, ("/new",): {"views": 2}}.get(key)


def test_unread_counters_are_zero() -> None:
    _, documents = drive(queries.every(PageHits, HITS, find()), [row("/a", None)])
    assert documents == [PageHits(url="/a", views=0, unique_visitors=0)]


def test_every_row_is_read_page_by_page_when_a_fetch_size_is_given() -> None:
    query = PageHits.find().fetch_size(1).limit(9)._query
    sent, documents = drive(queries.every(PageHits, HITS, query), Rows([row("/a")], b"1"), Rows([row("/b")]))
    assert [document.url for document in documents] == ["/a", "/b"]
    assert [(statement.values, statement.fetch_size, statement.paging_state) for statement in sent] == [
        ((9,), 1, None),
        ((9,), 1, b"1"),
    ]


def test_the_state_of_a_page_comes_with_its_result() -> None:
    sent, page = drive(queries.page(PageHits, HITS, PageHits.find().page(b"0")._query), Rows([row("/a")], b"1"))
    assert page == PagedResult([PageHits(url="/a", views=1)], b"1")
    assert (sent[0].fetch_size, sent[0].paging_state) == (queries.PAGE_ROWS, b"0")


def test_first_asks_for_one_row() -> None:
    sent, document = drive(queries.first(PageHits, HITS, find()), [row("/a")])
    assert (sent[0].cql, sent[0].values) == (f"{SELECT} LIMIT ?", (1,))
    assert document == PageHits(url="/a", views=1)
    assert drive(queries.first(PageHits, HITS, find()))[1] is None


def test_count_asks_the_database_and_keeps_to_the_limit() -> None:
    query = PageHits.find(url__in=["/a", "/b"]).limit(3)._query
    sent, count = drive(queries.count(HITS, query), [{"count": 7}])
    assert (sent[0].cql, sent[0].values) == ('SELECT COUNT(*) FROM page_hits WHERE "url" IN ?', (("/a", "/b"),))
    assert count == 3


def test_one_and_get_ask_for_two_rows() -> None:
    sent, document = drive(only.get(PageHits, HITS, {"url": "/a"}), [row("/a")])
    assert (sent[0].cql, sent[0].values) == (f'{SELECT} WHERE "url" = ? LIMIT ?', ("/a", 2))
    assert document.views == 1


def test_no_row_and_two_rows_are_told_apart() -> None:
    assert drive(only.one(PageHits, HITS, {}))[1] is None
    with pytest.raises(DocumentNotFound, match=r"No PageHits found matching \{'url': '/none'\}"):
        drive(only.get(PageHits, HITS, {"url": "/none"}))
    with pytest.raises(MultipleDocumentsFound, match=r"Expected one PageHits but found multiple matching \{\}"):
        drive(only.one(PageHits, HITS, {}), [row("/a"), row("/b")])


def test_a_document_is_asked_for_by_one_statement_for_all_values_of_the_same_lookups() -> None:
    found = {"author": "ann", "number": 1, "title": "Counting", "tags": None, "notes": None}
    (sent,), document = drive(only.get(Post, POSTS, {"author": "ann", "number": 1}), [found])
    assert sent.cql.endswith('FROM posts WHERE "author" = ? AND "number" = ? LIMIT ?')
    assert (sent.values, document.title, document.tags) == (("ann", 1, 2), "Counting", set())
    (other,), none = drive(only.one(Post, POSTS, {"author": "bob", "number": 2}))
    assert other.shape is sent.shape is select(POSTS, Post.find(author="cid", number=3)._query, limit=2).shape
    assert (other.values, none) == (("bob", 2, 2), None)
    with pytest.raises(MultipleDocumentsFound):
        drive(only.get(Post, POSTS, {"author": "ann"}), [found, found])
    with pytest.raises(InvalidQueryError, match="'number'"):
        only.get(Post, POSTS, {"author": "ann", "number": 2**63})


def test_a_partition_of_static_values_alone_holds_no_document() -> None:
    class Seat(Document):
        room: Annotated[str, PrimaryKey()]
        number: Annotated[int | None, ClusteringKey()] = None
        town: Annotated[str, Static()] = ""

    no_seat, seat = ({"room": "a", "number": number, "town": "Oslo"} for number in (None, 1))
    assert drive(only.one(Seat, table_of(Seat), {"room": "a"}), [no_seat])[1] is None
    assert drive(only.get(Seat, table_of(Seat), {"town": "Oslo"}), [no_seat, seat])[1].number == 1


def test_an_empty_in_matches_nothing_and_sends_nothing() -> None:
    query = find(url__in=[])
    assert drive(queries.every(PageHits, HITS, query)) == ([], [])
    assert drive(queries.page(PageHits, HITS, query)) == ([], PagedResult([], None))
    assert drive(queries.first(PageHits, HITS, query)) == ([], None)
    assert drive(only.one(PageHits, HITS, {"url__in": []})) == ([], None)
    assert drive(only.one(Post, POSTS, {"author__in": []})) == ([], None)
    assert drive(queries.count(HITS, query)) == ([], 0)


def test_buffered_deltas_are_added_to_the_rows_that_were_read() -> None:
    _, documents = drive(queries.every(PageHits, HITS, find(), held), [row("/a"), row("/b")])
    assert [document.views for document in documents] == [6, 1]


def test_a_row_that_exists_in_the_buffer_alone_is_found_by_its_full_key() -> None:
    _, document = drive(only.get(PageHits, HITS, {"url": "/new"}, held))
    assert document == PageHits(url="/new", views=2)
    for lookups in ({"url": "/other"}, {"url__in": ["/new"]}, {}):
        assert drive(only.one(PageHits, HITS, lookups, held))[1] is None
