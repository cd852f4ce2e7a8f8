"""
Aggregator: the one class users hold.

Rules that live here: every public name is the contract's. This file says what a call means and on which thread it may
be made; what is done lies with the parts (``machine``). Nothing here blocks a thread that runs an event loop.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar

from aggregator import lifecycle, reports
from aggregator.afterwards import Afterwards
from aggregator.beginning import Beginning
from aggregator.bulk import add_many
from aggregator.companions import Companions
from aggregator.config import read_options
from aggregator.exceptions import LifecycleError
from aggregator.machine import Machine
from aggregator.scopes import Request
from aggregator.waiting import has_running_loop, tasks_here
from coodie import counters

if TYPE_CHECKING:
    from aggregator.core.records import FlushResult, HotKey, Rejected, Stats, Unknown

current = lifecycle.current


class Aggregator:
    """
    Merge increments of counter documents in memory and write them coalesced.

    Args:
        options: see ``aggregator.config.Options``; explicit keyword > ``AGGREGATOR_<OPTION>`` > default. Times are in
            seconds.

    Raises:
        ConfigurationError: an option, or a pair of options, is not allowed; names it, the value and what is.

    Thread and loop safety: every method may be called from any thread; those that would block an event loop refuse
    there and name their async twin.
    """

    _machine_type: ClassVar[type[Machine]] = Machine

    def __init__(self, **options: Any) -> None:
        self.options = read_options(options)
        self._machine: Machine | None = None
        self._is_started = False
        self._beginning = threading.RLock()  # held while a forked child makes its own machine
        self._companions = Companions(self)

    def __repr__(self) -> str:
        chosen = self.options
        state = "started" if self._is_started else "stopped" if self._machine else "not started"
        return f"<Aggregator {state} mode={chosen.mode!r} flush_interval={chosen.flush_interval} at {id(self):#x}>"

    # --- life -------------------------------------------------------------------------------------------------

    def start(self) -> Aggregator:
        """
        Start the flusher and route every increment of the process here; idempotent.

        Raises:
            ConfigurationError: another aggregator is started in this process.
            JournalError: the journal cannot be opened; says why and what helps. Nothing was started.
        """
        with lifecycle.OPENING:  # the first requests of a worker come on several threads: the second finds it started
            if lifecycle.claim(self):
                try:
                    self._begin()
                except BaseException:
                    lifecycle.release(self)
                    raise
            elif isinstance(counters.sink, Beginning):
                self._begin()  # in a forked child
            elif not self._is_started:
                raise LifecycleError("start() while shutdown() is still writing: wait for it; nothing was started")
            return self

    def _begin(self) -> Machine:
        """Make a machine and route increments to it, once; a forked child does so with its first increment."""
        with lifecycle.OPENING, self._beginning:
            if self._machine is None or not self._is_started:
                if isinstance(counters.sink, Afterwards):
                    counters.sink.close()  # of an aggregator that was shut down: its journal's slot is free again
                self._machine = self._machine_type(self.options)
                self._is_started = True
                if self.options.mode in ("buffered", "agent"):
                    self._machine.background.start()
                counters.install(self._machine.intake)
                self._companions.begin()
            return self._machine

    def shutdown(self, timeout: float | None = None) -> FlushResult | None:
        """
        Write what is pending, stop, and let later increments go to the database directly; idempotent.

        Args:
            timeout: seconds it may take; ``shutdown_timeout`` by default. What is not written by then is logged.

        Raises:
            LifecycleError: this thread runs an event loop; use ``await ashutdown()``.
        """
        self._refuse_on_loop("shutdown()", "await ashutdown()")
        return self._shutdown(timeout)

    async def ashutdown(self, timeout: float | None = None) -> FlushResult | None:
        """Do as :meth:`shutdown`, without blocking the loop."""
        result = await asyncio.to_thread(self._shutdown, timeout)
        if tasks := tasks_here():  # increments nobody awaited: they write through now
            await asyncio.wait(tasks, timeout=self.options.flush_timeout)
        return result

    def _shutdown(self, timeout: float | None) -> FlushResult | None:
        machine = self._machine
        if isinstance(counters.sink, Beginning) and lifecycle.current() is self:
            counters.remove(counters.sink)  # a forked child that never counted
            lifecycle.release(self)
        if machine is None or not self._is_started:
            return None
        self._is_started = False
        counters.remove(machine.intake)
        machine.buffer.close()
        limit = self.options.shutdown_timeout if timeout is None else timeout
        began = machine.clock()
        result = self._wait(machine, machine.background.ask(timeout=limit), limit)
        while machine.dirty_rows() and machine.engine.connections and machine.background.is_alive():
            left = limit - (machine.clock() - began)
            if left <= 0:
                break
            result = self._wait(machine, machine.background.ask(patient=True, timeout=left), left)
        has_ended = machine.background.stop(max(limit - (machine.clock() - began), 0.0))
        rows = machine.dirty_rows()
        after = Afterwards(machine)
        if after.is_needed():  # exact tables: their writer goes on until the process ends
            counters.install(after)
        elif has_ended:
            machine.close()
        self._companions.end()
        lifecycle.release(self)
        if rows and self.options.mode != "agent":  # there they are the agent's to write
            reports.log_remaining(rows, result, self.options.journal, machine.clock() - began)
        return result

    def _begin_anew_in_child(self) -> None:
        """Let go of the parent's rows, files and thread in a forked child, which begins with its first increment."""
        self._beginning = threading.RLock()
        self._companions.close_in_child()
        parent, self._machine = self._machine, None
        if parent is not None:
            parent.abandon()
        if self._is_started:
            self._is_started = False
            counters.install(Beginning(self._begin))

    def __enter__(self) -> Aggregator:
        self._refuse_on_loop("with", "async with")
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()

    async def __aenter__(self) -> Aggregator:
        return self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.ashutdown()

    # --- flushing ---------------------------------------------------------------------------------------------

    def flush(self, timeout: float | None = None) -> FlushResult:
        """
        Write everything pending now and wait for it.

        Args:
            timeout: seconds to wait, ``flush_timeout`` by default; then ``remaining > 0`` and no exception.

        Raises:
            LifecycleError: before ``start()``; on a thread that runs a loop (use ``aflush``); inside a callback.
        """
        self._refuse_on_loop("flush()", "await aflush()")
        machine = self._running("flush()")
        if not self._is_started:
            return reports.nothing_done(machine)
        return self._wait(machine, machine.background.ask(timeout=timeout), timeout)

    async def aflush(self, timeout: float | None = None) -> FlushResult:
        """Do as :meth:`flush`, without blocking the loop."""
        machine = self._running("aflush()")
        if not self._is_started:
            return reports.nothing_done(machine)
        return await asyncio.to_thread(lambda: self._wait(machine, machine.background.ask(timeout=timeout), timeout))

    def _wait(self, machine: Machine, ticket: Any, timeout: float | None) -> FlushResult:
        limit = self.options.flush_timeout if timeout is None else timeout
        try:
            return ticket.result(limit)  # type: ignore[no-any-return]  # a ticket's result is a FlushResult
        except TimeoutError:
            return reports.nothing_done(machine, f"the flush was still running after {limit} s")

    def _teardown_hint(self) -> bool:
        """Wake the flusher if a flush is due; return whether the caller must flush inline, as no flusher runs."""
        machine = self._machine
        if machine is None or not self._is_started or not machine.background.is_due():
            return False
        if not machine.background.is_alive():
            return self.options.mode == "buffered"
        machine.background.wake()
        return False

    # --- counting ---------------------------------------------------------------------------------------------

    def increment_many(self, document: type[Any], rows: Iterable[tuple[Any, Mapping[str, int]]]) -> int:
        """
        Add the deltas of many rows, for consumers of queues and logs.

        Args:
            document: a counter document class of either face.
            rows: pairs of key values (a mapping, a tuple in key order, or a one-column key's bare value) and deltas.

        Returns:
            How many rows were accepted.

        Raises:
            InvalidQueryError: a row is refused; the text says which one, and that those before it were accepted.
            BufferFull: as for ``increment()``.
        """
        machine = self._running("increment_many()")
        return add_many(machine.intake, document, rows)

    def request(self, *, discard_on_error: bool = False) -> Request:
        """
        Return a scope, sync and async, whose increments join the buffer when it ends.

        With ``discard_on_error`` an exception that leaves the scope discards them instead.
        """
        machine = self._running("request()")
        return Request(machine.waiting.join, discard_on_error=discard_on_error)

    # --- looking ----------------------------------------------------------------------------------------------

    def pending(self, document: type[Any] | None = None, /, **key: Any) -> dict[Any, Any]:
        """Return the deltas of one row not yet applied, in flight included; without arguments, of every row."""
        machine = self._running("pending()")
        return reports.pending_all(machine) if document is None else reports.pending_row(machine, document, key)

    def stats(self) -> Stats:
        """Return the account at this instant; see ``Stats``."""
        begins = self._machine is None and lifecycle.current() is self  # a forked child that has not counted yet
        return reports.stats(self._machine, is_started=self._is_started or begins)

    def top(self, n: int = 10, table: str | None = None) -> list[HotKey]:
        """Return the ``n`` hottest rows of the last minutes, of one table or of all."""
        return reports.top(self._running("top()"), n, table)

    def unknown(self) -> list[Unknown]:
        """Return the parked deltas, one per row: writes whose outcome the database did not reveal."""
        return reports.unknown(self._running("unknown()"))

    def rejected(self) -> list[Rejected]:
        """Return the dead letters, one per row: deltas the database refused for what they are."""
        return reports.rejected(self._running("rejected()"))

    def resolve(self, item: Unknown, apply: bool) -> None:
        """
        Put parked or rejected deltas back to pending (``apply``) or discard them, counted as dropped.

        Raises:
            LifecycleError: the item was resolved before; or, to apply it, after ``shutdown()``: nothing would write it.
        """
        if apply and not self._is_started:
            raise LifecycleError("resolve(apply=True) after shutdown(): nothing would write it; nothing was changed")
        reports.resolve(self._running("resolve()"), item, apply=apply)

    # --- checks -----------------------------------------------------------------------------------------------

    def _running(self, call: str) -> Machine:
        if self._machine is None and isinstance(counters.sink, Beginning) and lifecycle.current() is self:
            return self._begin()
        if self._machine is None:
            raise LifecycleError(f"{call} before start(): start the aggregator first (start(), with, or async with)")
        return self._machine

    def _refuse_on_loop(self, call: str, twin: str) -> None:
        if has_running_loop():
            raise LifecycleError(f"{call} would block the event loop of this thread; use {twin}; nothing was done")
        machine = self._machine
        if machine is not None and machine.background.is_own_thread():
            raise LifecycleError(f"{call} inside a callback of the flusher would wait for itself; nothing was done")
