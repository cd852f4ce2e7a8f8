"""Plans of tables: creating, comparing, dropping."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from coodie.exceptions import InvalidQueryError
from coodie.plans import tables
from coodie.plans.kinds import Known, Seen
from coodie.schema import Table, table_of
from coodie.statement import Rows
from tests.unit.coodie.driving import drive
from tests.unit.coodie.models import PageHits, Post

HITS = table_of(PageHits).qualified("web")
POSTS = table_of(Post).qualified("web")


def columns(table: Table, *more: str, without: str = "") -> list[dict[str, Any]]:
    names = [name for name in table.by_name if name != without]
    return [{"column_name": name} for name in (*names, *more)]


def test_a_new_table_is_created_and_compared() -> None:
    sent, sync = drive(tables.sync(HITS, {}), Rows(), columns(HITS))
    assert [statement.cql.split(" (")[0] for statement in sent] == [
        "CREATE TABLE IF NOT EXISTS web.page_hits",
        (
            "SELECT column_name, type, kind, position FROM system_schema.columns "
            "WHERE keyspace_name = 'web' AND table_name = 'page_hits'"
        ),
    ]
    assert sync.statements == [sent[0].cql]
    assert sync.unknown_columns == ()


def test_missing_columns_are_added_and_unknown_ones_reported() -> None:
    found = columns(HITS, "likes", "shares", without="views")
    sent, sync = drive(tables.sync(HITS, {}), Rows(), found)
    assert sent[2].cql == 'ALTER TABLE web.page_hits ADD "views" counter'
    assert sync.statements == [sent[0].cql, sent[2].cql]
    assert sync.unknown_columns == ("likes", "shares")


def test_a_missing_key_column_cannot_be_added() -> None:
    with pytest.raises(InvalidQueryError, match=r"web.page_hits exists without the key column 'url'"):
        drive(tables.sync(HITS, {}), Rows(), columns(HITS, without="url"))


def test_a_second_sync_asks_nothing() -> None:
    known: Known = {}
    drive(tables.sync(HITS, known), Rows(), columns(HITS))
    sent, sync = drive(tables.sync(HITS, known))
    assert (sent, sync.statements) == ([], [])


def test_a_table_with_other_column_names_is_synced_again() -> None:
    known: Known = {"web.page_hits": Seen("native", frozenset({"url", "views"}))}
    sent, _ = drive(tables.sync(HITS, known), Rows(), columns(HITS))
    assert len(sent) == 2
    assert known == {"web.page_hits": Seen("native", frozenset(HITS.by_name))}


def test_a_dry_run_reads_and_changes_nothing() -> None:
    known: Known = {"web.page_hits": Seen("native", frozenset(HITS.by_name))}
    sent, sync = drive(tables.sync(HITS, known, dry_run=True), columns(HITS, without="views"))
    assert [statement.cql.split()[0] for statement in sent] == ["SELECT"]
    assert [text.split()[0] for text in sync.statements] == ["CREATE", "ALTER"]


def test_a_dry_run_of_a_table_that_does_not_exist_only_creates_it() -> None:
    known: Known = {}
    _, sync = drive(tables.sync(HITS, known, dry_run=True))
    assert [text.split()[0] for text in sync.statements] == ["CREATE"]
    assert known == {}


def test_an_indexed_column_gets_its_index_and_removed_ones_go_only_when_asked() -> None:
    index = 'CREATE INDEX IF NOT EXISTS posts_title_idx ON web.posts ("title")'
    _, sync = drive(tables.sync(POSTS, {}), Rows(), columns(POSTS))
    assert sync.statements[1:] == [index]
    indexes = [{"index_name": "posts_title_idx"}, {"index_name": "posts_old_idx"}]
    plan = tables.sync(POSTS, {}, drop_removed_indexes=True)
    _, sync = drive(plan, Rows(), columns(POSTS), Rows(), indexes)
    assert sync.statements[1:] == [index, "DROP INDEX IF EXISTS web.posts_old_idx"]


def test_indexes_are_told_apart_as_the_catalogue_spells_them() -> None:
    named = [replace(column, index="Titles" if column.name == "title" else None) for column in POSTS.columns]
    table = replace(POSTS, columns=tuple(named), _in_keyspace={})
    indexes = [{"index_name": name} for name in ("titles", "Titles", "Old", "order")]
    _, sync = drive(tables.sync(table, {}, drop_removed_indexes=True), Rows(), columns(table), Rows(), indexes)
    assert sync.statements[2:] == ['DROP INDEX IF EXISTS web."Old"', 'DROP INDEX IF EXISTS web."order"']


def test_what_a_table_is_asked_first_is_known_once_it_is_synced() -> None:
    known: Known = {}
    for table, begun in ((POSTS, ["SELECT", "INSERT"]), (HITS, ["SELECT"])):
        _, sync = drive(tables.sync(table, known), Rows(), columns(table))
        assert [statement.cql.split()[0] for statement in sync.ahead] == begun
        assert sync.ahead[0].cql.endswith("LIMIT ?")
        assert drive(tables.sync(table, known))[1].ahead == []
        assert drive(tables.sync(table, known, dry_run=True))[1].ahead == []


def test_a_comment_is_compared_as_it_is() -> None:
    for stored, wanted in (("a.b", "b"), ("Hits", "hits")):
        table = replace(HITS, options=(("comment", wanted),))
        _, sync = drive(tables.sync(table, {}), Rows(), columns(table), [{"comment": stored}])
        assert sync.statements[1:] == [f"ALTER TABLE web.page_hits WITH comment = '{wanted}'"]


def test_only_changed_options_are_altered() -> None:
    wanted = (("comment", "hits"), ("gc_grace_seconds", 60), ("compaction", {"class": "LeveledCompactionStrategy"}))
    table = replace(HITS, options=wanted, default_ttl=0)
    stored = {
        "comment": "hits",
        "gc_grace_seconds": 864_000,
        "compaction": {"class": "org.apache.cassandra.db.compaction.LeveledCompactionStrategy", "max_threshold": "32"},
        "default_time_to_live": 0,
    }
    _, sync = drive(tables.sync(table, {}), Rows(), columns(table), [stored])
    assert sync.statements[1:] == ["ALTER TABLE web.page_hits WITH gc_grace_seconds = 60"]


def test_a_store_without_options_is_not_altered() -> None:
    _, sync = drive(tables.sync(replace(HITS, options=(("comment", "x"),)), {}), Rows(), columns(HITS))
    assert len(sync.statements) == 1


def test_dropping_forgets_that_the_table_was_synced() -> None:
    known: Known = {"web.page_hits": Seen("native"), "web.posts": Seen(None)}
    sent, _ = drive(tables.drop(HITS, known))
    assert [statement.cql for statement in sent] == ["DROP TABLE IF EXISTS web.page_hits"]
    assert list(known) == ["web.posts"]


def test_truncating_empties_the_table() -> None:
    sent, _ = drive(tables.truncate(HITS))
    assert [statement.cql for statement in sent] == ["TRUNCATE TABLE web.page_hits"]
