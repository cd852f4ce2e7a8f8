"""Plans of plain documents: saving, inserting, updating, deleting one row."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from coodie.exceptions import InvalidQueryError
from coodie.plans import documents
from coodie.plans.writing import WriteOptions
from coodie.results import LWTResult
from coodie.schema import table_of
from tests.unit.coodie.driving import drive
from tests.unit.coodie.models import PageHits, Post

POSTS = table_of(Post)
WRITTEN = datetime(2024, 5, 1, tzinfo=UTC)
COLUMNS = '"author", "number", "title", "tags", "notes", "price", "written", "motto"'
MARKS = "?, ?, ?, ?, ?, ?, ?, ?"


def post() -> Post:
    return Post(number=1, author="ann", title="Counting", tags={"a"}, written=WRITTEN)


def test_saving_writes_every_column_in_table_order() -> None:
    (statement,), answer = drive(documents.save(post(), POSTS))
    assert statement.cql == f"INSERT INTO posts ({COLUMNS}) VALUES ({MARKS})"
    assert statement.values == ("ann", 1, "Counting", {"a"}, {}, None, WRITTEN, None)
    assert answer is None
    assert statement.idempotent


def test_ttl_and_timestamp_are_bound() -> None:
    options = WriteOptions(ttl=60, timestamp=7, consistency="quorum", timeout=2.5)
    (statement,), _ = drive(documents.save(post(), POSTS, options))
    assert statement.cql.endswith(f"VALUES ({MARKS}) USING TTL ? AND TIMESTAMP ?")
    assert statement.values[-2:] == (60, 7)
    assert (statement.consistency, statement.timeout) == ("QUORUM", 2.5)


@pytest.mark.parametrize(
    "options",
    [WriteOptions(ttl=-1), WriteOptions(ttl=True), WriteOptions(timestamp=-1), WriteOptions(consistency="MOST")],
)
def test_bad_options_are_refused_before_anything_is_sent(options: WriteOptions) -> None:
    with pytest.raises(InvalidQueryError):
        documents.save(post(), POSTS, options)


def test_a_bad_key_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(InvalidQueryError, match=r"'number' .bigint."):
        documents.save(Post(author="ann", number=2**63), POSTS)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"[applied]": True}, LWTResult(True, None)),
        ({"[applied]": False, "author": "ann", "number": 1}, LWTResult(False, {"author": "ann", "number": 1})),
    ],
)
def test_inserting_tells_whether_it_was_applied(row: dict[str, Any], expected: LWTResult) -> None:
    (statement,), answer = drive(documents.insert(post(), POSTS), [row])
    assert statement.cql.endswith("IF NOT EXISTS")
    assert not statement.idempotent
    assert answer == expected


def test_an_update_sets_what_is_given_and_then_the_instance() -> None:
    document = post()
    plan = documents.update(document, POSTS, {"motto": "m", "title": "T"}, ttl=9)
    (statement,), answer = drive(plan)
    assert statement.cql == (
        'UPDATE posts USING TTL ? SET "title" = ?, "motto" = ? WHERE "author" = ? AND "number" = ?'
    )
    assert statement.values == (9, "T", "m", "ann", 1)
    assert (answer, document.title, document.motto) == (None, "T", "m")


def test_an_update_that_was_not_applied_leaves_the_instance_alone() -> None:
    document = post()
    plan = documents.update(document, POSTS, {"title": "T"}, if_conditions={"title__ne": "x", "price": None})
    (statement,), answer = drive(plan, [{"[applied]": False, "title": "other"}])
    assert statement.cql.endswith('IF "title" != ? AND "price" = ?')
    assert statement.values == ("T", "ann", 1, "x", None)
    assert answer == LWTResult(False, {"title": "other"})
    assert document.title == "Counting"


def test_an_update_of_nothing_sends_nothing() -> None:
    assert drive(documents.update(post(), POSTS, {})) == ([], None)


@pytest.mark.parametrize(("changes", "said"), [({"author": "bob"}, "primary key"), ({"nothing": 1}, "Unknown column")])
def test_an_update_of_a_key_or_an_unknown_column_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidQueryError, match=said):
        documents.update(post(), POSTS, changes)


def test_deleting_names_the_whole_key() -> None:
    (statement,), answer = drive(documents.delete(post(), POSTS, WriteOptions(timestamp=5)))
    assert statement.cql == 'DELETE FROM posts USING TIMESTAMP ? WHERE "author" = ? AND "number" = ?'
    assert statement.values == (5, "ann", 1)
    assert answer is None


def test_a_conditional_delete_tells_whether_it_was_applied() -> None:
    (statement,), answer = drive(documents.delete(post(), POSTS, if_exists=True), [{"[applied]": False}])
    assert statement.cql.endswith("IF EXISTS")
    assert answer == LWTResult(False, {})


@pytest.mark.parametrize(
    "options", [{"if_exists": True}, {"if_conditions": {"url": "/"}}, {"options": WriteOptions(timestamp=1)}]
)
def test_counter_rows_are_deleted_without_conditions(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidQueryError, match=r"without conditions and timestamps"):
        documents.delete(PageHits(url="/"), table_of(PageHits), **options)
