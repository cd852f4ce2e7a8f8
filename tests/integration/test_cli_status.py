"""``aggregator stats``, ``top`` and ``unknown`` as an operator runs them, at real processes and their journal."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import pytest

from aggregator import Aggregator
from aggregator.cli import main
from aggregator.core import apart
from aggregator.core.ledger import Change
from coodie.fields import Counter, PrimaryKey
from coodie.sync import CounterDocument, init_coodie
from tests.integration.processes import LIMIT_S, ROOT, environment, run

SAID = "the server did not answer in time"


class Hits(CounterDocument):
    url: Annotated[str, PrimaryKey()]
    views: Annotated[int, Counter()]

    class Settings:
        name = "hits"


@contextmanager
def counting(directory: Path, status: str, **options: Any) -> Iterator[Aggregator]:
    """Count in this process: 20 views of /a, 10 of /b, all written; then 3 of /c that are not."""
    driver = init_coodie(database=str(directory / "hits.db"))
    Hits.sync_table()
    try:
        with Aggregator(flush_interval=None, status=status, **options) as aggregator:
            for number in range(30):
                Hits(url="/b" if number % 3 == 0 else "/a").increment(views=1)
            aggregator.flush()
            Hits(url="/c").increment(views=3)
            yield aggregator
    finally:
        driver.close()


def command(directory: Path, *arguments: str, code: int = 0, **environ: str) -> tuple[str, list[str]]:
    done = run(["-m", "aggregator", *arguments], directory, **environ)
    errors = done.stderr.decode().splitlines()
    assert done.returncode == code, (done.stdout, errors)
    return done.stdout.decode(), errors


def park(aggregator: Aggregator, url: str, views: int) -> None:
    """Set deltas apart, as a write without an answer does."""
    machine = aggregator._machine
    assert machine is not None
    Hits(url=url).increment(views=views)
    aggregator.flush()
    with machine.buffer.opened():
        [held] = machine.buffer.tables.values()
        held.units["views"].applied -= views
        apart.park(held, url, {"views": views}, datetime(2024, 5, 1, tzinfo=UTC), SAID)
        held.ledger.tell_later(held.noted(Change(), unknown=url))
        held.ledger.made()


class TestStats:
    def test_what_a_process_says_of_itself(self, tmp_path: Path) -> None:
        file = tmp_path / "status.sock"
        with counting(tmp_path, str(file)) as aggregator:
            text, _ = command(tmp_path, "stats", "--url", f"unix:{file}")
            found = json.loads(command(tmp_path, "stats", "--json", AGGREGATOR_STATUS=str(file))[0])
            stats = aggregator.stats()
        assert list(found) == list(stats.__struct_fields__)
        assert (found["accepted"], found["applied"], found["pending"], found["increments"]) == (33, 30, 3, 31)
        assert re.search(r"│ accepted +│ +33 │", text)
        assert re.search(r"^hits.views +33 +30 +3 +0 +0 +0$", text, re.MULTILINE)
        assert max(map(len, text.splitlines())) <= 80

    def test_several_processes_are_added_up(self, tmp_path: Path) -> None:
        """Each child of a server has a socket of its own; one that died left its file."""
        program = [sys.executable, "-m", "tests.integration.counting_child", str(tmp_path)]
        children = [
            subprocess.Popen(program, cwd=ROOT, env=environment({}), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            for _ in range(3)
        ]
        try:
            for child in children:
                assert child.stdout is not None
                assert child.stdout.readline() == b"ready\n"
            children[0].send_signal(signal.SIGKILL)
            children[0].wait(timeout=LIMIT_S)
            sockets = f"unix:{tmp_path}/child-{{pid}}.sock"
            found = json.loads(command(tmp_path, "stats", "--json", "--url", sockets)[0])
            [top] = json.loads(command(tmp_path, "top", "--json", "--url", sockets)[0])
        finally:
            for child in children:
                child.communicate(timeout=LIMIT_S)
        assert (found["accepted"], found["applied"], found["pending"], found["state"]) == (20, 20, 0, "ok")
        assert found["tables"]["hits"]["views"]["accepted"] == 20
        assert top == {"table": "hits", "key": {"url": "/a"}, "increments": 20}

    def test_a_journal_tells_what_is_not_written_and_says_what_it_cannot_tell(self, tmp_path: Path) -> None:
        journal = str(tmp_path / "journal")
        with counting(tmp_path, str(tmp_path / "status.sock"), journal=journal) as aggregator:
            park(aggregator, "/d", 7)
            Hits(url="/c").increment(views=3)
            found = json.loads(command(tmp_path, "stats", "--journal", journal, "--json")[0])
            text, _ = command(tmp_path, "stats", AGGREGATOR_JOURNAL=journal)
            told = aggregator.stats()
        for name in ("pending", "in_flight", "unknown", "rows_pending"):
            assert found[name] == getattr(told, name), name
        for name in ("accepted", "applied", "dropped", "increments", "statements", "state"):
            assert found[name] is None
        assert (found["unknown"], found["pending"], found["slots_alive"], found["unreadable"]) == (7, 3, 1, [])
        assert "only they can tell: --url" in " ".join(text.split())

    @pytest.mark.parametrize(
        ("arguments", "code", "line"),
        [
            ((), 2, "where to look? --url of a status endpoint, or --journal of a directory"),
            (("--url", "ftp://host:1"), 2, "'ftp://host:1' is no address of a status endpoint"),
            (("--url", "host"), 2, "'host' is no address of a status endpoint"),
            (("--url", "a:1", "--journal", "b"), 2, "--url looks at running processes and --journal"),
            (("--journal", "nowhere"), 2, "nowhere: there is no journal"),
            (("--url", "unix:nowhere.sock"), 1, "unix:nowhere.sock does not answer: no such file or directory"),
            (("--url", "127.0.0.1:1"), 1, "http://127.0.0.1:1 does not answer: connection refused"),
            (("--url", "unix:none-*.sock"), 1, "unix:none-*.sock: no process answers (0 files)"),
        ],
    )
    def test_what_cannot_be_asked_is_one_line(
        self, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int, line: str
    ) -> None:
        with pytest.raises(SystemExit) as end:
            main(["stats", *arguments])
        assert end.value.code == code
        assert capsys.readouterr().err.startswith(f"aggregator: {line}")


class TestTop:
    def test_into_a_pipe_it_is_printed_once(self, tmp_path: Path) -> None:
        url = f"unix:{tmp_path}/status.sock"
        with counting(tmp_path, str(tmp_path / "status.sock")):
            text, _ = command(tmp_path, "top", "--url", url)
            found = json.loads(command(tmp_path, "top", "-n", "1", "--json", "--url", url)[0])
            other, _ = command(tmp_path, "top", "--table", "other", "--url", url)
        assert re.search(r"20  hits   /a *\n +10  hits   /b", text)
        assert found == [{"table": "hits", "key": {"url": "/a"}, "increments": 20}]
        assert other == "no row has been counted in the last minutes\n"

    def test_of_a_journal_the_rows_it_holds(self, tmp_path: Path) -> None:
        journal = str(tmp_path / "journal")
        with counting(tmp_path, str(tmp_path / "status.sock"), journal=journal):
            found = json.loads(command(tmp_path, "top", "--journal", journal, "--json")[0])
        assert [(row["key"]["url"], row["increments"]) for row in found] == [("/a", 20), ("/b", 10), ("/c", 3)]

    def test_on_a_terminal_it_is_live_and_obeys_keys(self, tmp_path: Path) -> None:
        with counting(tmp_path, str(tmp_path / "status.sock")) as aggregator, terminal(tmp_path) as screen:
            screen.wait_for("20.*hits.*/a.*10.*hits.*/b")
            assert "33" not in screen.text
            screen.press("r")
            screen.wait_for("10.*hits.*/b.*20.*hits.*/a")
            screen.press("k")
            screen.wait_for("20.*hits.*/a.*10.*hits.*/b")
            aggregator.flush()
            screen.wait_for("3 .*hits.*/c")
            screen.press("q")
            assert screen.ended() == 0

    def test_an_endpoint_that_goes_away_is_said_on_the_screen(self, tmp_path: Path) -> None:
        with counting(tmp_path, str(tmp_path / "status.sock")), terminal(tmp_path) as screen:
            screen.wait_for("20.*hits.*/a")
            (tmp_path / "status.sock").rename(tmp_path / "gone.sock")
            screen.wait_for("does not answer")
            assert "/a" in screen.text
            screen.process.send_signal(signal.SIGINT)
            assert screen.ended() == 0


class Screen:
    """A terminal of 24 lines in which ``aggregator top`` runs; ``text`` is what it drew last."""

    def __init__(self, process: subprocess.Popen[bytes], terminal: int) -> None:
        self.process = process
        self.text = ""
        self._terminal = terminal

    def press(self, key: str) -> None:
        self.text = ""
        os.write(self._terminal, key.encode())

    def wait_for(self, pattern: str) -> None:
        """Read until the screen holds the pattern; the pytest timeout ends a wait that is in vain."""
        until = time.monotonic() + LIMIT_S
        while not re.search(pattern, self.text, re.DOTALL):
            assert time.monotonic() < until, f"{pattern!r} is not on the screen: {self.text!r}"
            drawn = os.read(self._terminal, 65_536).decode(errors="replace")
            self.text = (self.text + drawn).rpartition("\x1b[H")[2]  # from where the screen was drawn anew

    def ended(self) -> int:
        return self.process.wait(timeout=LIMIT_S)


@contextmanager
def terminal(directory: Path) -> Iterator[Screen]:
    ours, theirs = pty.openpty()
    program = [sys.executable, "-m", "aggregator", "top", "--url", f"unix:{directory}/status.sock", "--interval", "0.2"]
    variables = environment({"TERM": "xterm", "LINES": "24"})
    process = subprocess.Popen(program, cwd=directory, env=variables, stdin=theirs, stdout=theirs, stderr=theirs)
    try:
        yield Screen(process, ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        os.close(theirs)


class TestUnknown:
    def test_a_row_is_listed_applied_and_gone(self, tmp_path: Path) -> None:
        url = f"unix:{tmp_path}/status.sock"
        with counting(tmp_path, str(tmp_path / "status.sock")) as aggregator:
            assert command(tmp_path, "unknown", "list", "--url", url)[0] == "nothing is set apart\n"
            park(aggregator, "/d", 7)
            park(aggregator, "/e\x1b[2J", -2)
            text, _ = command(tmp_path, "unknown", "list", "--url", url)
            first, second = json.loads(command(tmp_path, "unknown", "list", "--url", url, "--json")[0])
            assert command(tmp_path, "unknown", "resolve", first["id"], "--apply", "--url", url)[0] == (
                f"{first['id']}: back to pending\n"
            )
            command(tmp_path, "unknown", "resolve", second["id"], "--discard", "--url", url)
            _, [again] = command(tmp_path, "unknown", "resolve", second["id"], "--discard", "--url", url, code=1)
            pending, stats = aggregator.pending(Hits, url="/d"), aggregator.stats()
        assert (
            f"{first['id']}  unknown  views+7  hits url='/d'\n  1 write since 2024-05-01 00:00:00 UTC: {SAID}" in text
        )
        assert "url='/e\\x1b[2J'" in text
        assert first["deltas"] == {"views": 7}
        assert pending == {"views": 7}
        assert (stats.unknown, stats.dropped) == (0, -2)
        assert second["id"] in again

    def test_over_tcp_only_with_the_token(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            address = f"127.0.0.1:{free.getsockname()[1]}"
        monkeypatch.setenv("AGGREGATOR_STATUS_TOKEN", "sesame")
        url = f"http://{address}"
        with counting(tmp_path, address) as aggregator:
            park(aggregator, "/d", 7)
            [row] = json.loads(command(tmp_path, "unknown", "list", "--url", url, "--json")[0])
            resolve = ("unknown", "resolve", row["id"], "--discard", "--url", url)
            _, [refused] = command(tmp_path, *resolve, code=1, AGGREGATOR_STATUS_TOKEN="")
            command(tmp_path, *resolve, AGGREGATOR_STATUS_TOKEN="sesame")
            assert aggregator.stats().dropped == 7
        assert "answered 403" in refused

    def test_a_journal_lists_and_does_not_resolve(self, tmp_path: Path) -> None:
        journal = str(tmp_path / "journal")
        with counting(tmp_path, str(tmp_path / "status.sock"), journal=journal) as aggregator:
            park(aggregator, "/d", 7)
            text, _ = command(tmp_path, "unknown", "list", "--journal", journal)
            _, [line] = command(tmp_path, "unknown", "resolve", "x", "--apply", code=2, AGGREGATOR_JOURNAL=journal)
        assert text.startswith("-  unknown  views+7  hits url='/d'\n")
        assert "a journal is only looked at" in line

    @pytest.mark.parametrize("words", [(), ("--apply", "--discard")])
    def test_one_of_the_two_must_be_said(self, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
        with pytest.raises(SystemExit, match="2"):
            main(["unknown", "resolve", "x", *words, "--url", "unix:x"])
        line = capsys.readouterr().err
        assert "say which: --apply (count it once more) or --discard (give it up)" in line


def test_completion_is_offered(tmp_path: Path) -> None:
    text, _ = command(tmp_path, "--show-completion", "bash")
    assert "_AGGREGATOR_COMPLETE=complete_bash" in text
    done = run(
        ["-m", "aggregator"],
        tmp_path,
        _AGGREGATOR_COMPLETE="complete_bash",
        COMP_WORDS="aggregator un",
        COMP_CWORD="1",
    )
    assert done.stdout.decode().split() == ["unknown"]
    command(tmp_path, "--install-completion", "bash", HOME=str(tmp_path))
    assert "aggregator" in (tmp_path / ".bashrc").read_text()
