"""``aggregator replay`` as a user runs it, on the embedded store."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import coodie
from tests.integration.processes import LIMIT_S, environment, run, running, stored

REPLAY = ["-m", "aggregator", "replay"]
GOOD = b'10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET %b HTTP/1.1" 200 5 "-" "curl/8.0"\n'
JSON_KEYS = "hits bad_lines keys applied unknown dropped statements flushes elapsed verified".split()


def lines(*urls: str) -> bytes:
    return b"".join(GOOD % url.encode() for url in urls)


class Replay:
    """Runs the command in a directory of its own and keeps the store there."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.database = directory / "hits.db"

    def log(self, data: bytes, name: str = "access.log") -> str:
        (self.directory / name).write_bytes(data)
        return name

    def __call__(self, *arguments: str, code: int = 0, stdin: bytes = b"", **extra: str) -> tuple[Any, list[str]]:
        """Return the JSON object, or None, and the lines of standard error."""
        where = () if extra else ("--database", "hits.db")
        done = run([*REPLAY, *arguments, *where, "--json"], self.directory, stdin, **extra)
        errors = done.stderr.decode().splitlines()
        assert done.returncode == code, errors
        assert all(line.startswith("aggregator: ") for line in errors), errors
        return (json.loads(done.stdout) if done.stdout else None), errors

    def stored(self, table: str = "page_hits") -> dict[str, int]:
        return stored(self.database, table)


@pytest.fixture
def replay(tmp_path: Path) -> Replay:
    return Replay(tmp_path)


class TestCounting:
    def test_each_request_is_a_view_of_its_url(self, replay: Replay) -> None:
        urls = ["/a", "/b", "/a", r"/q\"x", "/grün", "/a"]
        result, errors = replay(replay.log(lines(*urls) + b"bad line\n"), "--verify")
        assert list(result) == JSON_KEYS
        assert errors == []
        expected = {"hits": 6, "bad_lines": 1, "keys": 4, "applied": 6, "unknown": 0, "dropped": 0, "verified": True}
        assert {name: result[name] for name in expected} == expected
        assert result["statements"] <= 4 * result["flushes"]
        assert replay.stored() == {"/a": 3, "/b": 1, r"/q\"x": 1, "/gr%C3%BCn": 1}

    def test_a_second_run_adds_and_verifies_again(self, replay: Replay) -> None:
        log = replay.log(lines(*["/a"] * 5, "/b"))
        assert [replay(log, "--verify")[0]["verified"] for _ in range(2)] == [True, True]
        assert replay.stored() == {"/a": 10, "/b": 2}

    def test_exact_tables_verify_run_after_run(self, replay: Replay) -> None:
        log = replay.log(lines(*["/a"] * 5, "/b"))
        runs = [replay(log, "--verify", "--counters", "exact")[0] for _ in range(2)]
        assert [(run["applied"], run["verified"]) for run in runs] == [(6, True), (6, True)]

    def test_inputs_are_added_up(self, replay: Replay) -> None:
        """Plain, gzip whatever its name, and standard input; the last line of each needs no newline."""
        plain = replay.log(lines("/a", "/b").rstrip(b"\n"))
        packed = replay.log(gzip.compress(lines("/a").rstrip(b"\n")) + gzip.compress(b"\n" + lines("/c")), "old.log")
        result, _ = replay(plain, packed, "-", stdin=gzip.compress(lines("/a")))
        assert (result["hits"], result["bad_lines"], result["verified"]) == (5, 0, None)
        assert replay.stored() == {"/a": 3, "/b": 1, "/c": 1}

    def test_workers_share_the_counting(self, replay: Replay) -> None:
        urls = [f"/{number % 97}" for number in range(20_000)]
        result, _ = replay(replay.log(lines(*urls)), "--workers", "4", "--verify")
        assert (result["hits"], result["applied"], result["keys"], result["verified"]) == (20_000, 20_000, 97, True)
        assert replay.stored() == Counter(urls)

    def test_the_table_can_be_named(self, replay: Replay) -> None:
        replay(replay.log(lines("/a")), "--table", "Hits_2015")
        assert replay.stored("Hits_2015") == {"/a": 1}

    def test_the_store_may_come_from_the_environment(self, replay: Replay) -> None:
        replay(replay.log(lines("/a")), COODIE_DRIVER="sqlite", COODIE_DATABASE="env.db")
        assert stored(replay.directory / "env.db") == {"/a": 1}

    def test_the_store_is_coodie_db_by_default(self, replay: Replay) -> None:
        _, errors = replay(replay.log(lines("/a")), PYTHONUTF8="1")
        assert errors == []
        assert stored(replay.directory / "coodie.db") == {"/a": 1}

    def test_the_summary_is_a_table(self, replay: Replay) -> None:
        done = run([*REPLAY, replay.log(lines("/a")), "--database", "hits.db", "--verify"], replay.directory)
        out = done.stdout.decode()
        assert done.returncode == 0
        assert max(map(len, out.splitlines())) <= 80
        for words in ("hits.db", "page_hits", "hits per statement", "yes, url by url"):
            assert words in out
        assert done.stderr == b""


class TestBadInput:
    def test_a_missing_file_stores_nothing(self, replay: Replay) -> None:
        _, errors = replay(replay.log(lines("/a")), "no.log", code=2)
        assert errors == ["aggregator: no.log: no such file or directory; nothing was stored"]
        assert not replay.database.exists()

    def test_a_directory_is_refused(self, replay: Replay) -> None:
        assert replay(".", code=2)[1] == ["aggregator: .: is a directory; nothing was stored"]

    @pytest.mark.parametrize("data", [b"", b"\n\n", bytes(range(256)) * 400, gzip.compress(b"")])
    def test_without_a_countable_line(self, replay: Replay, data: bytes) -> None:
        result, errors = replay(replay.log(data), code=1)
        assert result["hits"] == 0
        assert errors == ["aggregator: no line of the input holds a request in the common or combined format"]

    def test_bad_lines_are_counted_and_never_fatal(self, replay: Replay) -> None:
        key = "/" + "k" * 65_534
        bad = [b"\n", b"\x00\xff\xfe\n", lines("/" + "x" * 65_535), lines("/a b"), lines(""), b"x" * 10_000_000 + b"\n"]
        result, _ = replay(replay.log(b"".join(bad) + lines(key, "/a")), "--verify")
        assert (result["bad_lines"], result["hits"], result["verified"]) == (6, 2, True)
        assert replay.stored() == {key: 1, "/a": 1}

    @pytest.mark.parametrize("damage", ["cut", "checksum"])
    def test_a_broken_gzip_stores_what_came_before(self, replay: Replay, damage: str) -> None:
        packed = bytearray(gzip.compress(lines(*[f"/{number}" for number in range(5000)])))
        if damage == "cut":
            del packed[len(packed) // 2 :]
        else:
            packed[-5] ^= 1
        good = replay.log(lines("/other"), "good.log")
        result, errors = replay(replay.log(bytes(packed), "broken.gz"), good, "--verify", code=1)
        assert "broken.gz: the gzip data is" in errors[0]
        assert result["verified"] is True
        assert result["hits"] == sum(replay.stored().values()) > 1000
        assert replay.stored()["/other"] == 1

    def test_an_interrupt_stores_what_was_counted(self, tmp_path: Path) -> None:
        """A log that does not end: Ctrl-C does. The line it cuts was not read, so it is no bad one."""
        out, into = (tmp_path / "log.fifo", lines(*["/a"] * 1000) + lines("/cut")[:40])
        subprocess.run(["mkfifo", str(out)], check=True)
        command = [*REPLAY, "log.fifo", "--database", "hits.db", "--json"]
        with running(command, tmp_path) as process, out.open("wb") as pipe:
            pipe.write(into)
            pipe.flush()
            while not (tmp_path / "hits.db").exists() or _total(tmp_path / "hits.db") < 1000:
                assert process.poll() is None
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            printed, errors = process.communicate(timeout=LIMIT_S)
        assert process.returncode == 1
        result = json.loads(printed)
        assert (result["hits"], result["bad_lines"]) == (1000, 0)
        assert b"interrupted" in errors


def _total(database: Path) -> int:
    try:
        return sum(stored(database).values())
    except Exception:  # not created yet
        return 0


class TestBadStore:
    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["--driver", "oracle"], "Unknown driver_type='oracle'"),
            (["--hosts", "127.0.0.1"], "a server needs --keyspace"),
            (["--database", "x.db", "--hosts", "h"], "--database is the embedded store and --hosts a server"),
            (["--database", "x.db", "--driver", "acsylla"], "--driver acsylla"),
            (["--driver", "sqlite", "--keyspace", "k"], "--driver sqlite is the embedded store"),
            (["--table", "a-b"], "cannot name a table"),
            (["--table", ""], "cannot name a table"),
            (["--table", "t" * 49], "at most 48"),
            (["--counters", "none"], "native or exact"),
            (["--workers", "0"], "--workers"),
            (["--port", "70000"], "--port"),
            (["--flush-interval", "0"], "flush_interval"),
            (["--flush-interval", "soon"], "--flush-interval"),
            (["--no-such-option"], "--no-such-option"),
        ],
    )
    def test_a_wrong_call_is_one_line(self, replay: Replay, arguments: list[str], words: str) -> None:
        _, errors = replay(replay.log(lines("/a")), *arguments, code=2, AGGREGATOR_MODE="")
        assert len(errors) == 1
        assert words in errors[0]
        assert sorted(path.name for path in replay.directory.iterdir()) == ["access.log"]

    def test_no_log_is_a_wrong_call(self, replay: Replay) -> None:
        assert len(replay(code=2)[1]) == 1

    @pytest.mark.parametrize("driver", ["cassandra", "acsylla"])
    def test_a_host_that_does_not_answer(self, replay: Replay, driver: str) -> None:
        """Port 9 of this host: nothing listens there. (acsylla leaves sockets open when it cannot connect.)"""
        store = ["--hosts", "127.0.0.1", "--port", "9", "--keyspace", "web", "--driver", driver]
        _, errors = replay(replay.log(lines("/a")), *store, code=1, PYTHONWARNINGS="error,ignore::ResourceWarning")
        assert len(errors) == 1
        assert "cannot open web at 127.0.0.1:9" in errors[0]

    def test_a_host_that_has_no_address(self, replay: Replay) -> None:
        store = ["--hosts", "nosuch.host.invalid", "--keyspace", "web", "--driver", "cassandra"]
        _, errors = replay(replay.log(lines("/a")), *store, code=1, AGGREGATOR_MODE="")
        assert len(errors) == 1
        assert "nosuch.host.invalid" in errors[0]

    @pytest.mark.parametrize("database", ["no/such/directory/hits.db", "access.log", "."])
    def test_a_file_that_is_no_store(self, replay: Replay, database: str) -> None:
        log = replay.log(lines("/a"))
        _, errors = replay(log, "--database", database, code=1, AGGREGATOR_MODE="")
        assert len(errors) == 1

    @pytest.mark.parametrize("columns", ["id INTEGER PRIMARY KEY, note TEXT", "url TEXT PRIMARY KEY, title TEXT"])
    def test_a_table_of_another_shape(self, replay: Replay, columns: str) -> None:
        """Is left as it is."""
        import sqlite3
        from contextlib import closing

        with closing(sqlite3.connect(replay.database)) as connection:
            connection.execute(f"CREATE TABLE page_hits ({columns})")
            before = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'page_hits'").fetchall()
            _, errors = replay(replay.log(lines("/a")), code=1)
            assert len(errors) == 1
            assert "page_hits has another shape" in errors[0]
            assert connection.execute("SELECT sql FROM sqlite_master WHERE name = 'page_hits'").fetchall() == before


class TestOutput:
    @pytest.mark.parametrize("arguments", ["replay access.log --database hits.db", "--version", "demo --seconds 1"])
    def test_a_closed_standard_output_is_one_line(self, tmp_path: Path, arguments: str) -> None:
        """Said before anything is stored."""
        (tmp_path / "access.log").write_bytes(lines("/a"))
        shell = [sys.executable, "-c", "import os, sys; os.close(1); os.execv(sys.executable, sys.argv[1:])"]
        command = [*shell, sys.executable, "-m", "aggregator", *arguments.split()]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment({}), stderr=subprocess.PIPE, timeout=LIMIT_S, check=False
        )
        assert done.stderr == b"aggregator: standard output is closed; nothing was done\n"
        assert done.returncode == 1
        assert [path.name for path in tmp_path.iterdir()] == ["access.log"]

    def test_the_version_is_that_of_the_package(self, tmp_path: Path) -> None:
        done = run(["-m", "aggregator", "--version"], tmp_path)
        assert done.stdout.decode() == f"aggregator {coodie.__version__}\n"
        assert (done.returncode, done.stderr) == (0, b"")

    def test_no_line_of_the_table_ends_in_blanks(self, replay: Replay) -> None:
        done = run([*REPLAY, replay.log(lines("/a")), "--database", "hits.db"], replay.directory)
        printed = done.stdout.decode().splitlines()
        assert printed[0] == "aggregator replay"
        assert printed == [line.rstrip() for line in printed]


class TestHelp:
    @pytest.mark.parametrize("arguments", [[], ["--help"], ["replay", "--help"], ["demo", "-h"]])
    def test_help_fits_80_columns(self, tmp_path: Path, arguments: list[str]) -> None:
        done = run(["-m", "aggregator", *arguments], tmp_path)
        assert done.returncode == 0
        assert done.stdout.startswith(b"Usage: aggregator")
        assert max(map(len, done.stdout.decode().splitlines())) <= 80

    def test_an_unknown_command_is_one_line(self, tmp_path: Path) -> None:
        done = run(["-m", "aggregator", "frobnicate"], tmp_path)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
