"""
The sink of a process before its first increment: it makes the process's own machine, then steps aside.

Rules that live here: nothing is opened and no thread started in a process that never counts: a forked child, or one
that an application was loaded in to be forked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from aggregator import lifecycle
from coodie import counters

if TYPE_CHECKING:
    from aggregator.api import Aggregator
    from aggregator.machine import Machine


def begin_later(aggregator: Aggregator) -> None:
    """
    Make an aggregator the process's own, to be started by ``start()`` or by the first increment.

    Raises:
        ConfigurationError: another one is started in this process.
    """
    if lifecycle.claim(aggregator):
        counters.install(Beginning(aggregator._begin))


class Beginning:
    """Pass everything on to a machine that is made when it is first needed; see ``coodie.counters.IncrementSink``."""

    def __init__(self, begin: Callable[[], Machine]) -> None:
        self._begin = begin

    def add(self, document: Any, deltas: Mapping[str, int]) -> Any:
        return self._begin().intake.add(document, deltas)

    def compiled(self, model: type[Any]) -> Mapping[str, Callable[..., Any]] | None:
        return None  # the increment that asks is still on its way to add(); the next one finds the machine's sink

    def pending(self, model: type[Any], key: tuple[Any, ...]) -> Mapping[str, int] | None:
        return None

    def flush(self, model: type[Any]) -> Any:
        return self._begin().intake.flush(model)

    def halt(self, model: type[Any]) -> Any:
        return self._begin().intake.halt(model)

    def resume(self, model: type[Any]) -> None:
        self._begin().intake.resume(model)

    def forget(self, model: type[Any]) -> None:
        self._begin().intake.forget(model)
