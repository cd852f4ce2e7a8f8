"""
What is exchanged in the product so that it plays on a stage: clock, chance, files, threads of readers, sizes.

Rules that live here: module-level names only, through pytest's monkeypatch; the product's code is as it is. Chunks and
logs are made small, so that short histories have several chunks and a log that is rewritten.
"""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

import aggregator.keeping
import aggregator.machine
import aggregator.orphans
from aggregator.core import taken
from aggregator.flusher import bases, folds
from aggregator.journal import ledger
from coodie import drivers
from coodie.schema import table_of
from tests.simulation.database import Violation
from tests.simulation.disk import Disk, Files, Lease
from tests.simulation.driver import Cluster, Embedded
from tests.simulation.models import MODELS
from tests.simulation.stage import Stage

SMALL_CHUNK = 4
SMALL_LOG = 1500


class InLine:
    """Stands in for a thread pool: reads one after the other."""

    def __init__(self, *_args: Any, **_options: Any) -> None:
        self.map = map

    def __enter__(self) -> InLine:
        return self

    def __exit__(self, *_error: object) -> None:
        return None


class Theatre:
    """What the exchanged names lead to: the stage and the disk of the history that is played."""

    def __init__(self) -> None:
        self.cluster = Cluster()
        self.embedded = Embedded()
        self.stage: Stage
        self.disk: Disk

    def monotonic(self) -> float:
        return self.stage.monotonic()

    def time_ns(self) -> int:
        return self.stage.time_ns()

    def random(self) -> float:
        return self.stage.random.random()

    def open_directory(self, _path: str) -> Disk:
        return self.disk

    def open(self, lease: Lease) -> Files:
        return Files(self.disk, lease.path)


def quarantine(lease: Lease, reason: str) -> None:
    raise Violation(f"slot {lease.slot} was set aside: {reason}")


def installed(monkeypatch: pytest.MonkeyPatch) -> Theatre:
    """Exchange what must be, until the test is over, and return what the exchanged names lead to."""
    theatre = Theatre()
    for name, module in list(sys.modules.items()):
        if name.startswith("aggregator.") and hasattr(module, "CHUNK"):
            monkeypatch.setattr(module, "CHUNK", SMALL_CHUNK)
    assert taken.rounded(1) == SMALL_CHUNK
    monkeypatch.setattr(ledger, "LOG_BYTES", SMALL_LOG)
    for module in (bases, folds):
        monkeypatch.setattr(module, "ThreadPoolExecutor", InLine)
    clock = SimpleNamespace(monotonic=theatre.monotonic, time_ns=theatre.time_ns)
    monkeypatch.setattr(aggregator.machine, "time", clock)
    monkeypatch.setattr(aggregator.machine, "random", SimpleNamespace(random=theatre.random))
    monkeypatch.setattr(aggregator.keeping, "open_directory", theatre.open_directory)
    monkeypatch.setattr(aggregator.keeping, "Files", theatre)
    monkeypatch.setattr(
        aggregator.keeping.Keeping, "start_syncing", lambda _keeping: None
    )  # the world has a step for it
    monkeypatch.setattr(aggregator.orphans, "_changed", lambda slot: slot.changes)
    for module in (aggregator.machine, aggregator.keeping, aggregator.orphans):
        monkeypatch.setattr(module, "quarantine", quarantine)
    drivers._registry.clear()
    drivers.register_driver("cluster", theatre.cluster, default=True)
    drivers.register_driver("embedded", theatre.embedded)
    for model in MODELS:
        table_of(model)
    return theatre
