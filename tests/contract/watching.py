"""
A driver that passes everything on and remembers the statements it was given, and classes made in a test.

Rules that live here: what was sent is told by text and values, so a test can say what a call asked of the database.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from coodie import drivers
from coodie.statement import Rows, Select, Statement
from tests.contract.stores import Store, fresh


class Watching:
    """The driver of a store, watched."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        self.sent: list[Statement] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._driver, name)

    def submit(self, statement: Statement) -> Rows:
        """Remember a statement and send it."""
        self.sent.append(statement)
        rows: Rows = self._driver.submit(statement)
        return rows

    async def submit_async(self, statement: Statement) -> Rows:
        """Remember a statement and send it."""
        self.sent.append(statement)
        rows: Rows = await self._driver.submit_async(statement)
        return rows

    @property
    def texts(self) -> list[str]:
        """What was sent, as text."""
        return [statement.cql for statement in self.sent]

    @property
    def counts(self) -> int:
        """How many COUNTs were sent."""
        shapes = [statement.shape for statement in self.sent if isinstance(statement.shape, Select)]
        return sum(any(column.function == "count" for column in shape.columns) for shape in shapes)


@contextmanager
def watched(store: Store) -> Iterator[Watching]:
    """Give the default connection, watched in the block."""
    watching = Watching(store.driver)
    drivers.register_driver("default", watching, default=True)
    try:
        yield watching
    finally:
        drivers.register_driver("default", store.driver, default=True)


def made(base: type[Any], annotations: dict[str, Any], settings: dict[str, Any] | None = None, **body: Any) -> Any:
    """Make a model class on a table of its own, as a class statement would."""
    names = {"__module__": __name__, "__qualname__": "Made.Settings"}
    inner = type("Settings", (), {"name": fresh("made"), **names, **(settings or {})})
    body |= {"__annotations__": annotations, "__module__": __name__, "__qualname__": "Made", "Settings": inner}
    metaclass: Any = type(base)
    return metaclass("Made", (base,), body)
