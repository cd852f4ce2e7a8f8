"""A worker as its application sees it, and the agent beside it: both in this process, each with its own slot."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from aggregator.agent.agent import Agent
from aggregator.agent.source import Target
from aggregator.exceptions import BufferFull, ConfigurationError, JournalError
from aggregator.journal.directory import open_directory
from aggregator.journal.inspection import inspect
from coodie.drivers.sqlite import SQLiteDriver
from coodie.schema import table_of
from tests.agent.beside import Beside, worker
from tests.support.models import AsyncPageHits, PageHits
from tests.unit.aggregator.exact import ExactHits, narrow, sums

ROOT = Path(__file__).parents[2]


def test_a_worker_needs_no_connection_and_writes_nothing(journal: Path) -> None:
    with worker(journal) as counting:
        PageHits(url="/").increment(views=2)
        ExactHits(url="/").increment(views=3)
        assert counting.pending() == {("page_hits", ("/",)): {"views": 2}, ("exact_hits", ("/",)): {"views": 3}}
        assert counting.stats().pending == 5
    assert [slot.slot for slot in inspect(open_directory(journal))] == []


def test_the_aio_face_counts_alike(journal: Path) -> None:
    async def count() -> None:
        async with worker(journal) as counting:
            await AsyncPageHits(url="/").increment(views=2)
            PageHits(url="/").increment(views=1)
            assert counting.pending(PageHits, url="/") == {"views": 3}
            assert (await counting.aflush(0.01)).remaining == 3

    asyncio.run(count())


def test_what_is_moved_is_in_flight_until_it_is_written(journal: Path, agent: Beside, store: SQLiteDriver) -> None:
    with worker(journal, read_pending=True) as counting:
        ExactHits(url="/").increment(views=3)
        ExactHits(url="/").decrement(likes=1)
        store.execute_many, real = _away, store.execute_many  # type: ignore[method-assign]  # the database goes away
        agent.round()
        before = counting.stats()
        assert (before.accepted, before.pending, before.in_flight, before.applied) == (2, 0, 2, 0)
        ExactHits(url="/").increment(views=10)
        assert counting.pending(ExactHits, url="/") == {"views": 13, "likes": -1}
        store.execute_many = real  # type: ignore[method-assign]  # and comes back
        agent.round()
        after = counting.stats()
        assert (after.accepted, after.pending, after.in_flight, after.applied) == (12, 0, 0, 12)
        assert counting.pending() == {}
    assert sums() == {"/": {"views": 13, "likes": -1}}


def _away(*_arguments: Any, **_options: Any) -> None:
    from coodie.exceptions import OperationError

    raise OperationError("the database is away")


def test_workers_share_statements_and_an_exact_table_has_one_writer(journal: Path, agent: Beside) -> None:
    """Four workers in the same rows: as many statements as rows, not four times as many."""
    with ExitStack() as stack:
        command, pipe = [sys.executable, "-c", COUNTING, journal], subprocess.PIPE
        counting = [stack.enter_context(subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe)) for _ in range(4)]
        for each in counting:
            assert each.stdout is not None
            assert each.stdout.readline() == b"counted\n"
        result = agent.round()
        for each in counting:
            each.kill()
    assert (result.rows, result.statements, result.remaining) == (100, 100, 0)
    assert sums() == {f"/{row}": {"views": 4} for row in range(100)}
    assert [slot.clean for slot in inspect(open_directory(journal).within("workers"))] == [False] * 4
    agent.round()  # and says so in the slots of those that are gone
    assert [slot.clean for slot in inspect(open_directory(journal).within("workers"))] == [True] * 4


COUNTING = """
import sys
from aggregator import Aggregator
from tests.unit.aggregator.exact import ExactHits
Aggregator(mode="agent", journal=sys.argv[1]).start()
for row in range(100):
    ExactHits(url=f"/{row}").increment(views=1)
print("counted", flush=True)
sys.stdin.read()
"""


def test_flush_waits_for_the_agent(journal: Path, agent: Beside) -> None:
    agent.serve()
    with worker(journal) as counting:
        PageHits(url="/").increment(views=2)
        result = counting.flush(60)
        assert (result.applied, result.remaining, result.errors) == (2, 0, [])
        assert PageHits.get(url="/").views == 2


def test_without_an_agent_a_flush_says_so_and_a_shutdown_waits_for_nobody(
    journal: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aggregator.handing.MISSED_S", 0.0)
    with worker(journal) as counting:
        PageHits(url="/").increment(views=2)
        for _ in range(2):
            result = counting.flush(0.5)
            assert result.remaining == 2
            assert "gave no answer in time" in result.errors[0]
        began = time.monotonic()
    assert time.monotonic() - began < 10
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(said) == 1
    assert "no agent has been seen" in said[0]


def test_what_is_counted_after_shutdown_is_journaled_too(journal: Path, agent: Beside) -> None:
    with worker(journal):
        PageHits(url="/").increment(views=2)
        ExactHits(url="/").increment(views=2)
    PageHits(url="/").increment(views=5)
    ExactHits(url="/late").increment(views=7)
    with worker(journal):
        pass
    agent.round()
    agent.round()  # what had no row was placed when the slot was finished
    assert PageHits.get(url="/").views == 7
    assert sums() == {"/": {"views": 2}, "/late": {"views": 7}}


def test_a_full_worker_waits_for_the_agent_and_goes_on(journal: Path, agent: Beside) -> None:
    agent.serve()
    with worker(journal, max_keys=20, flush_timeout=60.0):
        for row in range(200):
            PageHits(url=f"/{row}").increment(views=1)
    agent.round()
    assert len(list(PageHits.find())) == 200


def test_a_full_worker_without_an_agent_refuses(journal: Path) -> None:
    with worker(journal, max_keys=5, when_full="raise"):
        for row in range(5):
            PageHits(url=f"/{row}").increment(views=1)
        with pytest.raises(BufferFull):
            PageHits(url="/5").increment(views=1)
        PageHits(url="/0").increment(views=1)


def test_an_agent_without_room_writes_and_goes_on(journal: Path, store: SQLiteDriver) -> None:
    with worker(journal):
        for row in range(300):
            PageHits(url=f"/{row}").increment(views=1)
        beside = Beside(journal, max_keys=7, flush_interval=None)
        result = beside.round()
        assert (result.applied, result.remaining) == (300, 0)
        beside.close()
    assert len(list(PageHits.find())) == 300


def test_an_agent_whose_database_is_away_leaves_the_rest_with_its_workers(journal: Path, store: SQLiteDriver) -> None:
    with worker(journal) as counting:
        for row in range(30):
            PageHits(url=f"/{row}").increment(views=1)
        store.execute_many, real = _away, store.execute_many  # type: ignore[method-assign]  # the database goes away
        beside = Beside(journal, max_keys=7, flush_interval=None)
        assert beside.round().remaining == 7
        assert (counting.stats().pending, counting.stats().in_flight) == (23, 7)
        store.execute_many = real  # type: ignore[method-assign]  # and comes back
        assert beside.round().remaining == 0
        beside.close()
    assert len(list(PageHits.find())) == 30


def test_a_total_beyond_64_bits_is_a_dead_letter_and_holds_up_no_other(
    journal: Path, agent: Beside, caplog: pytest.LogCaptureFixture
) -> None:
    with worker(journal):
        ExactHits(url="/").increment(views=2**62)
        agent.round()
        ExactHits(url="/").increment(views=2**62)
        ExactHits(url="/next").increment(views=1)
        agent.round()
    assert sums() == {"/": {"views": 2**62}, "/next": {"views": 1}}
    (held,) = agent.machine.buffer.tables.values()
    assert held.rejected.entries["/"].deltas == {"views": 2**62}
    assert held.account("views").accepted == 2**63 + 1
    assert held.account("views").dropped == 2**62
    assert "64 bits" in caplog.text


def test_a_table_of_another_shape_stays_with_its_worker(
    journal: Path, agent: Beside, caplog: pytest.LogCaptureFixture
) -> None:
    agent.machine.tables.held(Target("default", table_of(ExactHits)))
    other = narrow("views", kind="native")
    with worker(journal) as counting:
        other(url="/").increment(views=1)
        PageHits(url="/").increment(views=1)
        agent.round()
        agent.round()
        assert counting.stats().pending == 1
    assert caplog.text.count("is not written for its workers") == 1
    assert PageHits.get(url="/").views == 1


def test_columns_that_only_some_workers_know_add_up(journal: Path, agent: Beside) -> None:
    with worker(journal):
        narrow("views")(url="/").increment(views=1)
        agent.round()
        ExactHits(url="/").increment(views=1, likes=5)
        agent.round()
    assert sums() == {"/": {"views": 2, "likes": 5}}


def test_emptying_an_exact_table_under_the_agent_is_refused(journal: Path, store: SQLiteDriver) -> None:
    with worker(journal):
        ExactHits(url="/").increment(views=1)
        with pytest.raises(ConfigurationError, match="stop the agent"):
            ExactHits.truncate()


def test_a_second_agent_is_refused_in_clear_words(journal: Path, agent: Beside) -> None:
    with pytest.raises(JournalError, match=f"another agent runs .* \\(process {os.getpid()}\\)"):
        Agent(journal=journal).start()
    with pytest.raises(ConfigurationError, match="journal=DIRECTORY"):
        Agent()


def test_a_forked_worker_has_a_slot_of_its_own(journal: Path, agent: Beside) -> None:
    script = """
import os, sys
from aggregator import Aggregator
from tests.unit.aggregator.exact import ExactHits
with Aggregator(mode="agent", journal=sys.argv[1]) as counting:
    ExactHits(url="/").increment(views=1)
    pid = os.fork()
    ExactHits(url="/").increment(views=10)
    if pid:
        assert os.waitpid(pid, 0)[1] == 0
"""
    subprocess.run([sys.executable, "-c", script, journal], cwd=ROOT, check=True, timeout=60)
    agent.round()
    assert sums() == {"/": {"views": 21}}
    assert open_directory(journal).within("workers").slots() == [0, 1]


def test_the_agent_is_an_aggregator_that_may_count_itself(journal: Path, store: SQLiteDriver) -> None:
    with Agent(journal=journal, flush_interval=None) as agent:
        PageHits(url="/").increment(views=4)
        assert agent.flush().applied == 4
        assert agent.stats().applied == 4
        assert agent.is_making_rounds()
    assert PageHits.get(url="/").views == 4
