"""``aggregator doctor``: each check meets a fault that was planted for real, and a deployment that is well."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import pytest

from aggregator import Aggregator
from aggregator.cli import doctor_journal, main
from aggregator.core import apart
from aggregator.core.ledger import Change
from coodie import drivers
from coodie.connections import driver_of
from coodie.cql import render
from coodie.fields import ClusteringKey, Counter, PrimaryKey
from coodie.statement import CreateTable, Statement
from coodie.sync import CounterDocument, init_coodie
from tests.integration.processes import ROOT, environment, run
from tests.support.writers import Process, hits, put

DAY = datetime(2024, 5, 1, tzinfo=UTC)
MODELS = "tests.integration.test_cli_doctor"


class Hits(CounterDocument):
    """The table of ``tests.support.writers``, as a model."""

    site: Annotated[str, PrimaryKey()]
    day: Annotated[datetime, ClusteringKey(order="DESC")]
    views: Annotated[int, Counter()]
    likes: Annotated[int, Counter()]

    class Settings:
        name = "hits"
        counters = "exact"


class Visits(CounterDocument):
    url: Annotated[str, PrimaryKey()]
    views: Annotated[int, Counter()]
    visitors: Annotated[int, Counter()]

    class Settings:
        name = "visits"


class Grown(Visits):
    """With one more counter than the table was made with."""

    likes: Annotated[int, Counter()]


class Retyped(CounterDocument):
    url: Annotated[int, PrimaryKey()]
    views: Annotated[int, Counter()]

    class Settings:
        name = "visits"


class OtherKey(CounterDocument):
    url: Annotated[str, PrimaryKey(partition_key_index=0)]
    visitors: Annotated[int, PrimaryKey(partition_key_index=1)]
    views: Annotated[int, Counter()]

    class Settings:
        name = "visits"


class OtherKind(Visits):
    class Settings:
        name = "visits"
        counters = "exact"


class Missing(Visits):
    class Settings:
        name = "missing"


class Place:
    """A store, a journal, and the command on both."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.directory, self.journal, self.database = directory, directory / "journal", directory / "hits.db"

    def open(self) -> Any:
        init_coodie(database=str(self.database))
        driver = driver_of()
        driver.submit(Statement(CreateTable(hits().stored), render=render))
        return driver

    def count(self, *, rows: int = 3) -> Process:
        """Let a process write some rows and stay."""
        process = Process(self.journal, hits())
        with closing(self.open()):
            for number in range(rows):
                process.add((f"site{number}", DAY), views=number + 1)
            process.flush()
        drivers._registry.clear()
        return process

    def sql(self, *statements: str) -> None:
        with closing(sqlite3.connect(self.database)) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    def doctor(self, *arguments: str, code: int = 1) -> list[tuple[str, str, str]]:
        """Return every (check, text, change) that is a finding."""
        with pytest.raises(SystemExit) as end:
            main(["doctor", *arguments, "--json"])
        output, errors = self._capsys.readouterr()
        assert end.value.code == code, (output, errors)
        found = json.loads(output)
        findings = [each for each in found["checks"] if each["result"] == "finding"]
        assert found["findings"] == len(findings)
        assert code == 0 or f"aggregator: {len(findings)} finding" in errors
        return [(each["check"], each["text"], each["change"]) for each in findings]

    def errors(self) -> str:
        return self._capsys.readouterr().err

    def on_journal(self, code: int = 1) -> list[tuple[str, str, str]]:
        """As :meth:`doctor` on the journal, but for the file system: tests may run on any."""
        found = self.doctor("--journal", str(self.journal), code=code)
        return [each for each in found if each[0] not in ("file system", "space")]


@pytest.fixture
def place(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Give a place in the current directory, in a process that has a second thread, as one with a flusher has."""
    monkeypatch.chdir(tmp_path)
    ended = threading.Event()
    thread = threading.Thread(target=ended.wait)
    thread.start()
    yield Place(tmp_path, capsys)
    ended.set()
    thread.join()
    drivers._registry.clear()


def test_where_all_is_well_nothing_is_found(place: Place) -> None:
    alive = place.count()
    before = sorted((path, path.stat().st_mtime_ns) for path in place.journal.rglob("*"))
    arguments = ["doctor", "--database", str(place.database), "--models", f"{MODELS}:Hits"]
    arguments += ["--journal", str(place.journal)]
    done = run(["-m", "aggregator", *arguments], place.directory)
    text = done.stdout.decode()
    after = sorted((path, path.stat().st_mtime_ns) for path in place.journal.rglob("*"))
    alive.die()
    lines = [line.split()[:2] for line in text.splitlines() if line[:1].isalpha()]
    looked = "journal slots connection clock table writers stored".split()
    assert [name for name, result in lines if result == "ok" and name in looked] == looked
    assert "hits is as Hits has it" in text
    assert "3 rows are stored as the journal has them" in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 80
    assert before == after


def test_without_anything_named_nothing_is_made(place: Place) -> None:
    assert place.doctor(code=0) == []
    assert list(place.directory.iterdir()) == []


class TestDatabase:
    def test_a_file_that_is_not_there_is_not_made(self, place: Place) -> None:
        [(check, text, _)] = place.doctor("--database", "none.db")
        assert (check, text) == ("connection", "none.db: there is no such file")
        assert not (place.directory / "none.db").exists()

    def test_a_server_that_does_not_answer(self, place: Place) -> None:
        [(check, text, change)] = place.doctor("--hosts", "127.0.0.1", "--port", "1", "--keyspace", "web")
        assert check == "connection"
        assert text.startswith("cannot open web at 127.0.0.1:1 (cassandra)")
        assert "hosts" in change

    def test_tables_that_are_not_as_the_models_have_them(self, place: Place) -> None:
        init_coodie(database=str(place.database))
        Visits.sync_table()
        driver_of().close()
        names = ("Visits", "Grown", "Retyped", "OtherKey", "OtherKind", "Missing")
        models = [word for name in names for word in ("--models", f"{MODELS}:{name}")]
        found = place.doctor("--database", str(place.database), *models)
        assert {check for check, _, _ in found} == {"table"}
        assert [text for _, text, _ in found] == [
            "visits lacks likes",
            "visits: url is text, and int in Retyped",
            "visits: visitors is counter, and int in OtherKey",
            "visits has the key (url), which is not that of OtherKey",
            found[4][1],
            "missing is missing",
        ]
        assert "Settings.counters of table visits is 'exact'" in found[4][1]
        assert found[0][2] == "call Grown.sync_table(), or add them by a migration"

    @pytest.mark.parametrize("name", ["nowhere:X", f"{MODELS}:Nobody", f"{MODELS}:Place", "words"])
    def test_a_model_that_is_none_is_a_usage_error(self, place: Place, name: str) -> None:
        with pytest.raises(SystemExit, match="2"):
            main(["doctor", "--models", name])
        assert place.errors().startswith(f"aggregator: --models {name}: ")


class TestJournal:
    def test_a_directory_that_is_not_there(self, place: Place) -> None:
        [(check, text, change)] = place.on_journal()
        assert (check, text) == ("journal", f"{place.journal} is not there")
        assert "made at start()" in change

    def test_a_directory_open_to_others(self, place: Place) -> None:
        place.count().die()
        place.journal.chmod(0o755)
        [(check, text, change)] = place.on_journal()
        assert (check, change) == ("journal", f"chmod 700 {place.journal}")
        assert "open to others (mode 755)" in text

    def test_memory_is_no_disk(self, place: Place) -> None:
        if doctor_journal.file_system(Path("/dev/shm"), Path("/proc/self/mountinfo").read_text()) != "tmpfs":
            pytest.skip("this machine has no tmpfs at /dev/shm")
        place.journal = Path("/dev/shm") / f"doctor-{place.directory.name}"
        try:
            place.count().die()
            found = place.doctor("--journal", str(place.journal))
        finally:
            shutil.rmtree(place.journal, ignore_errors=True)
        assert ("file system", f"{place.journal} is on tmpfs") == (found[0][0], found[0][1].partition(":")[0])

    @pytest.mark.parametrize(
        ("kind", "words"),
        [("nfs4", "flock and mapped files"), ("fuse.sshfs", "flock and"), ("overlay", "layer of a container")],
    )
    def test_file_systems_a_journal_must_not_be_on(self, tmp_path: Path, kind: str, words: str) -> None:
        """What the kernel says of mounts, with one more: mounting these takes a server each."""
        shared = tmp_path / "with blank"
        point = str(shared).replace(" ", r"\040")
        mounts = f"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:9 / {point} rw - {kind} x rw"
        assert doctor_journal.file_system(shared / "journal", mounts) == kind
        assert doctor_journal.file_system(tmp_path, mounts) == "ext4"
        [check] = doctor_journal.judged(shared, kind)
        assert words in check.text
        assert check.change

    def test_a_disk_that_is_smaller_than_the_log_may_grow_to(self, tmp_path: Path) -> None:
        found = [check for check in doctor_journal.disk(tmp_path, 10**15) if check.check == "space"]
        assert found[0].text.endswith("MiB should be")
        assert found[0].change

    def test_what_dead_processes_left(self, place: Place) -> None:
        """One left rows, one a row of unknown fate; one is damaged, one was copied, one set aside."""
        kept = [Process(place.journal, hits()) for _ in range(4)]
        kept[0].add(("a", DAY), views=2)
        with kept[1].slot.buffer.opened():
            held = kept[1].held
            apart.park(held, ("b", DAY), {"views": 1}, DAY, "no answer")
            held.ledger.tell_later(held.noted(Change(), unknown=("b", DAY)))
            held.ledger.made()
        for process in kept:
            process.die()
        log = place.journal / "slot-0002" / "log"
        log.write_bytes(b"x" + log.read_bytes()[1:])
        shutil.move(place.journal / "slot-0003", place.directory / "old")
        shutil.copytree(place.directory / "old", place.journal / "slot-0003")
        (place.journal / "slot-0007.corrupt-1").mkdir(mode=0o700)
        found = place.on_journal()
        assert {check for check, _, _ in found} == {"slots"}
        assert [text.partition(":")[0] for _, text, _ in found] == [
            "slot 0",
            "slot 1",
            "slot 2 cannot be read",
            "slot 3 was written elsewhere",
            "slot-0007.corrupt-1 was set aside",
        ]
        assert found[0][1] == "slot 0: its process is gone and left 1 rows that are not written"
        assert f"aggregator journal recover {place.journal}" in found[0][2]
        assert found[1][1:] == ("slot 1: 1 unknown rows wait for a decision", "aggregator unknown list")

    def test_a_process_that_can_have_no_flusher(self, place: Place) -> None:
        program = [sys.executable, "-m", "tests.integration.idle_writer", str(place.journal)]
        variables = environment({})
        with subprocess.Popen(
            program, cwd=ROOT, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            [(check, text, change)] = place.on_journal()
            process.communicate()
        assert check == "processes"
        assert text.startswith(f"process {process.pid} has one thread, so no flusher runs")
        assert "enable-threads" in change

    def test_workers_without_an_agent(self, place: Place) -> None:
        with Aggregator(journal=place.journal, mode="agent", shutdown_timeout=0.1) as worker:
            Visits(url="/a").increment(views=1)
            [(check, text, change)] = place.on_journal()
            assert worker.stats().pending == 1
        assert (check, text) == (
            "agent",
            "processes in mode='agent' are counting, and no agent runs: nothing is written",
        )
        assert "aggregator agent" in change


class TestExactTables:
    def test_rows_of_many_writers(self, place: Place) -> None:
        with closing(place.open()) as driver:
            for number in range(33):
                put(driver, hits(), ("a", DAY), f"11111111-2222-3333-4444-555555555555/{number}/x", 1, views=1, likes=0)
        [(check, text, change)] = place.doctor("--database", str(place.database), "--models", f"{MODELS}:Hits")
        assert check == "writers"
        assert text == "hits: at most 33 rows of writers for one key (33 rows looked at)"
        assert "aggregator fold hits --journal DIR" in change

    @pytest.mark.parametrize(
        ("statement", "said"),
        [
            ("DELETE FROM hits", "4 of 4 rows that were written are not stored any more"),
            ("DELETE FROM hits WHERE site = 'site1'", "1 of 4 rows that were written are not stored any more"),
            ("UPDATE hits SET views = views - 1 WHERE site = 'site2'", "1 of 4 rows are stored with other totals"),
        ],
    )
    def test_rows_changed_behind_our_back(self, place: Place, statement: str, said: str) -> None:
        alive = place.count(rows=4)
        place.sql(statement)
        found = place.doctor("--database", str(place.database), "--journal", str(place.journal))
        alive.add(("site9", DAY), views=1)  # it goes on counting: what is pending is no finding
        alive.die()
        [(check, text, _)] = [each for each in found if each[0] in ("stored", "slots")]
        assert check == "stored"
        assert text.startswith(f"hits, slot-0000: {said}")

    def test_rows_that_are_being_written_are_not_missed(self, place: Place) -> None:
        alive = place.count()
        alive.add(("site0", DAY), views=5)
        alive.add(("new", DAY), views=5)
        alive.add(("site1", DAY), views=5)
        with closing(place.open()) as driver:  # the database has it already, and the process was not told yet
            put(driver, hits(), ("site1", DAY), alive.writer, 2**60, views=7, likes=0)
        found = place.doctor("--database", str(place.database), "--journal", str(place.journal), code=0)
        alive.die()
        assert found == []


class TestStatus:
    def test_a_process_whose_table_is_gone(self, place: Place) -> None:
        driver = init_coodie(database=str(place.database))
        Visits.sync_table()
        file = place.directory / "status.sock"
        with Aggregator(flush_interval=None, status=str(file)) as aggregator:
            Visits(url="/a").increment(views=1)
            place.sql("DROP TABLE visits")
            aggregator.flush()
            [(check, text, change)] = place.doctor("--url", f"unix:{file}")
            drivers._registry["default"]._known_tables.clear()
            Visits.sync_table()
        driver.close()
        assert check == "status"
        assert text.startswith(f"unix:{file} is suspended: ")
        assert "sync_table()" in change

    def test_a_process_that_is_not_there(self, place: Place) -> None:
        [(check, text, _)] = place.doctor("--url", "unix:none.sock")
        assert (check, text) == ("status", "unix:none.sock does not answer: no such file or directory")

    def test_units_that_were_dropped(self, place: Place) -> None:
        driver = init_coodie(database=str(place.database))
        Visits.sync_table()
        file = place.directory / "status.sock"
        with Aggregator(mode="null", status=str(file)):
            Visits(url="/a").increment(views=3)
            [(_, text, _)] = place.doctor("--url", f"unix:{file}")
        driver.close()
        assert text == f"unix:{file}: 3 units were dropped"
