"""A fold ends at any step: its process dies, or the database does not answer. Somebody goes on, and the sums hold."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aggregator import merging
from aggregator.core import folds
from aggregator.flusher.engine import Engine
from aggregator.folding import Folding
from aggregator.journal.directory import open_directory
from aggregator.journal.files import Files
from aggregator.journal.inspection import SlotContent, inspect
from aggregator.journal.ledger import Journal
from aggregator.journal.state import SYNCED
from aggregator.machine import now_us
from aggregator.orphans import Orphans
from aggregator.slots import OpenSlot, options_of
from coodie import drivers
from coodie.connections import driver_of
from coodie.cql import render
from coodie.exceptions import CoodieError, MaybeApplied
from coodie.statement import CreateTable, Statement
from coodie.sync import init_coodie
from tests.integration.test_fold import KEYS, Field
from tests.support.writers import Totals, die, hits


class Crash(BaseException):
    """The end of a process."""


class Steps:
    """What a fold does to the world, counted: an error is raised after the step ``at`` or, with ``before``, instead."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.at = 0
        self.before = False
        self.error: Callable[[], BaseException] = Crash
        self._monkeypatch = monkeypatch

    def watch(self, owner: Any, name: str) -> None:
        """Count the calls of a method as steps."""
        real = getattr(owner, name)

        def step(*arguments: Any, **options: Any) -> Any:
            self.count += 1
            if self.count == self.at and self.before:
                raise self.error()
            answer = real(*arguments, **options)
            if self.count == self.at:
                raise self.error()
            return answer

        self._monkeypatch.setattr(owner, name, step)

    def begin(self, at: int) -> None:
        """Raise at a step from now on."""
        self.count, self.at = 0, at


@pytest.fixture
def steps(field: Field, monkeypatch: pytest.MonkeyPatch) -> Steps:
    """Watch the statements of the store."""
    found = Steps(monkeypatch)
    found.watch(type(field.driver), "submit")
    return found


@pytest.fixture
def field(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Field]:
    """Give an empty table and journal on the embedded store; rows are folded two at a time."""
    monkeypatch.setattr(merging, "ROWS", 2)
    monkeypatch.setenv("AGGREGATOR_MAX_KEYS", "4096")
    init_coodie(database=str(tmp_path / "hits.db"))
    driver = driver_of()
    driver.submit(Statement(CreateTable(hits().stored), render=render))
    yield Field(driver, hits(), tmp_path / "journal")
    driver.close()
    drivers._registry.clear()


def again(field: Field, number: int) -> Totals:
    """Start anew on the same store with another table and journal."""
    field.table = hits(f"hits_{number}")
    field.journal = field.journal.with_name(f"journal-{number}")
    field.driver.submit(Statement(CreateTable(field.table.stored), render=render))
    expected, _writers = field.dead_processes(2)
    return expected


def dies(field: Field, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Fold, and die where the steps say; return whether it did."""
    folding = Folding(options_of(str(field.journal)), field.driver, "default", field.table)
    try:
        with monkeypatch.context() as dying:
            dying.setattr(OpenSlot, "close", die)
            folding.run()
    except Crash:
        return True
    return False


def fold_again(field: Field, expected: Totals) -> None:
    assert field.fold().failure is None


def count_on(field: Field, expected: Totals) -> None:
    """Processes start on all slots, count in rows that may be marked, and the next fold comes when they are gone."""
    processes = [field.process() for _ in range(2)]
    for process in processes:
        for key in KEYS[:3]:
            process.add(key, views=1000)
            expected[key]["views"] += 1000
    for process in processes:
        process.flush()
    for process in processes:
        process.die()
    assert field.fold().failure is None


def beside_a_live_owner(field: Field, expected: Totals) -> None:
    """Somebody has the slot of the fold that died, and has not written yet: another fold must not take up its rows."""
    owner = field.process()
    owner.add(KEYS[0], likes=50)
    expected[KEYS[0]]["likes"] += 50
    assert field.fold().failure is None
    owner.flush()
    assert field.fold().failure is None
    owner.die()
    assert field.fold().failure is None


def adopted_by_a_sibling(field: Field, expected: Totals) -> None:
    """A process that has another slot finds the slots of the dead."""
    leases = [open_directory(field.journal).lease(number) for number in range(2)]
    sibling = field.process()
    for lease in filter(None, leases):
        lease.close()
    options = options_of(str(field.journal))
    orphans = Orphans(sibling.slot.keeping, lambda buffer: Engine(buffer, options, time.monotonic, now_us, lambda: 0.5))
    orphans.look(0.0)
    assert not orphans._adopted, "every slot was written and given back"
    orphans.close()
    sibling.die()
    assert all(slot.clean and not any(table.folding for table in slot.tables) for slot in _dead_slots(field))
    assert field.fold().failure is None


def _dead_slots(field: Field) -> list[SlotContent]:
    return inspect(open_directory(field.journal))[:2]


@pytest.mark.parametrize("go_on", [fold_again, count_on, beside_a_live_owner, adopted_by_a_sibling])
def test_a_fold_that_dies_at_any_step_is_finished_by_whoever_comes_next(
    field: Field, steps: Steps, monkeypatch: pytest.MonkeyPatch, go_on: Callable[[Field, Totals], None]
) -> None:
    steps.watch(Journal, "append")
    steps.watch(Journal, "made")
    last, died = 0, True
    while died:
        last += 1
        expected = again(field, last)
        steps.begin(last)
        died = dies(field, monkeypatch)
        steps.begin(0)
        go_on(field, expected)
        sums, rows = field.stored()
        assert sums == expected, f"died at step {last}"
        assert len(rows) == 1, f"died at step {last}: {rows}"
    assert last > 20


@pytest.mark.parametrize("before", [True, False])
def test_a_fold_whose_statements_fail_is_finished_later(field: Field, steps: Steps, before: bool) -> None:
    """The database says nothing of a statement that was not sent, or that was applied."""
    steps.before, steps.error = before, lambda: MaybeApplied("no answer")
    last, failed = 0, True
    while failed:
        last += 1
        expected = again(field, last)
        steps.begin(last)
        try:
            failed = field.fold().failure is not None
        except CoodieError:
            failed = True
        failed = failed or steps.count >= last
        steps.begin(0)
        assert field.fold().failure is None
        assert field.stored()[0] == expected, f"no answer at step {last}"
    assert last > 8


class TestRestartedMachine:
    """The journal was not synced after the marks were: what it says may be old."""

    @pytest.fixture
    def expected(self, field: Field, monkeypatch: pytest.MonkeyPatch) -> Totals:
        """Give the sums of a table whose fold died when it had marked rows of slot 0 and sent nothing."""
        expected = again(field, 1)
        begin = folds.begin

        def begin_and_die(*arguments: Any) -> None:
            begin(*arguments)
            raise Crash

        with monkeypatch.context() as dying:
            dying.setattr(folds, "begin", begin_and_die)
            assert dies(field, monkeypatch)
        return expected

    def restart(self, field: Field, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have the machine started since, and nothing synced."""
        lease = open_directory(field.journal).lease(0)
        assert lease is not None
        files = Files.open(lease)
        files.array("state", 512)[SYNCED] = 0
        files.close()
        lease.close()
        monkeypatch.setattr(Files, "is_other_boot", property(lambda files: True))

    def test_marks_that_are_true_are_finished(
        self, field: Field, expected: Totals, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.restart(field, monkeypatch)
        owner = field.process()
        owner.add(KEYS[0], views=9)
        expected[KEYS[0]]["views"] += 9
        assert owner.held.totals.folds
        owner.flush()
        assert not owner.held.totals.folds
        owner.die()
        assert field.fold().failure is None
        assert field.stored()[0] == expected

    def test_marks_of_a_rolled_back_journal_are_given_up(
        self, field: Field, expected: Totals, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        slot = field.journal / "slot-0000"
        before = {path: path.read_bytes() for path in slot.iterdir()}
        assert field.fold().failure is None
        for path, content in before.items():
            path.write_bytes(content)  # in place: a volume that is rolled back keeps its inodes
        self.restart(field, monkeypatch)
        owner = field.process()
        writer = owner.writer
        owner.add(KEYS[0], views=9)
        expected[KEYS[0]]["views"] += 9
        owner.flush()
        assert owner.writer != writer
        owner.die()
        assert field.stored()[0] == expected
