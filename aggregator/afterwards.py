"""
The sink after ``shutdown()`` of an aggregator that counted in exact tables: the same writer goes on writing.

Rules that live here:

* An exact table has no direct write of a delta: its writer's total is written, so the writer must be one and the same
  until the process ends. Each increment is a small flush of its own.
* Native tables are written directly, as with no sink at all.
* It stays until the process ends, or until an aggregator is started again: then the journal's slot is given back first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from coodie import connections, counters
from coodie.plans.counters import increment
from coodie.run import arun, run

if TYPE_CHECKING:
    from aggregator.machine import Machine


class Afterwards:
    """Write increments of exact tables through; see ``coodie.counters.IncrementSink``."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def is_needed(self) -> bool:
        """Return whether the machine is the writer of any exact table, or leaves writing to the host's agent."""
        return any(held.is_exact or held.hands_on for held in self._machine.buffer.tables.values())

    def add(self, document: Any, deltas: Mapping[str, int]) -> Any:
        if self._machine.intake.options.mode == "agent":
            return self._accepted(document, deltas)
        driver, table = connections.resolve(type(document))
        if table.counters != "exact":
            plan = increment(document, table, deltas)
            is_aio = any(cls.__module__.startswith("coodie.aio") for cls in type(document).__mro__)
            return arun(plan, driver) if is_aio else run(plan, driver)
        return self._accepted(document, deltas)

    def _accepted(self, document: Any, deltas: Mapping[str, int]) -> Any:
        if self._machine.keeping is not None:
            self._machine.keeping.journal.set_clean(is_clean=False)
        return self._machine.intake.add(document, deltas)

    def compiled(self, model: type[Any]) -> Mapping[str, Callable[..., Any]] | None:
        return None

    def pending(self, model: type[Any], key: tuple[Any, ...]) -> Mapping[str, int] | None:
        return self._machine.intake.pending(model, key)

    def flush(self, model: type[Any]) -> Any:
        return self._machine.intake.flush(model)

    def halt(self, model: type[Any]) -> Any:
        return self._machine.intake.halt(model)

    def resume(self, model: type[Any]) -> None:
        self._machine.intake.resume(model)

    def forget(self, model: type[Any]) -> None:
        self._machine.intake.forget(model)

    def after_fork_in_child(self) -> None:
        """Step aside in a forked child: the writer that goes on is the parent's, here one must be started."""
        counters.remove(self)
        self._machine.abandon()

    def close(self) -> None:
        """End: give the journal's slot back."""
        counters.remove(self)
        self._machine.close()
