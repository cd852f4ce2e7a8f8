"""Where the agent's tests journal and store, their nursery, and how often they kill."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from aggregator.agent import workers
from coodie import drivers
from coodie.drivers.sqlite import SQLiteDriver
from tests.agent.beside import Beside
from tests.processes.nursery import open_nursery
from tests.support.models import PageHits
from tests.unit.aggregator.exact import ExactHits


@pytest.fixture(scope="session")
def nursery(tmp_path_factory):
    with open_nursery(tmp_path_factory.mktemp("nursery")) as nursery:
        yield nursery


@pytest.fixture
def rounds(pytestconfig):
    """Give the number of rounds a test makes: its own, or that of ``--rounds``."""
    return lambda usual: pytestconfig.getoption("rounds") or usual


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def store() -> Iterator[SQLiteDriver]:
    driver = SQLiteDriver(":memory:")
    drivers.register_driver("default", driver, default=True)
    for model in (PageHits, ExactHits):
        model.sync_table()
    yield driver
    drivers._registry.clear()
    driver.close()


@pytest.fixture
def agent(journal: Path, store: SQLiteDriver, monkeypatch: pytest.MonkeyPatch) -> Iterator[Beside]:
    monkeypatch.setattr(workers, "LOOK_S", 0.0)
    beside = Beside(journal, flush_interval=None)
    yield beside
    beside.close()
