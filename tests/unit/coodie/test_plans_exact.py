"""Plans of exact tables: what is sent, and what is made of the answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from coodie.exceptions import ConfigurationError, InvalidQueryError, RowRejected
from coodie.plans import counters, exact, kinds, only, queries, sums, tables
from coodie.plans.kinds import Known, Seen
from coodie.query import Query
from coodie.schema import Table, table_of
from coodie.statement import Rows
from tests.unit.coodie.driving import drive
from tests.unit.coodie.models import ExactHits, PageHits

HITS = table_of(ExactHits).qualified("web")
NATIVE = table_of(PageHits).qualified("web")
KEYED = '"site" = ? AND "day" = ?'


def find(**lookups: Any) -> Query:
    return ExactHits.find(**lookups)._query


def summed(day: int, views: int | None, likes: int | None = None) -> dict[str, Any]:
    """Return a row as the server names it."""
    sums = {"system.sum(cast(views as varint))": views, "system.sum(cast(likes as varint))": likes}
    return {"site": "a", "day": day, **sums}


# --- writing ------------------------------------------------------------------------------------------------------


def test_a_write_names_key_writer_totals_in_table_order_and_timestamp() -> None:
    template = exact.write(HITS, ("likes", "views"))
    assert template.cql == (
        'INSERT INTO web.exact_hits ("site", "day", "writer", "views", "likes") '
        "VALUES (?, ?, ?, ?, ?) USING TIMESTAMP ?"
    )
    assert (template.together, template.consistency, template.idempotent) == (10, "LOCAL_QUORUM", True)


def test_templates_of_one_shape_are_one_object() -> None:
    assert exact.write(HITS, ("views", "likes")) is exact.write(HITS, ("likes", "views"))
    assert exact.write(HITS, ("views",)) is not exact.write(HITS, ("views", "likes"))
    assert exact.write(HITS, ("views",)) is not exact.write(HITS.qualified("other"), ("views",))


def test_only_writes_of_totals_share_a_batch() -> None:
    assert counters.update(NATIVE, ("views",)).together == 1


def test_a_native_update_of_an_exact_table_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"need a started Aggregator"):
        counters.update(HITS, ("views",))


def test_the_own_row_is_read_with_its_timestamps() -> None:
    answer = {"views": 5, "writetime(views)": 100, "likes": None, "writetime(likes)": None}
    (sent,), row = drive(exact.own_row(HITS, ("a", 1), "h/0/x"), [answer])
    assert sent.cql == (
        'SELECT "views", WRITETIME("views"), "likes", WRITETIME("likes") FROM web.exact_hits '
        f'WHERE {KEYED} AND "writer" = ?'
    )
    assert (sent.values, sent.consistency) == (("a", 1, "h/0/x"), "LOCAL_QUORUM")
    assert row == {"views": (5, 100)}
    assert drive(exact.own_row(HITS, ("a", 1), "h/0/x"))[1] == {}


def test_writers_are_listed_once_each_over_all_pages() -> None:
    first, second = [{"writer": "b"}, {"writer": "a"}], [{"writer": "b"}, {"writer": "c"}]
    sent, found = drive(exact.writers(HITS), Rows(first, b"1"), Rows(second))
    assert found == ["a", "b", "c"]
    assert [(each.cql, each.paging_state) for each in sent] == [
        ('SELECT "writer" FROM web.exact_hits', None),
        ('SELECT "writer" FROM web.exact_hits', b"1"),
    ]
    assert all(each.fetch_size for each in sent)


def test_the_rows_of_a_writer_are_read_at_all_over_all_pages() -> None:
    row = {"site": "a", "day": 1, "views": 5, "writetime(views)": 9, "likes": None, "writetime(likes)": None}
    sent, found = drive(exact.rows_of(HITS, "d"), Rows([row], b"1"), Rows([{**row, "day": 2}]))
    assert found == [(("a", 1), {"views": (5, 9)}), (("a", 2), {"views": (5, 9)})]
    assert [(each.consistency, each.values, each.paging_state) for each in sent] == [
        ("ALL", ("d",), None),
        ("ALL", ("d",), b"1"),
    ]
    assert sent[0].cql.endswith('FROM web.exact_hits WHERE "writer" = ? ALLOW FILTERING')


def test_a_fold_is_one_batch_that_may_be_sent_again() -> None:
    batch = exact.fold_row(HITS, ("a", 1), "w", {"likes": 3, "views": 2}, 101, "d", 501)
    assert batch.cql == (
        'BEGIN UNLOGGED BATCH INSERT INTO web.exact_hits ("site", "day", "writer", "views", "likes") '
        "VALUES (?, ?, ?, ?, ?) USING TIMESTAMP ?; "
        f'DELETE FROM web.exact_hits USING TIMESTAMP ? WHERE {KEYED} AND "writer" = ?; APPLY BATCH'
    )
    assert batch.values == ("a", 1, "w", 2, 3, 101, 501, "a", 1, "d")
    assert batch.idempotent
    assert batch.shape.table is HITS.stored  # type: ignore[union-attr]  # a batch has a shape


# --- reading ------------------------------------------------------------------------------------------------------

SUMS = 'SELECT "site", "day", SUM(CAST("views" AS varint)), SUM(CAST("likes" AS varint)) FROM web.exact_hits'
GROUPED = 'GROUP BY "site", "day"'


def test_rows_are_summed_by_the_key_of_the_model() -> None:
    query = ExactHits.find(site="a").order_by("-day").limit(7).fetch_size(2)._query
    sent, found = drive(queries.every(ExactHits, HITS, query), Rows([summed(2, 5, None)], b"1"), [summed(1, 3, 4)])
    assert sent[0].cql == f'{SUMS} WHERE "site" = ? {GROUPED} ORDER BY "day" DESC LIMIT ?'
    assert (sent[0].values, sent[1].paging_state) == (("a", 7), b"1")
    assert found == [ExactHits(site="a", day=2, views=5), ExactHits(site="a", day=1, views=3, likes=4)]


def test_a_row_asked_for_by_its_key_is_summed_here() -> None:
    rows = [{"views": 5, "likes": None}, {"views": -7, "likes": 2}]
    key = {"day": 1, "site": "a"}
    (sent,), found = drive(only.get(ExactHits, HITS, key), rows)
    assert sent.cql == f'SELECT "views", "likes" FROM web.exact_hits WHERE {KEYED}'
    assert sent.values == ("a", 1)
    assert found == ExactHits(site="a", day=1, views=-2, likes=2)
    assert drive(only.one(ExactHits, HITS, key))[1] is None


def test_what_a_buffer_holds_is_added_to_the_sum() -> None:
    def held(key: tuple[Any, ...]) -> Mapping[str, int] | None:
        return {("a", 1): {"views": 5}, ("a", 2): {"likes": 2}}.get(key)

    plan = only.one(ExactHits, HITS, {"site": "a", "day": 1}, held)
    assert drive(plan, [{"views": 1, "likes": 1}])[1] == ExactHits(site="a", day=1, views=6, likes=1)
    plan = only.one(ExactHits, HITS, {"site": "a", "day": 2}, held)
    assert drive(plan)[1] == ExactHits(site="a", day=2, likes=2)
    listed = drive(queries.every(ExactHits, HITS, find(site="a"), held), [summed(1, 1), summed(3, 1)])[1]
    assert [row.views for row in listed] == [6, 1]


def test_rows_are_counted_page_by_page() -> None:
    query = ExactHits.find(site="a").limit(9)._query
    sent, count = drive(queries.count(HITS, query), Rows([{}, {}], b"1"), Rows([{}]))
    assert count == 3
    assert sent[1].cql == f'SELECT "site", "day" FROM web.exact_hits WHERE "site" = ? {GROUPED} LIMIT ?'
    assert [(each.values, each.fetch_size, each.paging_state) for each in sent] == [
        (("a", 9), queries.PAGE_ROWS, None),
        (("a", 9), queries.PAGE_ROWS, b"1"),
    ]


@pytest.mark.parametrize("total", [2**63, -(2**63) - 1])
def test_a_sum_beyond_64_bits_is_refused_with_column_and_rows(total: int) -> None:
    answer = [summed(1, 1, 1), summed(2, 1, total)]
    with pytest.raises(RowRejected, match=r"'likes' of table web.exact_hits .* in 1 of 2 rows"):
        drive(queries.every(ExactHits, HITS, find(site="a")), answer)
    with pytest.raises(RowRejected, match=r"'views' .* in 1 of 1 rows"):
        drive(
            sums.totals(HITS, ("a", 1)), [{"views": total // 2, "likes": 0}, {"views": total - total // 2, "likes": 0}]
        )
    for fits in (2**63 - 1, -(2**63)):
        assert drive(sums.totals(HITS, ("a", 1)), [{"views": fits, "likes": 0}])[1]["views"] == fits


# --- tables and their kinds ---------------------------------------------------------------------------------------


def catalogue(table: Table) -> list[dict[str, Any]]:
    """Return what the catalogue says of a stored table."""
    roles = {column.name: "clustering" for column in table.clustering} | {"site": "partition_key"}
    return [{"column_name": c.name, "type": c.cql_type, "kind": roles.get(c.name, "regular")} for c in table.columns]


EXACT_COLUMNS = catalogue(HITS.stored)
NATIVE_COLUMNS = catalogue(replace(HITS, counters="native"))


def test_a_table_is_created_with_its_writers_and_options() -> None:
    known: Known = {}
    _sent, sync = drive(tables.sync(HITS, known), Rows(), EXACT_COLUMNS, [{"default_time_to_live": 0}])
    assert sync.statements == [
        (
            'CREATE TABLE IF NOT EXISTS web.exact_hits ("site" text, "day" int, "writer" text, "views" bigint, '
            '"likes" bigint, PRIMARY KEY (("site"), "day", "writer")) WITH '
            "compaction = {'class': 'LeveledCompactionStrategy'} AND gc_grace_seconds = 864000 AND "
            "default_time_to_live = 0"
        )
    ]
    assert sync.unknown_columns == ()
    assert known == {"web.exact_hits": Seen("exact", frozenset(HITS.by_name))}
    assert drive(tables.sync(HITS, known))[0] == []


def test_a_ttl_that_the_table_got_is_taken_off_and_other_options_stay() -> None:
    stored = {"default_time_to_live": 60, "gc_grace_seconds": 5, "compaction": {"class": "Other"}}
    _, sync = drive(tables.sync(HITS, {}), Rows(), EXACT_COLUMNS, [stored])
    assert sync.statements[1:] == ["ALTER TABLE web.exact_hits WITH default_time_to_live = 0"]


def test_a_missing_counter_is_added_as_a_total() -> None:
    columns = [column for column in EXACT_COLUMNS if column["column_name"] != "likes"]
    _, sync = drive(tables.sync(HITS, {}), Rows(), columns)
    assert sync.statements[1:] == ['ALTER TABLE web.exact_hits ADD "likes" bigint']


def test_a_table_of_the_other_kind_is_refused_and_not_remembered() -> None:
    known: Known = {}
    with pytest.raises(ConfigurationError, match=r"is 'exact', but .* has native counters: set counters = 'native'"):
        drive(tables.sync(HITS, known), Rows(), NATIVE_COLUMNS)
    others = replace(HITS, counters="native")
    with pytest.raises(ConfigurationError, match=r"is 'native', but .* one row for each writer.* = 'exact'"):
        drive(tables.sync(others, known), Rows(), EXACT_COLUMNS)
    for table, columns in ((HITS, NATIVE_COLUMNS), (others, EXACT_COLUMNS)):
        with pytest.raises(ConfigurationError, match=r"Nothing was changed"):
            drive(kinds.checked(table, known, queries.count(table, Query())), columns)
    assert known == {}


def test_a_table_without_writers_is_refused_whatever_its_counters() -> None:
    columns = [{**column, "type": "bigint"} for column in NATIVE_COLUMNS]
    with pytest.raises(ConfigurationError, match=r"has no clustering column 'writer': use another table name"):
        drive(tables.sync(HITS, {}), Rows(), columns)


def test_a_native_table_of_other_hands_is_taken_without_types() -> None:
    columns = [{**column, "type": "bigint"} for column in NATIVE_COLUMNS]
    others = replace(HITS, counters="native")
    assert drive(tables.sync(others, {}), Rows(), columns)[1].unknown_columns == ()


def test_a_kind_is_looked_up_before_the_first_read_alone() -> None:
    known: Known = {}
    for expected in (["ReadColumns", "Select"], ["Select"]):
        plan = kinds.checked(HITS, known, queries.every(ExactHits, HITS, find(site="a")))
        sent, _ = drive(plan, *([EXACT_COLUMNS] if len(expected) > 1 else []))
        assert [type(each.shape).__name__ for each in sent] == expected
    assert known == {"web.exact_hits": Seen("exact")}
    assert drive(tables.sync(HITS, known), Rows(), EXACT_COLUMNS)[1].statements != []


def test_a_kind_that_another_class_synced_is_looked_up() -> None:
    known: Known = {"web.exact_hits": Seen("exact", frozenset(HITS.by_name))}
    others = replace(HITS, counters="native")
    with pytest.raises(ConfigurationError):
        drive(kinds.checked(others, known, queries.count(others, Query())), EXACT_COLUMNS)


def test_a_table_that_is_not_there_is_not_remembered() -> None:
    known: Known = {}
    sent, _ = drive(kinds.checked(HITS, known, queries.count(HITS, Query())))
    assert (len(sent), known) == (2, {})


def test_tables_without_counters_and_drivers_without_a_memory_are_not_looked_up() -> None:
    plan = queries.count(HITS, Query())
    assert kinds.checked(HITS, None, plan) is plan
    assert kinds.checked(replace(HITS, counters=None), {}, plan) is plan


def test_lookups_of_an_exact_class_are_those_of_its_model() -> None:
    with pytest.raises(InvalidQueryError, match=r"Unknown column 'writer'"):
        find(writer="a")
