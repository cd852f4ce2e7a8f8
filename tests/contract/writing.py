"""A writer of exact tables that writes at once what it is given: what an aggregator does, without its buffer."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from coodie import aio, connections
from coodie.plans import exact
from coodie.plans.counters import deltas_of, key_of
from coodie.statement import APPLIED, Outcome

_timestamps = itertools.count(1_700_000_000_000_000)


def put(model: type[Any], key: tuple[Any, ...], writer: str, timestamp: int | None = None, **totals: int) -> None:
    """Store a writer's totals of a row, by a fan-out of one."""
    driver, table = connections.resolve(model)
    columns = tuple(column.name for column in table.counter_columns if column.name in totals)
    values = (*key, writer, *(totals[name] for name in columns), timestamp or next(_timestamps))
    told: list[Outcome] = []
    driver.execute_many(
        [(exact.write(table, columns), values)], 1, lambda index, outcome, count=1: told.append(outcome)
    )
    assert told == [APPLIED]


class WritingSink:
    """An increment sink whose totals are stored when it is flushed."""

    def __init__(self, writer: str) -> None:
        self.writer = writer
        self.totals: dict[tuple[type[Any], tuple[Any, ...]], dict[str, int]] = {}
        self.forgotten: list[type[Any]] = []

    def add(self, document: Any, deltas: Mapping[str, int]) -> Awaitable[None] | None:
        """Add to this writer's totals."""
        _, table = connections.resolve(type(document))
        zeros = dict.fromkeys((column.name for column in table.counter_columns), 0)
        totals = self.totals.setdefault((type(document), key_of(document, table)), zeros)
        for name, delta in deltas_of(table, deltas).items():
            totals[name] += delta
        return _answer(type(document))

    def compiled(self, model: type[Any]) -> Mapping[str, Callable[..., Any]] | None:
        """Compile nothing."""

    def pending(self, model: type[Any], key: tuple[Any, ...]) -> Mapping[str, int] | None:
        """Show what is stored."""

    def flush(self, model: type[Any]) -> Awaitable[None] | None:
        """Store every total of a class."""
        for (counted, key), totals in self.totals.items():
            if counted is model:
                put(model, key, self.writer, **totals)
        return _answer(model)

    def halt(self, model: type[Any]) -> Awaitable[None] | None:
        """Halt nothing: this sink writes when it is told to."""
        return _answer(model)

    def resume(self, model: type[Any]) -> None:
        """Resume nothing."""

    def forget(self, model: type[Any]) -> None:
        """Remember what was forgotten."""
        self.forgotten.append(model)


def _answer(model: type[Any]) -> Awaitable[None] | None:
    return asyncio.sleep(0) if issubclass(model, aio.CounterDocument) else None
