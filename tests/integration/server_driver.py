"""
What every driver of a server does, on both faces, on a real Cassandra: inherited by the tests of each driver.

A test gets ``driver`` and ``submit``, the latter once for each face.
"""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, time
from decimal import Decimal
from ipaddress import ip_address
from typing import Any
from uuid import UUID

import pytest

from coodie.cql import render
from coodie.exceptions import ConfigurationError, InvalidQueryError, RowRejected, TableRejected
from coodie.schema import Column, Table
from coodie.statement import (
    CounterUpdate,
    CreateTable,
    DropTable,
    Fate,
    Insert,
    Outcome,
    Raw,
    Rows,
    Select,
    Selected,
    Shape,
    Statement,
    Term,
)

Submit = Callable[[Statement], Rows]

EVERY_TYPE: dict[str, tuple[Any, Any, Any]] = {
    "text_": ("text", str, "snow \u2603"),
    "ascii_": ("ascii", str, "plain"),
    "int_": ("int", int, -(2**31)),
    "bigint_": ("bigint", int, 2**63 - 1),
    "smallint_": ("smallint", int, -5),
    "tinyint_": ("tinyint", int, 127),
    "varint_": ("varint", int, -(2**70)),
    "double_": ("double", float, 0.1),
    "boolean_": ("boolean", bool, True),
    "blob_": ("blob", bytes, b"\x00\xff"),
    "uuid_": ("uuid", UUID, UUID("12345678-1234-4678-9234-567812345678")),
    "timestamp_": ("timestamp", datetime, datetime(2024, 2, 29, 12, 30, 15, 123000, tzinfo=UTC)),
    "date_": ("date", date, date(1969, 7, 20)),
    "time_": ("time", time, time(23, 59, 59, 999999)),
    "decimal_": ("decimal", Decimal, Decimal("1.50")),
    "inet4": ("inet", object, ip_address("192.0.2.7")),
    "inet6": ("inet", object, ip_address("2001:db8::7")),
    "list_": ("list<int>", list[int], [3, 1, 3]),
    "set_": ("set<uuid>", set[UUID], {UUID(int=1), UUID(int=2)}),
    "map_": ("map<text, timestamp>", dict[str, datetime], {"a": datetime(2024, 1, 1, tzinfo=UTC)}),
    "addresses": ("map<inet, varint>", dict[Any, int], {ip_address("192.0.2.1"): 2**65}),
    "tuple_": ("tuple<int, uuid>", tuple[int, UUID], (7, UUID(int=7))),
    "frozenset_": ("frozen<set<date>>", frozenset[date], frozenset({date(2024, 1, 2)})),
}
COUNTED_ROWS = 10_000


def statement(shape: Shape, *values: Any, **options: Any) -> Statement:
    return Statement(shape, values, render, **options)


def raw(text: str, *values: Any, **options: Any) -> Statement:
    return statement(Raw(text), *values, **options)


def counters(keyspace: str, name: str = "") -> Table:
    columns = (
        Column("url", "text", str, partition_index=0),
        Column("views", "counter", int, counter=True),
        Column("visitors", "counter", int, counter=True),
    )
    return Table(name or f"hits_{uuid.uuid4().hex[:8]}", columns, counters="native").qualified(keyspace)


class ServerDriverContract:
    """Inherit it beside fixtures ``driver`` and ``submit``."""

    @pytest.fixture
    def hits(self, driver: Any, keyspace: str) -> Iterator[Table]:
        table = counters(keyspace)
        driver.submit(statement(CreateTable(table)))
        yield table
        driver.submit(statement(DropTable(table)))

    def test_every_type_comes_back_as_it_was_saved(self, submit: Submit, keyspace: str) -> None:
        columns = [Column("key", "text", str, partition_index=0)]
        columns += [Column(name, kind, python) for name, (kind, python, _) in EVERY_TYPE.items()]
        table = Table(f"types_{uuid.uuid4().hex[:8]}", tuple(columns)).qualified(keyspace)
        values = {"key": "k"} | {name: value for name, (_, _, value) in EVERY_TYPE.items()}
        submit(statement(CreateTable(table)))
        submit(statement(Insert(table, tuple(values)), *values.values()))
        submit(statement(Insert(table, tuple(values)), "nothing", *[None] * len(EVERY_TYPE)))

        by_key = statement(Select(table, where=(Term("key"),)), "k")
        assert submit(by_key).items == [values]
        assert {name: type(value) for name, value in submit(by_key).items[0].items()} == {
            name: type(value) for name, value in values.items()
        }
        named = Select(table, tuple(Selected(name) for name in ("uuid_", "key")), where=(Term("key"),))
        assert submit(statement(named, "k")).items == [{"uuid_": values["uuid_"], "key": "k"}]
        assert set(submit(statement(Select(table, where=(Term("key"),)), "nothing")).items[0].values()) == {
            "nothing",
            None,
        }
        submit(statement(DropTable(table)))

    def test_a_sum_of_varints_is_a_number(self, submit: Submit, keyspace: str) -> None:
        table = Table("totals", (Column("key", "text", partition_index=0), Column("n", "bigint", int)), keyspace)
        submit(statement(CreateTable(table)))
        for key in "ab":
            submit(statement(Insert(table, ("key", "n")), key, 2**63 - 1))
        total = Select(table, (Selected("n", function="sum", cast="varint"),))
        text = f"SELECT SUM(CAST(n AS varint)) FROM {table.full_name}"
        answer = submit(Statement(total, render=lambda shape: text)).items
        assert list(answer[0].values()) == [2 * (2**63 - 1)]
        submit(statement(DropTable(table)))

    def test_counters_add_up(self, submit: Submit, hits: Table) -> None:
        both = statement(CounterUpdate(hits, ("views", "visitors")), 2, 1, "/home")
        submit(both)
        submit(both)
        submit(statement(CounterUpdate(hits, ("views",)), -1, "/home", consistency="ONE", timeout=5.0))
        rows = submit(statement(Select(hits, where=(Term("url"),)), "/home")).items
        assert rows == [{"url": "/home", "views": 3, "visitors": 2}]

    def test_all_pages_are_fetched_unless_one_is_asked_for(self, driver: Any, submit: Submit, keyspace: str) -> None:
        table = Table(
            "pages", (Column("k", "int", partition_index=0), Column("c", "int", clustering_index=0)), keyspace
        )
        driver.submit(statement(CreateTable(table)))
        insert = statement(Insert(table, ("k", "c")))
        run(driver, [(insert, (1, number)) for number in range(5_500)])  # the drivers' own page is of 5,000 rows

        everything = statement(Select(table, where=(Term("k"),)), 1)
        assert [row["c"] for row in submit(everything).items] == list(range(5_500))
        seen, state, pages = [], None, 0
        while state is not None or not pages:
            page = submit(statement(everything.shape, 1, fetch_size=2_000, paging_state=state))
            seen += [row["c"] for row in page.items]
            state, pages = page.paging_state, pages + 1
        assert (seen, pages) == (list(range(5_500)), 3)
        driver.submit(statement(DropTable(table)))

    def test_a_conditional_statement_answers_whether_it_was_applied(self, submit: Submit, keyspace: str) -> None:
        table = Table("once", (Column("key", "text", partition_index=0), Column("n", "int", int)), keyspace)
        submit(statement(CreateTable(table)))
        insert = statement(Insert(table, ("key", "n"), if_not_exists=True), "a", 1)
        assert submit(insert).items[0]["[applied]"] is True
        assert submit(insert).items == [{"[applied]": False, "key": "a", "n": 1}]
        submit(statement(DropTable(table)))

    def test_an_in_condition_takes_a_tuple(self, submit: Submit, hits: Table) -> None:
        for url in ("/a", "/b", "/c"):
            submit(statement(CounterUpdate(hits, ("views",)), 1, url))
        some = statement(Select(hits, (Selected("url"),), where=(Term("url", "IN"),)), ("/a", "/c"))
        assert sorted(row["url"] for row in submit(some).items) == ["/a", "/c"]

    def test_incomplete_values_are_refused(self, submit: Submit, hits: Table) -> None:
        update = CounterUpdate(hits, ("views", "visitors"))
        for values in ((1,), (1, 1), (1, 1, "/home", 1)):
            with pytest.raises(InvalidQueryError, match=rf"takes 3 values and {len(values)} were given"):
                submit(statement(update, *values))
        assert submit(statement(Select(hits))).items == []

    def test_a_bad_key_or_value_is_the_rows_fault(self, submit: Submit, hits: Table) -> None:
        update = CounterUpdate(hits, ("views",))
        for delta, url in ((1, ""), (1, "x" * 65_536), ("one", "/home"), (2**63, "/home"), (1, "\ud800")):
            with pytest.raises(RowRejected, match="nothing was written"):
                submit(statement(update, delta, url))
        assert submit(statement(Select(hits))).items == []

    def test_a_missing_table_or_column_is_the_tables_fault(self, submit: Submit, hits: Table, keyspace: str) -> None:
        missing = counters(keyspace, "nowhere")
        with pytest.raises(TableRejected, match="nowhere"):
            submit(statement(CounterUpdate(missing, ("views",)), 1, "/home"))
        with pytest.raises(TableRejected, match="nowhere"):
            submit(statement(Select(missing)))
        other = Table(hits.name, (*hits.columns, Column("likes", "counter", int, counter=True))).qualified(keyspace)
        with pytest.raises(TableRejected, match="likes"):
            submit(statement(CounterUpdate(other, ("likes",)), 1, "/home"))
        with pytest.raises(TableRejected, match="no_such_keyspace"):
            submit(statement(CounterUpdate(counters("no_such_keyspace"), ("views",)), 1, "/home"))

    def test_a_table_dropped_after_preparing_is_the_tables_fault(
        self, driver: Any, submit: Submit, keyspace: str
    ) -> None:
        table = counters(keyspace)
        update = statement(CounterUpdate(table, ("views",)), 1, "/home")
        submit(statement(CreateTable(table)))
        submit(update)
        submit(statement(DropTable(table)))
        with pytest.raises(TableRejected):
            submit(update)
        [outcome] = run(driver, [(update, update.values)])
        assert isinstance(outcome.error, TableRejected)
        submit(statement(CreateTable(table)))
        submit(update)
        assert submit(statement(Select(table))).items[0]["views"] == 1
        submit(statement(DropTable(table)))

    def test_an_unknown_consistency_is_refused(self, submit: Submit, hits: Table) -> None:
        with pytest.raises(ConfigurationError, match=r"'MOST' is not known.*LOCAL_QUORUM"):
            submit(statement(CounterUpdate(hits, ("views",)), 1, "/home", consistency="MOST"))

    def test_the_text_face_of_users(self, driver: Any, hits: Table) -> None:
        name = hits.full_name
        assert driver.execute(f"UPDATE {name} SET views = views + ? WHERE url = ?", [4, "/home"]) == []
        assert driver.execute(f"UPDATE {name} SET views = views + 1 WHERE url = '/home'") == []
        assert driver.execute_one(f"SELECT views FROM {name} WHERE url = ?", ["/home"]) == 5
        driver.execute(f"UPDATE {name} SET views = views + ? WHERE url = ?", [4, "/other"])
        assert len(driver.execute(f"SELECT * FROM {name}", (), fetch_size=1)) == 1
        assert driver._last_paging_state

    def test_many_add_up_exactly(self, driver: Any, hits: Table) -> None:
        template = statement(CounterUpdate(hits, ("views",)))
        rows = [(template, (number % 7 + 1, f"/{number % 1_000}")) for number in range(COUNTED_ROWS)]
        outcomes = run(driver, rows)
        assert [outcome.fate for outcome in outcomes] == [Fate.APPLIED] * COUNTED_ROWS
        expected: dict[str, int] = {}
        for _, (delta, url) in rows:
            expected[url] = expected.get(url, 0) + delta
        stored = driver.submit(statement(Select(hits))).items
        assert {row["url"]: row["views"] for row in stored} == expected

    def test_each_of_many_gets_its_own_outcome(self, driver: Any, hits: Table, keyspace: str) -> None:
        good = statement(CounterUpdate(hits, ("views",)))
        late = statement(CounterUpdate(hits, ("visitors",)))  # prepared while the others are in flight
        missing = statement(CounterUpdate(counters(keyspace, "nowhere"), ("views",)))
        rows = [
            (good, (1, "/a")),
            (good, (1, "")),
            (good, ("one", "/a")),
            (good, (1,)),
            (missing, (1, "/a")),
            (missing, (1, "/b")),
            (late, (1, "/a")),
            (statement(good.shape, consistency="MOST"), (1, "/a")),
        ] * 20
        outcomes = run(driver, rows, limit=7)
        applied, refused = (Fate.APPLIED, None), (Fate.REJECTED, RowRejected)
        gone = (Fate.REJECTED, TableRejected)
        kinds = [applied, refused, refused, refused, gone, gone, applied]
        for outcome, (fate, leaf) in zip(outcomes, [*kinds, (Fate.NOT_APPLIED, None)] * 20, strict=True):
            assert outcome.fate is fate
            assert leaf is None or isinstance(outcome.error, leaf)
        assert driver.submit(statement(Select(hits))).items == [{"url": "/a", "views": 20, "visitors": 20}]

    @pytest.mark.parametrize("limit", [1, 10, 500])
    def test_what_the_iterator_raises_is_raised_when_all_are_told(self, driver: Any, hits: Table, limit: int) -> None:
        template = statement(CounterUpdate(hits, ("views",)))

        def work() -> Iterator[tuple[Statement, tuple[Any, ...]]]:
            for number in range(100):
                yield template, (1, f"/{number}")
            raise LookupError("the hundredth and first")

        told: list[int] = []
        with pytest.raises(LookupError, match="hundredth"):
            driver.execute_many(work(), limit, lambda index, outcome: told.append(index))
        assert sorted(told) == list(range(100))
        assert len(driver.submit(statement(Select(hits))).items) == 100

    def test_what_settle_raises_ends_the_run_and_is_raised(self, driver: Any, hits: Table) -> None:
        template = statement(CounterUpdate(hits, ("views",)))
        told: list[int] = []

        def settle(index: int, outcome: Outcome) -> None:
            told.append(index)
            if len(told) == 5:
                raise LookupError("the fifth")

        with pytest.raises(LookupError, match="fifth"):
            driver.execute_many(((template, (1, f"/{number}")) for number in range(1_000)), 10, settle)
        assert 5 <= len(told) <= 20
        assert len(driver.submit(statement(Select(hits))).items) == len(told)

    def test_nothing_to_do_is_done_at_once(self, driver: Any) -> None:
        assert run(driver, []) == []

    def test_neither_the_iterator_nor_settle_runs_twice_at_once(self, driver: Any, hits: Table) -> None:
        template = statement(CounterUpdate(hits, ("views",)))
        inside = threading.Lock()

        def work() -> Iterator[tuple[Statement, tuple[Any, ...]]]:
            for number in range(2_000):
                with_no_other(inside)
                yield template, (1, f"/{number % 10}")

        driver.execute_many(work(), 50, lambda index, outcome: with_no_other(inside))

    def test_closing_in_the_middle_of_a_fan_out_leaves_nobody_waiting(
        self, driver: Any, new_driver: Callable[[], Any], hits: Table
    ) -> None:
        closing, told = new_driver(), []
        template = statement(CounterUpdate(hits, ("views",)))
        halfway, ended = threading.Event(), threading.Event()

        def settle(index: int, outcome: Outcome) -> None:
            told.append((index, outcome.fate))
            if len(told) == 500:
                halfway.set()

        def flush() -> None:
            with suppress(ConfigurationError):  # acsylla: the loop of its own thread has ended
                closing.execute_many(((template, (1, "/home")) for _ in range(5_000)), 50, settle)
            ended.set()

        thread = threading.Thread(target=flush)
        thread.start()
        assert halfway.wait(60)
        closing.close()
        assert ended.wait(60)
        thread.join()
        fates = [fate for _, fate in told]
        assert sorted(index for index, _ in told) == list(range(len(told)))
        stored = driver.submit(statement(Select(hits))).items[0]["views"]
        assert fates.count(Fate.APPLIED) <= stored <= fates.count(Fate.APPLIED) + fates.count(Fate.UNKNOWN)

    def test_a_closed_driver_says_so(self, new_driver: Callable[[], Any], keyspace: str) -> None:
        driver = new_driver()
        driver.close()
        driver.close()
        asyncio.run(driver.close_async())
        with pytest.raises(ConfigurationError, match="closed; nothing was sent"):
            driver.submit(raw("SELECT release_version FROM system.local"))
        with pytest.raises(ConfigurationError, match="closed; nothing was sent"):
            run(driver, [(statement(CounterUpdate(counters(keyspace), ("views",))), (1, "/a"))])


def with_no_other(inside: threading.Lock) -> None:
    assert inside.acquire(blocking=False), "two threads at once"
    inside.release()


def run(driver: Any, rows: list[tuple[Statement, tuple[Any, ...]]], limit: int = 100) -> list[Outcome]:
    """Run a fan-out and return the outcomes in the order of the rows; each is told once."""
    told: dict[int, Outcome] = {}

    def settle(index: int, outcome: Outcome, count: int = 1) -> None:
        for each in range(index, index + count):
            assert each not in told, "told twice"
            told[each] = outcome

    driver.execute_many(iter(rows), limit, settle)
    return [told[index] for index in range(len(rows))]
