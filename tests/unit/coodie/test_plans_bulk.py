"""Plans of writes through QuerySets: their statements, and what goes with them."""

from __future__ import annotations

from typing import Any

import pytest

from coodie.plans import bulk
from coodie.query import EVERYTHING, Query
from coodie.results import LWTResult
from coodie.schema import table_of
from tests.unit.coodie.driving import drive
from tests.unit.coodie.models import Post

POSTS = table_of(Post)
SENT = {"consistency": "QUORUM", "timeout": 2.5}


def named(**options: Any) -> Query:
    return EVERYTHING.narrowed(POSTS, {"author": "ann", "number": 1}).changed(**options)


def test_an_update_carries_what_the_query_says() -> None:
    plan = bulk.update(Post, POSTS, named(ttl=60, timestamp=7, **SENT), {"tags__add": {"x"}, "title": "T"})
    (statement,), answer = drive(plan)
    assert statement.cql == (
        'UPDATE posts USING TTL ? AND TIMESTAMP ? SET "title" = ?, "tags" = "tags" + ? '
        'WHERE "author" = ? AND "number" = ?'
    )
    assert statement.values == (60, 7, "T", {"x"}, "ann", 1)
    assert (statement.consistency, statement.timeout, statement.idempotent) == ("QUORUM", 2.5, False)
    assert answer is None


def test_the_ttl_of_the_call_beats_that_of_the_query() -> None:
    (statement,), _ = drive(bulk.update(Post, POSTS, named(ttl=60), {"title": "T"}, ttl=0))
    assert statement.values[0] == 0
    assert statement.idempotent


def test_conditions_come_last_and_are_answered() -> None:
    row = [{"[applied]": False, "title": "t"}]
    plan = bulk.update(Post, POSTS, named(if_exists=True), {"motto": "m"}, if_conditions={"title__in": ["a", "b"]})
    (statement,), answer = drive(plan, row)
    assert statement.cql.endswith('WHERE "author" = ? AND "number" = ? IF "title" IN ?')
    assert statement.values == ("m", "ann", 1, ("a", "b"))
    assert answer == LWTResult(False, {"title": "t"})
    (statement,), answer = drive(bulk.update(Post, POSTS, named(if_exists=True), {"motto": "m"}))
    assert statement.cql.endswith("IF EXISTS")
    assert answer == LWTResult(True, None)  # a driver of the user's that answers nothing


def test_a_deletion_carries_what_the_query_says() -> None:
    query = EVERYTHING.narrowed(POSTS, {"author__in": ["ann", "bob"], "number__gt": 5})
    (statement,), answer = drive(bulk.delete(POSTS, query.changed(timestamp=7, **SENT)))
    assert statement.cql == 'DELETE FROM posts USING TIMESTAMP ? WHERE "author" IN ? AND "number" > ?'
    assert statement.values == (7, ("ann", "bob"), 5)
    assert (statement.consistency, statement.timeout, statement.idempotent, answer) == ("QUORUM", 2.5, True, None)


def test_creating_carries_what_the_query_says() -> None:
    post = Post(author="ann", number=1)
    (statement,), answer = drive(bulk.create(post, POSTS, EVERYTHING.changed(ttl=60, timestamp=7, **SENT)))
    assert statement.cql.endswith("USING TTL ? AND TIMESTAMP ?")
    assert (statement.values[-2:], statement.consistency, answer) == ((60, 7), "QUORUM", None)
    (statement,), answer = drive(bulk.create(post, POSTS, EVERYTHING.changed(if_not_exists=True, ttl=60)))
    assert statement.cql.endswith("IF NOT EXISTS USING TTL ?")
    assert answer == LWTResult(True, None)


@pytest.mark.parametrize("changes", [{}, {"title": "T"}])
def test_no_rows_and_no_changes_cost_no_round_trip(changes: dict[str, Any]) -> None:
    nobody = EVERYTHING.narrowed(POSTS, {"author": "ann", "number__in": []})
    assert drive(bulk.update(Post, POSTS, nobody if changes else named(), changes)) == ([], None)
    assert drive(bulk.delete(POSTS, nobody)) == ([], None)
