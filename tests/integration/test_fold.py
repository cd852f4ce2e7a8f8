"""Folding retired writers of an exact table: each row once, whatever happens in between."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aggregator.core.eviction import evict
from aggregator.exceptions import JournalError
from aggregator.folding import Folded, Folding
from aggregator.journal.directory import open_directory
from aggregator.slots import OpenSlot, options_of
from coodie import drivers
from coodie.connections import driver_of
from coodie.cql import render
from coodie.schema import Table
from coodie.statement import CreateTable, Statement
from coodie.sync import init_coodie
from tests.contract.stores import fresh
from tests.support.writers import Process, Totals, hits, put, stored

DAY = datetime(2024, 5, 1, 12, 30, 0, 123000, tzinfo=UTC)
KEYS = [("a", DAY), ("a", DAY + timedelta(days=1)), ("b", DAY), ("ü", DAY)]
HOUR_US = 3_600_000_000
OTHER = "11111111-2222-3333-4444-555555555555/0/abc"


class Field:
    """A store, an exact table there and a journal."""

    def __init__(self, driver: Any, table: Table, journal: Path) -> None:
        self.driver = driver
        self.table = table
        self.journal = journal

    def process(self) -> Process:
        return Process(self.journal, self.table)

    def fold(self, *dead: str) -> Folded:
        return self.folding(*dead).run()

    def folding(self, *dead: str) -> Folding:
        return Folding(options_of(str(self.journal)), self.driver, "default", self.table, dead)

    def stored(self) -> tuple[Totals, dict[str, int]]:
        return stored(self.driver, self.table)

    def dead_processes(self, count: int = 3) -> tuple[Totals, list[str]]:
        """Let processes count side by side, leave something unwritten, and die; return the sums and the writers."""
        processes = [self.process() for _ in range(count)]
        expected: Totals = {key: {"views": 0, "likes": 0} for key in KEYS[: count + 1]}
        for number, process in enumerate(processes, 1):
            for place, key in enumerate(KEYS[: number + 1]):
                process.add(key, views=10 * number + place, likes=-number)
                expected[key]["views"] += 10 * number + place
                expected[key]["likes"] -= number
            process.flush()
            process.add(KEYS[0], views=1)
            expected[KEYS[0]]["views"] += 1
        for process in processes:
            process.die()
        return expected, [process.writer for process in processes]


@pytest.fixture(params=["sqlite", "cassandra", "acsylla"])
def field(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Field]:
    """Give an empty table and an empty journal."""
    if request.param == "sqlite":
        init_coodie(database=str(tmp_path / "hits.db"))
        table = hits()
    else:
        server, keyspace = request.getfixturevalue("cassandra"), request.getfixturevalue("keyspace")
        init_coodie(hosts=server.hosts, port=server.port, keyspace=keyspace, driver_type=request.param)
        table = hits(fresh("hits"), keyspace)
    driver = driver_of()
    driver.submit(Statement(CreateTable(table.stored), render=render))
    yield Field(driver, table, tmp_path / "journal")
    driver.close()
    drivers._registry.clear()


def now_us() -> int:
    return time.time_ns() // 1000


def test_rows_of_dead_processes_end_in_one_writer(field: Field) -> None:
    expected, writers = field.dead_processes()
    done = field.fold()
    assert (done.failure, done.skipped) == (None, [])
    assert done.gone == sorted(writers[1:])
    assert done.rows == 3 + 4
    assert field.stored() == (expected, {writers[0]: 4})
    again = field.fold()
    assert (again.rows, again.gone, again.skipped, again.failure) == (0, [], [], None)
    assert field.stored() == (expected, {writers[0]: 4})


def test_the_writer_of_the_fold_counts_on_and_the_slots_begin_new_ones(field: Field) -> None:
    expected, writers = field.dead_processes()
    field.fold()
    processes = [field.process() for _ in range(3)]
    assert processes[0].writer == writers[0]
    assert {process.writer for process in processes}.isdisjoint(writers[1:])
    for process in processes:
        process.add(KEYS[3], views=100)
        process.flush()
        process.die()
        expected[KEYS[3]]["views"] += 100
    assert field.stored()[0] == expected


def test_a_live_process_keeps_its_writer_and_counts_on(field: Field) -> None:
    live = field.process()
    live.add(KEYS[0], views=5)
    live.flush()
    expected, writers = field.dead_processes(2)
    counted = 0

    class Busy:
        """Count in the live process between the statements of the fold."""

        def __getattr__(self, name: str) -> Any:
            nonlocal counted
            if name == "submit" and counted < 7:
                counted += 1
                live.add(KEYS[0], views=1)
                live.flush()
            return getattr(field.driver, name)

    folding = Folding(options_of(str(field.journal)), Busy(), "default", field.table)
    done = folding.run()
    assert done.failure is None
    assert ("slot 0", "a live process has it") in done.skipped
    live.flush()
    live.die()
    assert counted
    expected[KEYS[0]]["views"] += 5 + counted
    assert field.stored()[0] == expected
    assert set(field.stored()[1]) == {live.writer, writers[0]}


def test_one_fold_of_a_journal_at_a_time(field: Field, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, writers = field.dead_processes(2)
    refused: list[str] = []
    write = OpenSlot.write

    def second_one(slot: OpenSlot) -> None:
        with pytest.raises(JournalError, match="another fold of the journal .* is running; nothing was done") as error:
            field.fold()
        refused.append(str(error.value))
        write(slot)

    monkeypatch.setattr(OpenSlot, "write", second_one)
    assert field.fold().failure is None
    assert refused
    assert field.stored() == (expected, {writers[0]: 3})


@pytest.mark.parametrize("field", ["cassandra", "acsylla"], indirect=True)  # in SQLite no write can be late
def test_a_late_write_of_a_folded_writer_stays_shadowed(field: Field) -> None:
    expected, writers = field.dead_processes(2)
    when_it_died = now_us()
    field.fold()
    for key in KEYS[:3]:
        put(field.driver, field.table, key, writers[1], when_it_died, views=999)
    assert field.stored() == (expected, {writers[0]: 3})


def test_rows_that_the_folding_slot_had_let_go_are_read_first(field: Field) -> None:
    """Its own total is in the database alone: it must be laid under what is folded in."""
    first = field.process()
    for key in KEYS:
        first.add(key, views=1000)
    first.flush()
    with first.slot.buffer.lock:
        assert evict(first.held.totals, 4) == 4
    second = field.process()
    second.add(KEYS[1], likes=3)
    second.flush()
    first.die()
    second.die()
    assert field.fold().rows == 1
    sums, rows = field.stored()
    assert sums[KEYS[1]] == {"views": 1000, "likes": 3}
    assert rows == {first.writer: 4}


def test_a_sum_beyond_64_bits_leaves_both_rows(field: Field) -> None:
    first, second = field.process(), field.process()
    for process in (first, second):
        process.add(KEYS[0], views=2**62)
        process.add(KEYS[1], views=1)
        process.flush()
        process.die()
    done = field.fold()
    assert (done.rows, done.gone) == (1, [])
    assert done.skipped == [("1 rows", "the sum of both rows would leave 64 bits")]
    sums, rows = field.stored()
    assert sums == {KEYS[0]: {"views": 2**63, "likes": 0}, KEYS[1]: {"views": 2, "likes": 0}}
    assert rows == {first.writer: 2, second.writer: 1}


def test_a_slot_that_knows_the_table_as_another_kind_is_refused(field: Field) -> None:
    native = replace(field.table, counters="native", _in_keyspace={})
    Process(field.journal, native).die()
    with pytest.raises(JournalError, match="its counters were 'native': that was another table; nothing was done"):
        field.fold()


class TestWritersThatNobodyOwns:
    @pytest.mark.parametrize("minutes", [59, 61])
    def test_another_host_only_by_name_and_not_before_an_hour(self, field: Field, minutes: int) -> None:
        own = field.process()
        own.add(KEYS[0], views=1)
        own.flush()
        own.die()
        put(field.driver, field.table, KEYS[0], OTHER, now_us() - minutes * 60_000_000, views=7, likes=1)
        unnamed = field.fold()
        assert unnamed.rows == 0
        assert unnamed.skipped[0][0] == OTHER
        assert "--dead" in unnamed.skipped[0][1]
        named = field.fold(OTHER, "nobody")
        assert named.absent == ["nobody"]
        assert named.gone == ([OTHER] if minutes > 60 else [])
        assert field.stored()[0] == {KEYS[0]: {"views": 8, "likes": 1}}
        assert set(field.stored()[1]) == ({own.writer} if minutes > 60 else {own.writer, OTHER})

    @pytest.mark.parametrize("minutes", [10, 90])
    def test_an_unknown_writer_of_a_slot_held_here_may_live_in_a_copy(self, field: Field, minutes: int) -> None:
        host = open_directory(field.journal).host
        unknown = f"{host}/0/abcdef"
        put(field.driver, field.table, KEYS[0], unknown, now_us() - minutes * 60_000_000, views=7)
        done = field.fold()
        assert done.gone == ([unknown] if minutes > 60 else [])
        assert field.stored()[0] == {KEYS[0]: {"views": 7, "likes": 0} if minutes > 60 else {"views": 7}}

    def test_a_live_process_cannot_be_named_dead(self, field: Field) -> None:
        live = field.process()
        live.add(KEYS[0], views=1)
        live.flush()
        done = field.fold(live.writer)
        assert (live.writer, "a live process has its slot") in done.skipped
        live.die()
        assert field.stored()[1] == {live.writer: 1}
