"""An aggregator on the embedded store, with its status endpoint on a free port or a socket file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from aggregator import Aggregator
from coodie import drivers
from coodie.drivers.sqlite import SQLiteDriver
from coodie.statement import CounterUpdate, Statement
from coodie.testing import Fault, FaultyDriver
from tests.support.models import PageHits
from tests.web.asking import url_of


class Store:
    """The embedded store, whose counter writes meet the fault a test chooses."""

    def __init__(self) -> None:
        self.real = SQLiteDriver(":memory:")
        self.fault = Fault.NONE
        self.driver = FaultyDriver(self.real, self._choose)

    def _choose(self, statement: Statement) -> Fault:
        return self.fault if isinstance(statement.shape, CounterUpdate) else Fault.NONE

    def serve_real(self) -> None:
        """Have the embedded store itself be the connection, which refuses tables as it does."""
        drivers._registry.clear()
        drivers.register_driver("default", self.real, default=True)


@pytest.fixture
def store() -> Iterator[Store]:
    made = Store()
    drivers._registry.clear()
    drivers.register_driver("default", made.driver, default=True)
    PageHits.sync_table()
    yield made
    drivers._registry.clear()
    made.real.close()


Serve = Callable[..., tuple[Aggregator, str]]


@pytest.fixture
def serve(store: Store) -> Iterator[Serve]:
    """Give a function that starts an aggregator, without periodic flushes, and tells where its status is."""
    with ExitStack() as stack:

        def start(status: str = "127.0.0.1:0", **options: Any) -> tuple[Aggregator, str]:
            made = Aggregator(**({"flush_interval": None, "status": status} | options))
            stack.callback(made.shutdown)
            return made, url_of(made.start())

        yield start


@pytest.fixture
def socket_file(tmp_path: Path) -> str:
    return str(tmp_path / "status-{pid}.sock")
