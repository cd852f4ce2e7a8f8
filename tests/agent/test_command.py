"""``aggregator agent`` as a service manager runs it: a process, its store, workers beside it, SIGTERM at the end."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from aggregator.cli.notify import notify

ROOT = Path(__file__).parents[2]
AGENT = [sys.executable, "-m", "aggregator", "agent"]
COUNT = """
import sys
from aggregator import Aggregator
from tests.unit.aggregator.exact import ExactHits
with Aggregator(mode="agent", journal=sys.argv[1]) as counting:
    for row in range(100):
        ExactHits(url=f"/{row % 10}").increment(views=1)
    print(counting.flush(60).remaining)
"""
TABLE = """
import sys
from coodie.sync import init_coodie
from tests.unit.aggregator.exact import ExactHits
init_coodie(driver_type="sqlite", database=sys.argv[1])
ExactHits.sync_table()
"""


def run(program: str, *arguments: Any) -> str:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, check=True, timeout=120, stdout=subprocess.PIPE, text=True).stdout


def test_a_service_manager_is_told_and_sigterm_ends_it_with_everything_written(tmp_path: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(60)
        run(TABLE, tmp_path / "hits.db")
        told = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "400000"}
        command = [*AGENT, "--journal", tmp_path / "journal", "--database", tmp_path / "hits.db"]
        with subprocess.Popen(command, cwd=ROOT, env={**os.environ, **told}, stdout=subprocess.PIPE) as agent:
            assert manager.recv(100) == b"READY=1"
            assert manager.recv(100) == b"WATCHDOG=1"
            assert run(COUNT, tmp_path / "journal") == "0\n"
            second = subprocess.run(command, cwd=ROOT, check=False, timeout=60, stderr=subprocess.PIPE, text=True)
            assert second.returncode == 1
            assert f"another agent runs on the journal {tmp_path / 'journal'} (process {agent.pid})" in second.stderr
            manager.setblocking(False)
            with suppress(BlockingIOError):  # full of what was told meanwhile
                while manager.recv(100):
                    pass
            manager.settimeout(60)
            agent.send_signal(signal.SIGTERM)
            assert agent.wait(60) == 0
            states = [manager.recv(100)]
            while states[-1] != b"STOPPING=1":
                states.append(manager.recv(100))
    with closing(sqlite3.connect(tmp_path / "hits.db")) as database:
        assert database.execute("SELECT sum(views), count(*), count(DISTINCT writer) FROM exact_hits").fetchall() == [
            (100, 10, 1)
        ]


def test_what_an_agent_cannot_write_is_told_at_its_end(tmp_path: Path) -> None:
    command = [*AGENT, "--journal", tmp_path / "journal", "--database", tmp_path / "hits.db"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as agent:
        assert agent.stdout is not None
        assert "agent of" in agent.stdout.readline()
        run(COUNT.replace("60", "0.5"), tmp_path / "journal")  # its table was never made
        agent.send_signal(signal.SIGTERM)
        _out, said = agent.communicate(timeout=60)
    assert agent.returncode == 1
    assert "100 units are not written, and stay in the journal" in said.splitlines()[-1]
    command = [sys.executable, "-m", "aggregator", "journal", "inspect", tmp_path / "journal", "--json"]
    found = json.loads(subprocess.run(command, cwd=ROOT, check=True, timeout=60, stdout=subprocess.PIPE).stdout)
    pending = {slot["place"]: table["pending"] for slot in found["slots"] for table in slot["tables"]}
    assert pending == {"agent/slot-0000": 100, "workers/slot-0000": 0}
    recover = [sys.executable, "-m", "aggregator", "journal", "recover", tmp_path / "journal"]
    recover += ["--database", tmp_path / "hits.db"]
    assert subprocess.run(recover, cwd=ROOT, check=False, timeout=60, stderr=subprocess.PIPE).returncode == 1
    run(TABLE, tmp_path / "hits.db")
    done = subprocess.run(recover, cwd=ROOT, check=True, timeout=60, stdout=subprocess.PIPE, text=True)
    assert done.stdout == "agent: 100 units written\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--database", "hits.db"], "--journal"),
        (["--journal", "there", "--database", "x", "--hosts", "y"], "--database is the embedded store"),
        (["--journal", "there", "--database", "x", "--flush-interval", "0"], "flush-interval"),
    ],
)
def test_a_wrong_call_is_one_line_and_exit_code_2(tmp_path: Path, arguments: list[str], says: str) -> None:
    done = subprocess.run([*AGENT, *arguments], cwd=ROOT, check=False, timeout=60, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert says in done.stderr


def test_a_service_manager_that_does_not_read_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as manager:
        manager.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as sender, suppress(BlockingIOError):
            sender.setblocking(False)
            sender.connect(str(tmp_path / "notify"))
            while sender.send(b"WATCHDOG=1"):
                pass
        notify("STOPPING=1")  # without patience it would wait for ever
