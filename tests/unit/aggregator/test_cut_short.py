"""Flushes, slots and increments that a refused table or a failing disk cuts short: nothing is lost, nothing doubled."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any, NoReturn

import pytest

from aggregator import Aggregator
from aggregator.exceptions import JournalError
from aggregator.flusher.stream import Stream
from aggregator.journal import log as log_module
from aggregator.journal.directory import open_directory
from aggregator.journal.files import Files
from aggregator.orphans import Orphans
from coodie.drivers.sqlite import SQLiteDriver, flush
from coodie.statement import Statement
from coodie.testing import Fault
from tests.support.models import PageHits
from tests.unit.aggregator.conftest import Store, identity
from tests.unit.aggregator.exact import die, execute, narrow, quiet, sums

Likes = narrow("likes", "likes", "native")


class Died(BaseException):
    """The process died here."""


def death(_stream: Stream) -> NoReturn:
    raise Died


def test_rows_that_were_not_sent_are_not_taken_for_those_of_the_next_table(
    store: Store, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows of both are numbered in one flush, under one mark: the numbers of the unsent go to the next table."""
    monkeypatch.setattr(flush, "CHUNK_ROWS", SQLiteDriver.rows_at_once)
    store.serve_real()
    Likes.sync_table()
    left = quiet(journal).start()
    more = SQLiteDriver.rows_at_once + 6  # the last ones are not sent
    for number in range(more):
        PageHits(url=f"/{number}").increment(views=number + 1)
    for number in range(10):
        Likes(url=f"/{number}").increment(likes=1)
    execute(store.real, "DROP TABLE page_hits")
    with monkeypatch.context() as patch, pytest.raises(Died):
        patch.setattr(Stream, "close", death)
        assert left._machine is not None
        left._machine.engine.flush(asked=True, timeout=10.0)
    assert len(sums(Likes)) == 10
    die(left)
    PageHits.sync_table()
    with quiet(journal) as again:
        assert again.flush().remaining == 0
        assert (again.stats().unknown, identity(again.stats())) == (0, True)
    assert sums(PageHits) == {f"/{number}": {"views": number + 1} for number in range(more)}
    assert sums(Likes) == {f"/{number}": {"likes": 1} for number in range(10)}


def test_marks_are_forgotten_when_what_they_told_is_synced(
    store: Store, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Power loss could bring back what they are asked for, and then nobody could tell."""
    order: list[str] = []
    sync, forget = Files.sync, SQLiteDriver.forget_marks

    def synced(files: Files, *arguments: Any, **options: Any) -> None:
        order.append("sync")
        sync(files, *arguments, **options)

    def forgotten(driver: SQLiteDriver, *arguments: Any) -> None:
        order.append("forget")
        forget(driver, *arguments)

    monkeypatch.setattr(SQLiteDriver, "forget_marks", forgotten)
    store.serve_real()
    with quiet(journal, durability="disk", journal_sync_interval=1000.0) as aggregator:
        PageHits(url="/").increment(views=1)
        monkeypatch.setattr(Files, "sync", synced)
        aggregator.flush()
        assert order[:2] == ["sync", "forget"]


def test_a_large_delta_that_cannot_be_announced_is_refused_and_small_ones_go_on(
    store: Store, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power loss a row that holds more than was announced is taken for damaged, with all it had pending."""
    left = quiet(journal, durability="disk", journal_sync_interval=1000.0).start()
    PageHits(url="/").increment(views=1)
    with monkeypatch.context() as patch:
        patch.setattr(log_module.os, "fdatasync", broken)
        with pytest.raises(JournalError, match="this increment was not accepted"):
            PageHits(url="/").increment(views=2**60)
        PageHits(url="/").increment(views=10)
        assert left.stats().accepted == 11
    die(left)
    with quiet(journal) as again:
        assert again.flush().applied == 11


def test_a_slot_that_could_not_be_synced_is_given_back_and_taken_up_anew(
    store: Store, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits for room in it needs the log, which takes nothing once a sync has failed."""
    options: dict[str, Any] = {"durability": "disk", "journal_sync_interval": 1000.0, "max_keys": 2}
    other = open_directory(journal).free_slot()
    dead = quiet(journal, **options).start()  # in slot 1
    store.faults = lambda _statement: Fault.NOT_SENT
    with dead.request():
        for number in range(4):
            PageHits(url=f"/{number}").increment(views=1)
    die(dead)
    other.close()
    with quiet(journal, **options) as sibling:
        look(sibling)  # adopts it, and writes nothing
        with monkeypatch.context() as patch:

            def sent(_statement: Statement) -> Fault:
                patch.setattr(log_module.os, "fdatasync", broken)
                return Fault.NONE

            store.faults = sent
            look(sibling)
        store.faults = lambda _statement: Fault.NONE
        for _ in range(3):
            look(sibling)
        assert orphans_of(sibling)._adopted == {}
    assert sums(PageHits) == {f"/{number}": {"views": 1} for number in range(4)}


def orphans_of(aggregator: Aggregator) -> Orphans:
    assert aggregator._machine is not None
    return aggregator._machine.orphans


def look(aggregator: Aggregator) -> None:
    """Have it look for orphans, and write what they hold, now."""
    orphans = orphans_of(aggregator)
    orphans._next = 0.0
    for _keeping, _buffer, engine in orphans._adopted.values():
        engine.connections.clear()  # nothing waits
    aggregator.flush()


def broken(_fd: int) -> NoReturn:
    raise OSError(errno.EIO, os.strerror(errno.EIO))
