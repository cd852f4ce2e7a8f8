"""
An agent that dies at any line of a round: the round that follows makes it whole.

Rules that live here: the agent is a forked process that kills itself at its nth line of the move; the worker lives on
in the test's process, counts, and lets rows go between, so that a row's slot is another row's when the agent is back.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from aggregator import reports
from aggregator.agent import workers
from aggregator.agent.agent import AgentMachine
from aggregator.config import read_options
from aggregator.machine import Machine
from coodie.drivers import registry
from coodie.sync import init_coodie
from tests.processes.tables import models

POINTS = 60  # of each kind of table
ROUND = ("agent/moving.py", "agent/worker.py", "agent/gathering.py", "agent/columns.py", "journal/ledger.py",
         "journal/log.py", "core/totals.py", "journal/turn.py", "agent/workers.py")  # fmt: skip


def killing_at(line: int, *, worked_out: bool) -> Any:
    """Return what kills this process at its nth line of a round, or after a portion was ``worked_out``."""
    count = -(10**9) if worked_out else 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        if worked_out and event == "return" and frame.f_code.co_name == "_work_out" and count < 0:
            count = 0
        if not frame.f_code.co_filename.endswith(ROUND):
            return None
        if event == "line":
            count += 1
            if count == line:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    return trace


def agent_round(base: Path, durability: str, killing: Any = None) -> bool:
    """Make one round as an agent of its own process; return whether it came to its end."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            registry._registry.clear()
            init_coodie(driver_type="sqlite", database=f"{base}/hits.db")
            machine = AgentMachine(
                read_options({"journal": f"{base}/journal", "max_keys": 30, "durability": durability})
            )
            sys.settrace(killing)
            machine.engine.flush(asked=True, timeout=20.0)
            sys.settrace(None)
            code = 0 if not machine.dirty_rows() else 2
            machine.close()
        finally:
            os._exit(code)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status in (0, -signal.SIGKILL), status
    return status == 0


def stored(base: Path) -> dict[Any, int]:
    """Return the sum of all views in the database, by url."""
    with closing(sqlite3.connect(base / "hits.db")) as database:
        return {url: views for url, views in database.execute("SELECT url, sum(views) FROM hits GROUP BY url") if views}


class Worker:
    """A worker that counts in this process, and what it has counted."""

    def __init__(self, base: Path, kind: str, durability: str) -> None:
        self.model = models(kind)["hits"]
        options = {"journal": f"{base}/journal", "mode": "agent", "max_keys": 12, "durability": durability}
        self.machine = Machine(read_options(options))
        self.counted: dict[str, int] = {}

    def take_back(self) -> None:
        """Take back all that is pending: every row looks as if nothing had been counted in it."""
        for (_table, (url,)), deltas in reports.pending_all(self.machine).items():
            self.machine.intake.add(self.model(url=url), {"views": -deltas["views"]})
            self.counted[url] -= deltas["views"]

    def count(self, chance: random.Random, calls: int) -> None:
        """Count up and down, in as many rows as there is room for."""
        for _ in range(calls):
            url, delta = f"/{chance.randrange(25)}", chance.choice((1, 1, 2, -1, -3))
            held = self.machine.buffer.tables.get(("default", "hits"))
            known = held is not None and (url in held.totals.slots or url in held.late)
            with self.machine.buffer.opened():
                has_room = self.machine.buffer.has_room()
            if known or has_room:
                self.machine.intake.add(self.model(url=url), {"views": delta})
                self.counted[url] = self.counted.get(url, 0) + delta


@contextmanager
def worker_on(base: Path, kind: str, durability: str) -> Iterator[Worker]:
    """Make the tables and start a worker beside them."""
    init_coodie(driver_type="sqlite", database=f"{base}/hits.db").close()
    registry._registry.clear()
    pid = os.fork()
    if not pid:
        init_coodie(driver_type="sqlite", database=f"{base}/hits.db")
        for model in models(kind).values():
            model.sync_table()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    worker = Worker(base, kind, durability)
    try:
        yield worker
    finally:
        worker.machine.close()


@pytest.mark.parametrize(("kind", "durability"), [("exact", "process"), ("native", "process"), ("exact", "disk")])
def test_an_agent_that_dies_at_any_line_of_its_round_has_moved_each_unit_once(
    tmp_path: Path, kind: str, durability: str, rounds: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "LOOK_S", 0.0)
    chance = random.Random(7)
    with worker_on(tmp_path, kind, durability) as worker:
        worker.count(chance, 30)
        assert agent_round(tmp_path, durability)
        for number in range(rounds(POINTS)):
            worker.count(chance, chance.randrange(1, 25))
            worked_out = number % 3 > 0
            point = chance.randrange(1, (30, 300)[number % 2] if worked_out else 1200)
            agent_round(tmp_path, durability, killing_at(point, worked_out=worked_out))
            if number % 2:
                worker.take_back()
            worker.count(chance, chance.randrange(0, 25))  # rows that look clean make room for others, if they may
            if number % 4 != 3:
                assert agent_round(tmp_path, durability)
                counted = {url: views for url, views in worker.counted.items() if views}
                assert stored(tmp_path) == counted, f"killed at line {point} of a round, {worked_out=}"
        assert agent_round(tmp_path, durability)
