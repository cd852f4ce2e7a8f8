"""A journal of workers after the machine was started anew, and one that was copied."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from aggregator.agent import workers
from aggregator.journal import identity
from coodie.drivers.sqlite import SQLiteDriver
from tests.agent.beside import Beside, worker
from tests.unit.aggregator.exact import ExactHits, die, sums


@pytest.fixture
def restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Have the machine be started anew, as far as files tell."""

    def anew() -> None:
        (tmp_path / "boot").write_text("another boot\n")
        monkeypatch.setattr(identity, "_BOOT", tmp_path / "boot")

    monkeypatch.setattr(workers, "LOOK_S", 0.0)
    return anew


def leave(place: Path, **options: Any) -> None:
    """Leave three units that are moved and not written, and four that are not moved."""
    left = worker(place, **options).start()
    ExactHits(url="/").increment(views=3)
    agent = Beside(place, flush_interval=None, **options)
    agent.machine.engine._begin()
    agent.machine.engine._move_all(agent.machine.engine.workers.look(0.0))
    ExactHits(url="/").increment(views=4)
    agent.machine.keeping.journal.sync()  # type: ignore[union-attr]  # an agent has a journal
    agent.machine.keeping.close(is_clean=False)  # type: ignore[union-attr]  # likewise
    agent.machine.stop_listening()
    left._machine.keeping.journal.sync()  # type: ignore[union-attr]  # nor a worker
    die(left)


def test_with_durability_disk_nothing_is_lost(journal: Path, store: SQLiteDriver, restart: Any) -> None:
    leave(journal, durability="disk")
    restart()
    agent = Beside(journal, flush_interval=None, durability="disk")
    agent.round()
    agent.close()
    assert sums() == {"/": {"views": 7}}


def test_with_durability_process_what_was_not_moved_is_unknown_until_somebody_resolves_it(
    journal: Path,
    store: SQLiteDriver,
    restart: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    leave(journal)
    restart()
    agent = Beside(journal, flush_interval=None)
    agent.round()
    moved = sums().get("/", {}).get("views", 0)
    assert moved in (0, 3)
    assert "unknown fate" in caplog.text
    with worker(journal) as counting:
        (item,) = counting.unknown()
        assert item.deltas == {"views": 4}
        counting.resolve(item, apply=True)
        assert counting.stats().unknown == 0
    agent.round()  # the worker's end placed what was resolved
    agent.close()
    assert sums() == {"/": {"views": moved + 4}}


def test_workers_of_a_copied_journal_are_not_moved(
    journal: Path,
    store: SQLiteDriver,
    restart: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    leave(journal)
    shutil.copytree(journal, journal.with_name("copy"), ignore=shutil.ignore_patterns("wake"))
    agent = Beside(journal.with_name("copy"), flush_interval=None)
    agent.round()
    agent.close()
    assert sums() == {}
    assert caplog.text.count("was set aside") == 2
