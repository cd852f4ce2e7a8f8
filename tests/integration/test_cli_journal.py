"""``aggregator journal`` and ``aggregator fold`` as an operator runs them, on the embedded store."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from aggregator.cli.failure import Failure
from aggregator.cli.fold import report
from aggregator.core import apart
from aggregator.core.ledger import Change
from aggregator.folding import Folded
from coodie import drivers
from coodie.connections import driver_of
from coodie.cql import render
from coodie.statement import CreateTable, Select, Statement
from coodie.sync import init_coodie
from tests.integration.processes import run
from tests.support.writers import Process, hits, put, stored

DAY = datetime(2024, 5, 1, tzinfo=UTC)
OTHER = "11111111-2222-3333-4444-555555555555/0/abc"
NATIVE = replace(hits("native_hits"), counters="native", _in_keyspace={})


class Command:
    """Runs a command in a directory with a store ``hits.db`` and a journal."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.journal = directory / "journal"

    def __call__(self, *arguments: str, code: int = 0, store: str = "hits.db") -> tuple[str, list[str]]:
        """Return standard output and the lines of standard error."""
        where = () if arguments[:2] == ("journal", "inspect") else ("--database", store)
        done: subprocess.CompletedProcess[bytes] = run(
            ["-m", "aggregator", *arguments, *where], self.directory, AGGREGATOR_JOURNAL=str(self.journal)
        )
        errors = done.stderr.decode().splitlines()
        assert done.returncode == code, (done.stdout.decode(), errors)
        assert all(line.startswith("aggregator: ") for line in errors), errors
        return done.stdout.decode(), errors

    def inspect(self) -> Any:
        return json.loads(self("journal", "inspect", "journal", "--json")[0])

    @contextmanager
    def open_store(self) -> Iterator[Any]:
        init_coodie(database=str(self.directory / "hits.db"))
        driver = driver_of()
        for table in (hits(), NATIVE):
            driver.submit(Statement(CreateTable(table.stored), render=render))
        try:
            yield driver
        finally:
            driver.close()
            drivers._registry.clear()

    def stored(self) -> Any:
        with self.open_store() as driver:
            return stored(driver, hits())

    def dead_process(self, *, is_native: bool = False, views: int = 5) -> Process:
        """Let a process write one row, leave another unwritten, and die."""
        process = Process(self.journal, NATIVE if is_native else hits())
        with self.open_store():
            process.add(("a", DAY), views=views)
            process.flush()
        process.add(("b", DAY), views=2, likes=-1)
        process.die()
        return process


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)


class TestInspect:
    def test_what_a_dead_and_a_live_process_hold(self, command: Command) -> None:
        live = Process(command.journal, hits())
        live.add(("a", DAY), views=2)
        dead = command.dead_process()
        before = sorted((path, path.stat().st_mtime_ns) for path in command.journal.rglob("*") if path.is_file())
        found = command.inspect()
        text, _ = command("journal", "inspect", "journal")
        assert before == sorted((path, path.stat().st_mtime_ns) for path, _ in before)
        live.add(("a", DAY), views=1)
        live.die()
        assert [slot["alive"] for slot in found["slots"]] == [True, False]
        table = found["slots"][1]["tables"][0]
        assert table == {
            "table": "hits",
            "connection": "default",
            "counters": "exact",
            "writer": dead.writer,
            "rows": 2,
            "rows_pending": 1,
            "pending": 1,
            "in_flight": 0,
            "unknown": [],
            "rejected": [],
            "folding": 0,
            "retired": [],
        }
        assert f"host    {found['host']}\n" in text
        assert "slot 0: alive, process " in text
        assert "slot 1: no owner, log " in text
        assert "    pending 1, in flight 0 (1 rows)\n" in text
        assert max(map(len, text.splitlines())) <= max(80, len(str(command.journal)) + 8)

    def test_a_slot_that_cannot_be_read_and_one_that_was_set_aside(self, command: Command) -> None:
        command.dead_process()
        log = command.journal / "slot-0000" / "log"
        log.write_bytes(b"?" + log.read_bytes()[1:])
        (command.journal / "slot-0007.corrupt-1").mkdir()
        found = command.inspect()
        assert "is damaged at byte 0" in found["slots"][0]["error"]
        assert found["set_aside"] == ["slot-0007.corrupt-1"]
        text, _ = command("journal", "inspect", "journal")
        assert "slot 0: no owner: " in text
        assert "set aside: slot-0007.corrupt-1" in text

    def test_a_journal_that_is_not_there_is_not_made(self, command: Command) -> None:
        for action in ("inspect", "recover"):
            assert command("journal", action, "nowhere", code=2)[1] == ["aggregator: nowhere: there is no journal"]
        assert not (command.directory / "nowhere").exists()


class TestRecover:
    @pytest.mark.parametrize("is_native", [True, False])
    def test_what_a_dead_process_left_is_written_once(self, command: Command, is_native: bool) -> None:
        command.dead_process(is_native=is_native)
        assert command("journal", "recover", "journal")[0] == "slot 0: 1 units written\n"
        assert command("journal", "recover", "journal")[0] == "slot 0: 0 units written\n"
        slot = command.inspect()["slots"][0]
        assert (slot["clean"], slot["tables"][0]["pending"]) == (True, 0)
        if is_native:
            with command.open_store() as driver:
                rows = driver.submit(Statement(Select(NATIVE), render=render)).items
            assert sorted((row["site"], row["views"], row["likes"]) for row in rows) == [("a", 5, 0), ("b", 2, -1)]
        else:
            assert command.stored()[0] == {
                ("a", DAY): {"views": 5, "likes": 0},
                ("b", DAY): {"views": 2, "likes": -1},
            }

    def test_a_live_process_is_left_alone(self, command: Command) -> None:
        live = Process(command.journal, hits())
        live.add(("a", DAY), views=2)
        assert command("journal", "recover", "journal")[0] == "slot 0: a live process has it\n"
        live.die()
        assert command.inspect()["slots"][0]["tables"][0]["pending"] == 2

    def test_what_the_store_does_not_take_stays(self, command: Command) -> None:
        command.dead_process()
        _, errors = command("journal", "recover", "journal", code=1, store="other.db")
        assert errors[0].startswith("aggregator: slot 0: hits: 1 rows are not written, and stay in the journal: ")
        assert "no such table: hits" in errors[0]
        assert command.inspect()["slots"][0]["tables"][0]["pending"] == 1
        command("journal", "recover", "journal")

    def test_a_table_of_a_server_is_not_written_to_the_embedded_store(self, command: Command) -> None:
        table = replace(hits("hits"), keyspace="web", _in_keyspace={})
        process = Process(command.journal, table)
        process.add(("a", DAY), views=2)
        process.die()
        with command.open_store():
            pass
        _, errors = command("journal", "recover", "journal", code=1)
        assert "web.hits was counted for a server, and another store was given: nothing of it was sent" in errors[0]
        assert command.stored() == ({}, {})

    def test_rows_of_another_connection_wait_for_it(self, command: Command) -> None:
        process = Process(command.journal, hits(), connection="metrics")
        process.add(("a", DAY), views=2)
        process.die()
        with command.open_store():
            pass
        assert "metrics" in command("journal", "recover", "journal", code=1)[1][0]
        assert "hits (exact) over connection 'metrics'" in command("journal", "inspect", "journal")[0]
        command("journal", "recover", "journal", "--connection", "metrics")
        assert command.stored() == ({("a", DAY): {"views": 2, "likes": 0}}, {process.writer: 1})

    def test_what_is_of_unknown_fate_is_listed_and_stays(self, command: Command) -> None:
        process = Process(command.journal, NATIVE)
        with process.slot.buffer.lock:
            apart.park(process.held, ("a", DAY), {"views": 3}, DAY, "no answer")
            process.held.ledger.tell(process.held.noted(Change(), unknown=("a", DAY)))
        process.die()
        with command.open_store():
            pass
        out, errors = command("journal", "recover", "journal", code=1)
        assert "unknown site='a' day=datetime" in out
        assert errors == [
            "aggregator: slot 0: native_hits: 1 rows may or may not have been written, and stay set apart"
        ]
        row = command.inspect()["slots"][0]["tables"][0]["unknown"][0]
        assert (row["key"]["site"], row["deltas"], row["reason"]) == ("a", {"views": 3}, "no answer")

    def test_a_slot_that_cannot_be_trusted_is_set_aside(self, command: Command) -> None:
        command.dead_process()
        log = command.journal / "slot-0000" / "log"
        log.write_bytes(b"?" + log.read_bytes()[1:])
        out, errors = command("journal", "recover", "journal", code=1)
        assert out == "slot 0: it cannot be trusted and was set aside\n"
        assert errors == ["aggregator: slot 0: it cannot be trusted and was set aside; what it held is not counted"]
        assert command.inspect()["set_aside"] == ["slot-0000.corrupt-1"]


class TestFold:
    def test_dead_processes_become_one_writer(self, command: Command) -> None:
        first, second = Process(command.journal, hits()), Process(command.journal, hits())
        with command.open_store():
            for process in (first, second):
                process.add(("a", DAY), views=4)
                process.flush()
                process.die()
        out, _ = command("fold", "hits")
        assert out == f"1 rows merged, 1 writers gone\ngone: {second.writer}\n"
        assert command.stored() == ({("a", DAY): {"views": 8, "likes": 0}}, {first.writer: 1})
        assert command("fold", "hits", "--journal", "journal")[0] == "0 rows merged, 0 writers gone\n"

    def test_a_writer_of_another_host_needs_its_name_and_a_confirmation(self, command: Command) -> None:
        own = command.dead_process()
        with command.open_store() as driver:
            put(driver, hits(), ("a", DAY), OTHER, 1_700_000_000_000_000, views=7)
        assert f"left alone: {OTHER}: " in command("fold", "hits")[0]
        out, errors = command("fold", "hits", "--dead", OTHER, "--dead", "nobody", code=2)
        assert f"{OTHER}: 1 rows would be merged; its last write was " in out
        assert "nobody: it has no row in hits" in out
        assert "nothing was done; add --confirm" in errors[0]
        assert command.stored()[1][OTHER] == 1
        assert f"gone: {OTHER}\n" in command("fold", "hits", "--dead", OTHER, "--confirm")[0]
        out, errors = command("fold", "hits", "--dead", OTHER, "--confirm", code=2)
        assert out == "0 rows merged, 0 writers gone\n"
        assert errors == [
            f"aggregator: --dead {OTHER}: no such writer has a row; all else is done (was it folded before?)"
        ]
        sums, rows = command.stored()
        assert sums[("a", DAY)] == {"views": 12, "likes": 0}
        assert rows == {own.writer: 2}

    @pytest.mark.parametrize(
        ("table", "says"),
        [
            ("nowhere", "there is no table nowhere"),
            ("native_hits", "native_hits is no exact table"),
            ("web.hits", "the embedded store has no keyspaces"),
        ],
    )
    def test_a_table_that_cannot_be_folded_is_a_usage_error(self, command: Command, table: str, says: str) -> None:
        command.dead_process()
        assert says in command("fold", table, code=2)[1][0]

    def test_without_a_journal_it_is_a_usage_error(self, command: Command) -> None:
        with command.open_store():
            pass
        assert "there is no journal" in command("fold", "hits", code=2)[1][0]

    def test_what_is_not_finished_is_a_failure(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(Failure, match="not finished, the same command goes on from here: no answer") as error:
            report(Folded(rows=3, skipped=[("slot 1", "a live process has it")], failure="no answer"))
        assert error.value.code == 1
        assert capsys.readouterr().out == ("3 rows merged, 0 writers gone\nleft alone: slot 1: a live process has it\n")
