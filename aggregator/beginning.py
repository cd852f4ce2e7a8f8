"""
The sink of a forked child before its first increment: it makes the child's own machine, then steps aside.

Rules that live here: nothing is opened and no thread started in a child that never counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aggregator.machine import Machine


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
