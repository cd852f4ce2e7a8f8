"""What a stranger found in exact tables and journals, each with the least that shows it."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aggregator import Aggregator
from aggregator.core.records import FlushResult
from aggregator.exceptions import JournalError
from aggregator.flusher.ticket import Ticket
from aggregator.journal import reading
from aggregator.journal.log import Log
from coodie.exceptions import ConfigurationError
from tests.unit.aggregator.conftest import Store
from tests.unit.aggregator.exact import ExactHits


def in_child(act: Callable[[], str]) -> str:
    """Return what a forked child says."""
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            said = act()
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(write, said.encode()[:4000])
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        said = answer.read()
    os.waitpid(pid, 0)
    return said


@pytest.mark.parametrize("has_journal", [False, True])
def test_a_child_forked_after_shutdown_is_no_writer_until_it_starts_one(
    exact_store: Store, tmp_path: Path, has_journal: bool
) -> None:
    options: dict[str, Any] = {"journal": str(tmp_path / "journal")} if has_journal else {}
    with Aggregator(flush_interval=None, **options):
        ExactHits(url="/").increment(views=1)

    def count() -> str:
        with pytest.raises(ConfigurationError, match="need a started Aggregator"):
            ExactHits(url="/").increment(views=10)
        aggregator = Aggregator(flush_interval=None, **options).start()
        ExactHits(url="/").increment(views=10)
        return str(aggregator.stats().pending)

    assert in_child(count) == "10"
    ExactHits(url="/").increment(views=1)  # the parent's writer goes on
    assert ExactHits.get(url="/").views == 2


def test_an_answer_needs_no_lock_that_a_caller_could_leave_locked() -> None:
    ticket, result = Ticket(), FlushResult(applied=3)
    with pytest.raises(TimeoutError):
        ticket.result(0.0)
    threading.Thread(target=ticket.answer, args=(result,)).start()
    assert ticket.result(10) is ticket.result(10) is result
    ticket.answer(FlushResult())
    assert ticket.result(0.0) is result
    asyncio.run(ticket.answered())


def test_a_loop_is_woken_by_an_answer_that_comes_later() -> None:
    ticket = Ticket()

    async def wait() -> None:
        asyncio.get_running_loop().run_in_executor(None, ticket.answer, FlushResult())
        await asyncio.wait_for(ticket.answered(), 10)

    asyncio.run(wait())


def test_a_full_disk_is_told_once_not_once_an_increment(
    exact_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*arguments: Any) -> int:
        raise JournalError("no space")

    with Aggregator(flush_interval=None, journal=str(tmp_path / "journal")) as aggregator:
        ExactHits(url="/").increment(views=1)
        machine = aggregator._machine
        assert machine is not None
        assert machine.keeping is not None
        assert isinstance(machine.keeping.files._log, Log)
        with monkeypatch.context() as patched:
            patched.setattr(machine.keeping.files, "append", full)
            for number in range(5):
                with pytest.raises(JournalError):
                    ExactHits(url=f"/{number}").increment(views=1)
            assert "no space" in (aggregator.stats().last_error or "")
        assert caplog.text.count("the journal cannot be written") == 1
        ExactHits(url="/again").increment(views=1)
        assert aggregator.stats().last_error is None


def test_a_journal_is_inspected_without_mapping_it() -> None:
    assert "mmap" not in vars(reading)  # reading a hole of a mapped file on a full tmpfs is a SIGBUS
