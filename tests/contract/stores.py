"""A connection of one driver, used through one face, so that a test is written once for all of them."""

from __future__ import annotations

import asyncio
import inspect
import itertools
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from coodie import aio, drivers, sync

_numbers = itertools.count(1)


@dataclass
class Store:
    """A driver and a face; ``do`` awaits on the aio face and does nothing on the sync one."""

    kind: str
    face: Any
    driver: Any
    runner: asyncio.Runner
    options: dict[str, Any] = field(default_factory=dict)
    shared: dict[str, Any] = field(default_factory=dict)

    @property
    def is_cassandra(self) -> bool:
        """Whether a real server answers."""
        return self.kind in ("cassandra", "acsylla")

    def do(self, answer: Any) -> Any:
        """Return the answer of a call, awaited where the face wants it."""
        return self.runner.run(_awaited(answer)) if inspect.isawaitable(answer) else answer

    def listed(self, rows: Iterable[Any] | AsyncIterator[Any]) -> list[Any]:
        """Return the documents of a QuerySet, iterated as the face iterates."""
        if isinstance(rows, Iterable):
            return list(rows)
        documents: list[Any] = self.runner.run(_gathered(rows))
        return documents

    def table(self, model: type[Any]) -> Any:
        """Create the table of a model and return the model."""
        self.do(model.sync_table())
        return model

    def once(self, name: str, make: Callable[[Store], Any]) -> Any:
        """Return the model of a table that the tests of a module share: creating one takes a server half a second."""
        if name not in self.shared:
            self.shared[name] = self.table(make(self))
        return self.shared[name]


def fresh(name: str) -> str:
    """Return a name no other test has."""
    return f"{name}_{next(_numbers)}"


def open_store(kind: str, face: str, options: dict[str, Any]) -> Store:
    """Open a driver through a face."""
    runner = asyncio.Runner()
    store = Store(kind, {"sync": sync, "aio": aio}[face], None, runner, options)
    store.driver = store.do(store.face.init_coodie(driver_type=kind, **options))
    return store


def close_store(store: Store) -> None:
    """Close the driver and the loop."""
    if store.face is sync:
        store.driver.close()
    else:
        store.runner.run(store.driver.close_async())
    store.runner.close()
    drivers._registry.clear()


async def _awaited(answer: Any) -> Any:
    return await answer


async def _gathered(rows: Any) -> list[Any]:
    return [document async for document in rows]
