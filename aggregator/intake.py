"""
The door by which increments come in: the sink that a started aggregator installs in the mapper.

Rules that live here:

* Everything is checked here, before anything is accepted: names, deltas, key. What is refused was not accepted.
* The fast path is compiled (``core.compiled``); whatever it does not handle arrives at :meth:`Intake.take`.
* A document of the sync face gets None, one of the aio face an awaitable; the delta is taken before either returns.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from aggregator import scopes
from aggregator.awaitable import COMPLETED
from aggregator.binding import AGENTS_CONNECTION, Binding, merge_shape
from aggregator.core import compiled
from aggregator.core.buffer import Added
from aggregator.delivery.exact import check_consistency
from aggregator.exceptions import unjournaled
from coodie import connections, counters
from coodie.exceptions import ConfigurationError, InvalidQueryError
from coodie.plans.counters import checked_delta, deltas_of, key_of
from coodie.schema import table_of

if TYPE_CHECKING:
    from types import FunctionType

    from aggregator.config import Options
    from aggregator.core.buffer import Buffer
    from aggregator.core.taken import Key
    from coodie.schema import Table

log = logging.getLogger("aggregator")


class Intake:
    """Take increments into a buffer. Safe from any thread and any loop."""

    def __init__(
        self,
        buffer: Buffer,
        options: Options,
        write_through: Callable[..., Any],
        find_room: Callable[..., Any],
        flushes: Callable[[bool], Any],
    ) -> None:
        self.buffer = buffer
        self.options = options
        self._write_through = write_through  # (held, key, deltas, is_aio) -> None or awaitable
        self._find_room = find_room  # (binding, key, deltas) -> None or awaitable
        self._flushes = flushes  # (is_aio) -> None or awaitable
        self._bindings: dict[type[Any], Binding] = {}
        self._has_warned = False

    # --- what a class resolves to -----------------------------------------------------------------------------

    def bind(self, model: type[Any]) -> Binding:
        """Return what a class resolves to now; made anew when its connection or keyspace has changed."""
        connection, driver, table = self._resolved(model)
        found = self._bindings.get(model)
        if found is not None and found.table is table and found.connection == connection:
            return found
        if driver is not None:
            self._check_timeout(driver, table)
        if table.counters == "exact":
            check_consistency(table, self.options.consistency)
            self._warn_of_writers(table)
        columns = tuple(column.name for column in table.counter_columns)
        with self.buffer.lock:
            held = self.buffer.table(connection, table, columns)
            merge_shape(held, table, model.__name__)
        is_aio = any(cls.__module__.startswith("coodie.aio") for cls in model.__mro__)
        self._bindings[model] = Binding(table, held, connection, columns, is_aio)
        return self._bindings[model]

    def _resolved(self, model: type[Any]) -> tuple[str, Any, Table]:
        if self.options.mode == "agent":  # which has the connection: this process needs none
            return connections.named(model) or AGENTS_CONNECTION, None, table_of(model)
        driver, table = connections.resolve(model)
        return connections.connection_name(model), driver, table

    def _check_timeout(self, driver: Any, table: Table) -> None:
        """Refuse a flush that would have to end before its own statements may answer."""
        answer: float | None = getattr(driver, "request_timeout", None)
        if answer is not None and self.options.flush_timeout <= answer:
            raise ConfigurationError(
                f"flush_timeout={self.options.flush_timeout} with a driver whose request_timeout is {answer} s, for "
                f"{table.full_name}: a flush must be able to wait for what it has sent; a flush_timeout above the "
                "request_timeout is allowed; nothing was accepted"
            )

    def _warn_of_writers(self, table: Table) -> None:
        if self.options.journal is None and not self._has_warned:
            self._has_warned = True
            log.warning(
                "exact table %s without a journal: each start is a new writer, so its rows grow with the starts of "
                "this process, and what is not written when it is killed is lost; journal=DIRECTORY ends both",
                table.full_name,
            )

    # --- the sink ---------------------------------------------------------------------------------------------

    def add(self, document: Any, deltas: Mapping[str, int]) -> Any:
        """Take the deltas of one row; see ``coodie.counters.IncrementSink``."""
        binding = self.bind(type(document))
        checked = deltas_of(binding.table, deltas)
        return self.take(binding, key_of(document, binding.table), checked)

    def take(self, binding: Binding, values: tuple[Any, ...], deltas: Mapping[str, int]) -> Any:
        """Take checked deltas of a row with checked key values."""
        key: Key = values[0] if len(values) == 1 else values
        deltas = {name: delta for name, delta in deltas.items() if delta}
        done = COMPLETED if binding.is_aio else None
        scope = scopes.active() if scopes.OPEN else None
        if scope is not None and deltas:
            added = scope.add(binding.held, key, deltas)
            if added is not Added.CLOSED:
                return self._told(added, binding, deltas, done)
        if not deltas:
            return done
        if self.options.mode == "null":
            self.buffer.add_dropped(binding.held, deltas)
            return done
        if self.options.mode == "direct":
            return self._write_through(binding.held, key, deltas, is_aio=binding.is_aio)
        added = self.buffer.add(binding.held, key, deltas)
        if added is Added.FULL:
            return self._without_room(binding, key, deltas, done)
        if added is Added.CLOSED:
            return self._write_through(binding.held, key, deltas, is_aio=binding.is_aio)
        if added is Added.UNJOURNALED:
            return self._without_journal(binding, key, deltas, done)
        return self._told(added, binding, deltas, done)

    def _told(self, added: Added, binding: Binding, deltas: Mapping[str, int], done: Any) -> Any:
        if added is Added.OVERFLOW:
            raise overflow(binding.held.name, deltas)
        return done

    def _without_journal(self, binding: Binding, key: Key, deltas: Mapping[str, int], done: Any) -> Any:
        """Do as ``when_full`` says where the journal cannot take a new row; waiting would not help."""
        if self.options.when_full in ("drop", "direct"):
            return self._without_room(binding, key, deltas, done)
        raise unjournaled(binding.table.full_name, self.buffer.journal_error)

    def _without_room(self, binding: Binding, key: Key, deltas: Mapping[str, int], done: Any) -> Any:
        when_full = self.options.when_full
        if when_full == "drop":
            self.buffer.add_dropped(binding.held, deltas)
            return done
        if when_full == "direct":
            return self._write_through(binding.held, key, deltas, is_aio=binding.is_aio)
        return self._find_room(binding, key, deltas)

    def pending(self, model: type[Any], key: tuple[Any, ...]) -> Mapping[str, int] | None:
        """Return what this process has pending for a row, where ``read_pending`` asks for it."""
        return self.pending_of(model, key) if self.options.read_pending else None

    def pending_of(self, model: type[Any], key: tuple[Any, ...]) -> dict[str, int]:
        """Return what one row has pending or in flight; ``key`` is checked and in key order."""
        held = self.bind(model).held
        with self.buffer.opened():
            return held.pending_of(key[0] if len(key) == 1 else key)

    # --- tables that are emptied, and flushes that the mapper asks for ----------------------------------------

    def halt(self, model: type[Any]) -> Any:
        """Send nothing of an exact table until ``forget`` or ``resume``; returns once what was on its way has ended."""
        binding = self.bind(model)
        if binding.held.hands_on and binding.table.counters == "exact":
            raise ConfigurationError(
                f"{binding.table.full_name} is written by the host's agent, whose totals would come back after it was "
                "emptied: stop the agent, and empty the table in a process of mode='buffered' with the same journal; "
                "nothing was changed"
            )
        if not binding.held.is_exact:
            return COMPLETED if binding.is_aio else None
        binding.held.is_halted = True
        return self._flushes(binding.is_aio)

    def resume(self, model: type[Any]) -> None:
        """Go on after a ``halt``, with everything as it was."""
        self.bind(model).held.is_halted = False

    def forget(self, model: type[Any]) -> None:
        """
        Drop what an exact table has pending and begin a new writer: the table was emptied or dropped.

        Native tables stay as they are: what is pending was accepted, and is written when the table is there.
        """
        held = self.bind(model).held
        if held.is_exact:
            with self.buffer.opened():
                held.forget()
        held.is_halted = False

    def flush(self, model: type[Any]) -> Any:
        """Write what is pending and wait for it: returns when done, or an awaitable on the aio face."""
        return self._flushes(self.bind(model).is_aio)

    # --- the fast path ----------------------------------------------------------------------------------------

    def compiled(self, model: type[Any]) -> Mapping[str, Callable[..., Any]] | None:
        """Return ``increment`` and ``decrement`` for the columns of a class, where increments are buffered."""
        if self.options.mode not in ("buffered", "agent") or self.buffer.closed:
            return None
        binding = self.bind(model)
        keys = [column.name for column in binding.table.primary_key]
        return {method: self._function(method, keys, binding) for method in counters.METHODS}

    def _function(self, method: str, keys: list[str], binding: Binding) -> FunctionType:
        missed = partial(self._missed, binding.columns, -1 if method == "decrement" else 1)
        function = self._built(method, keys, binding, missed, locked=not compiled.lock_free_here())
        if compiled.lock_free_here() and not compiled.is_call_free(function):
            function = self._built(method, keys, binding, missed, locked=True)
        return function

    def _built(
        self, method: str, keys: list[str], binding: Binding, missed: Callable[..., Any], *, locked: bool
    ) -> FunctionType:
        totals = binding.held.totals
        columns = tuple(totals.columns[name].total for name in binding.columns)
        namespace: dict[str, Any] = {}
        exec(compiled.source(method, keys, binding.columns, locked=locked), namespace)  # noqa: S102 - names are checked identifiers
        function: FunctionType = namespace["make"](
            totals.slots,
            columns,
            totals.calls,
            scopes.OPEN,
            1,
            compiled.ABSENT,
            compiled.small,
            missed,
            COMPLETED if binding.is_aio else None,
            self.buffer.lock,
            compiled.ERRORS,
        )
        function.__doc__ = f"{method.capitalize()} counters of this row in memory; a flush writes them, merged."
        return function

    def _missed(
        self,
        columns: tuple[str, ...],
        sign: int,
        document: Any,
        deltas: tuple[Any, ...],
        stored: int,
        others: dict[str, Any],
    ) -> Any:
        """Take what a compiled writer could not store; its first ``stored`` columns are stored already."""
        given = {
            name: sign * checked_delta(name, delta)
            for name, delta in zip(columns, deltas, strict=True)
            if delta is not compiled.ABSENT
        }
        rest = {name: delta for name, delta in given.items() if name not in columns[:stored]} | others
        sink = counters.sink
        if sink is None:  # shut down since the method was looked up: nothing is stored then, every writer misses
            method = getattr(document, counters.METHODS[0])
            return method(**rest)
        try:
            return sink.add(document, rest)
        except InvalidQueryError:
            undo = {name: -delta for name, delta in given.items() if name in columns[:stored]}
            if undo:
                sink.add(document, undo)
            raise


def overflow(table: str, deltas: Mapping[str, int]) -> InvalidQueryError:
    """Return the error of deltas that would take a row's pending sum, or an exact writer's total, beyond 64 bits."""
    return InvalidQueryError(
        f"{table}: adding to {', '.join(deltas)} would take the pending sum of the row, or on an exact table this "
        "writer's total, beyond 64 bits; flush first, or add less; nothing was accepted"
    )
