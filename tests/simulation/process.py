"""
One process: a real ``Machine`` on the stage, and the increments of its program.

Rules that live here: increments go through the functions that the product compiles for the fast road, compiled once for
all processes; whatever these cannot do takes the real slow road.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache, partial
from typing import Any

from aggregator import scopes
from aggregator.config import Options
from aggregator.core import compiled
from aggregator.exceptions import BufferFull, JournalError
from aggregator.machine import Machine
from coodie.exceptions import CoodieError
from tests.simulation.books import Books, Counted
from tests.simulation.database import Violation


@cache
def _factory(keys: tuple[str, ...], columns: tuple[str, ...]) -> Callable[..., Any]:
    namespace: dict[str, Any] = {}
    exec(compiled.source("increment", keys, columns, locked=False), namespace)
    found: Callable[..., Any] = namespace["make"]
    return found


class Process:
    """A started aggregator."""

    def __init__(self, number: int, options: Options, books: Books) -> None:
        self.number = number
        self.books = books
        self.calling: list[Counted] = []  # increments that have not returned
        self.beside: list[Counted] = []  # by signal handlers in a locked section: not in the journal before it ends
        self._functions: dict[type[Any], Any] = {}
        self._was_dropped = False
        self.machine = Machine(options)
        # Who counts here counts as a callback on the flusher's thread would: it waits for nobody.
        self.machine.background._thread, self.machine.background._is_running = threading.current_thread(), True
        self._add_dropped = self.machine.buffer.add_dropped
        self.machine.buffer.add_dropped = self._note_dropped  # type: ignore[method-assign]  # watched, not changed
        self.accepted = {column: account.accepted for column, account in self._accounts()}

    @property
    def fresh(self) -> list[Counted]:
        """What was accepted since the last sync of the slot."""
        keeping = self.machine.keeping
        found: list[Counted] = keeping.lease.path.fresh if keeping is not None else []  # type: ignore[attr-defined,assignment]  # simulated
        return found

    def _note_dropped(self, held: Any, deltas: Any, calls: int = 1) -> None:
        self._was_dropped = True
        self._add_dropped(held, deltas, calls)

    # --- counting ---------------------------------------------------------------------------------------------

    def increment(self, model: type[Any], key: tuple[Any, ...], deltas: dict[str, int]) -> bool:
        """Count; return whether it was accepted."""
        counted = (model, key, deltas)
        self.calling.append(counted)
        was_dropped, self._was_dropped = self._was_dropped, False
        try:
            self._function(model)(_document(model, key), **deltas)
            is_kept = not self._was_dropped
        except (BufferFull, JournalError, CoodieError):
            self.calling.remove(counted)
            return False
        finally:
            self._was_dropped = was_dropped
        self.calling.remove(counted)
        for name, delta in deltas.items():
            column = (model.__coodie_table__.name, name)
            self.accepted[column] = self.accepted.get(column, 0) + delta
        if is_kept:
            self.books.accepted(counted)
            (self.beside if self.machine.buffer._is_owned() else self.fresh).append(counted)
        return is_kept

    def _function(self, model: type[Any]) -> Any:
        found = self._functions.get(model)
        if found is None:
            intake = self.machine.intake
            binding = intake.bind(model)
            totals = binding.held.totals
            keys = tuple(column.name for column in binding.table.primary_key)
            found = self._functions[model] = _factory(keys, binding.columns)(
                totals.slots,
                tuple(totals.columns[name].total for name in binding.columns),
                totals.calls,
                scopes.OPEN,
                1,
                compiled.ABSENT,
                compiled.small,
                partial(intake._missed, binding.columns, 1),
                None,
                self.machine.buffer.lock,
                compiled.ERRORS,
            )
        return found

    def rest(self) -> None:
        """Take note that no locked section is open: what signal handlers counted in one is in the journal by now."""
        self.fresh.extend(self.beside)
        self.beside.clear()

    # --- the account ------------------------------------------------------------------------------------------

    def _accounts(self) -> Any:
        for held in self.machine.buffer.tables.values():
            for name in held.units:
                yield (held.name.rpartition(".")[2], name), held.account(name)

    def check(self) -> None:
        """Check the account: that it adds up, and that it accepted what was accepted."""
        with self.machine.buffer.opened():
            for column, one in self._accounts():
                if one.accepted != one.applied + one.pending + one.in_flight + one.unknown + one.dropped:
                    raise Violation(f"process {self.number}: the account of {column} does not add up: {one}")
                if one.accepted != self.accepted.get(column, 0):
                    expected = self.accepted.get(column, 0)
                    raise Violation(f"process {self.number}: {column} accepted {one.accepted}, not {expected}")
                if one.in_flight and not self._resumes():
                    raise Violation(f"process {self.number}: {column} has {one.in_flight} in flight, and nobody sends")

    def _resumes(self) -> bool:
        return any(held.resumed for held in self.machine.buffer.tables.values())


@cache
def _document(model: type[Any], key: tuple[Any, ...]) -> Any:
    names = [column.name for column in model.__coodie_table__.primary_key]
    return model(**dict(zip(names, key, strict=True)))
