"""
What an increment does when it cannot simply be stored: write through, or wait for room.

Rules that live here: a write-through is accounted as any other write and never repeated; waiting never blocks an event
loop, and never lasts longer than ``flush_timeout``. On the aio face both run as a task that is held strongly, so that a
forgotten ``await`` loses nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aggregator.awaitable import COMPLETED
from aggregator.core import apart
from aggregator.core.buffer import Added
from aggregator.core.ledger import Change
from aggregator.exceptions import BufferFull, JournalError, LifecycleError, unjournaled
from aggregator.intake import overflow
from coodie.connections import driver_of
from coodie.exceptions import CoodieError, MaybeApplied

if TYPE_CHECKING:
    from aggregator.binding import Binding
    from aggregator.core.buffer import Buffer
    from aggregator.core.held import Held
    from aggregator.core.taken import Key
    from aggregator.flusher.background import Background
    from aggregator.flusher.engine import Engine
    from coodie.statement import Statement

_tasks: set[asyncio.Task[None]] = set()


def has_running_loop() -> bool:
    """Return whether this thread runs an event loop, which must not be blocked."""
    return asyncio._get_running_loop() is not None  # the public twin raises, at ten times the cost


def tasks_here() -> set[asyncio.Task[None]]:
    """Return the tasks of this loop that write or wait for somebody's increment."""
    loop = asyncio.get_running_loop()
    return {task for task in _tasks if task.get_loop() is loop}


def held_task(work: Coroutine[Any, Any, None]) -> Any:
    """Return a task that runs even if nobody awaits it; outside a loop, the coroutine itself."""
    if not has_running_loop():
        return work
    task = asyncio.ensure_future(work)
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    return task


class Waiting:
    """The two slow roads of an increment."""

    def __init__(self, buffer: Buffer, engine: Engine, background: Background, clock: Callable[[], float]) -> None:
        self._buffer = buffer
        self._engine = engine
        self._background = background
        self._clock = clock

    # --- writing through --------------------------------------------------------------------------------------

    def write_through(self, held: Held, key: Key, deltas: Mapping[str, int], *, is_aio: bool, calls: int = 1) -> Any:
        """Write one row now: at once on the sync face, as a task on the aio face."""
        if held.hands_on:
            self._accept(held, key, deltas, calls)  # the buffer was closed: the agent finds it in the journal
            return COMPLETED if is_aio else None
        if held.is_exact:
            return self._write_exact(held, key, deltas, calls, is_aio=is_aio)
        if is_aio:
            return held_task(self._write_aio(held, key, deltas, calls))
        statement = self._begin(held, key, deltas, calls)
        try:
            driver_of(held.connection).submit(statement)
        except BaseException as error:
            self._failed(held, key, deltas, calls, error)
        else:
            self._end(held, deltas, "applied")
        return None

    async def _write_aio(self, held: Held, key: Key, deltas: Mapping[str, int], calls: int) -> None:
        statement = self._begin(held, key, deltas, calls)
        try:
            await driver_of(held.connection).submit_async(statement)
        except BaseException as error:
            self._failed(held, key, deltas, calls, error)
        else:
            self._end(held, deltas, "applied")

    def _begin(self, held: Held, key: Key, deltas: Mapping[str, int], calls: int) -> Statement:
        statement: Statement = self._engine.delivery(held).statement(deltas, key if isinstance(key, tuple) else (key,))
        with self._buffer.opened():
            held.begin_direct(deltas)
            held.totals.calls[0] += calls
            self._engine.statements += 1
        return statement

    def _end(self, held: Held, deltas: Mapping[str, int], fate: str, calls: int = 0) -> None:
        with self._buffer.opened():
            held.end_direct(deltas, fate)
            held.totals.calls[0] -= calls

    def _failed(self, held: Held, key: Key, deltas: Mapping[str, int], calls: int, error: BaseException) -> None:
        """Account a write that failed: refused ones were never accepted and raise, unknown ones are parked."""
        if isinstance(error, CoodieError) and not isinstance(error, MaybeApplied):
            self._end(held, deltas, "refused", calls)
            raise error
        if self._engine.options.on_unknown == "drop":
            self._end(held, deltas, "dropped")
        else:  # nothing can be retried here: the caller has gone on
            with self._buffer.opened():
                held.end_direct(deltas, "parked")
                apart.park(held, key, deltas, datetime.now(UTC), f"{type(error).__name__}: {error}")
                held.ledger.tell_later(held.noted(Change(), unknown=key))
                held.ledger.made()
        if not isinstance(error, Exception):
            raise error

    def _write_exact(self, held: Held, key: Key, deltas: Mapping[str, int], calls: int, *, is_aio: bool) -> Any:
        """
        Take deltas of an exact row and flush: it is the writer's total that is written, never a delta by itself.

        What the database does not take stays pending, as any accepted increment: the call does not raise for it.
        """
        self._accept(held, key, deltas, calls)
        if is_aio and has_running_loop():
            return held_task(asyncio.to_thread(self._flush_now))
        if self._background.is_own_thread() or has_running_loop():
            self._background.wake()  # it is accepted: whoever may wait writes it
        else:
            self._flush_now()
        return COMPLETED if is_aio else None

    def _accept(self, held: Held, key: Key, deltas: Mapping[str, int], calls: int) -> None:
        added = self._buffer.add_anyway(held, key, deltas, calls)
        if added is Added.OVERFLOW:
            raise overflow(held.name, deltas)
        if added is Added.CLOSED:
            raise LifecycleError(
                f"{held.name}: the aggregator that wrote this table has just ended and another begins; this increment "
                "was not accepted, make it again"
            )
        if added is Added.UNJOURNALED:
            raise unjournaled(held.name, self._buffer.journal_error)

    def flushed(self, is_aio: bool) -> Any:
        """Flush and wait for it, at most ``flush_timeout``; on a running loop an awaitable does."""
        if is_aio and has_running_loop():
            return held_task(asyncio.to_thread(self._flush_now))
        self._flush_now()
        return COMPLETED if is_aio else None

    def _flush_now(self) -> None:
        with suppress(TimeoutError):
            self._background.ask().result(self._engine.options.flush_timeout)

    # --- the end of a request ---------------------------------------------------------------------------------

    def join(self, held: Held, key: Key, deltas: Mapping[str, int], calls: int) -> None:
        """Take what a request collected, as the mode says; where the buffer was closed meanwhile, flush it."""
        gained = {name: delta for name, delta in deltas.items() if delta}
        if not gained:
            return
        mode = self._engine.options.mode
        if mode == "null":
            self._buffer.add_dropped(held, gained, calls)
        elif mode == "direct":
            self._join_direct(held, key, gained, calls)
        elif not self._buffer.join(held, key, gained, calls):
            self._join_closed(held, key, gained, calls)

    def _join_direct(self, held: Held, key: Key, deltas: Mapping[str, int], calls: int) -> None:
        if has_running_loop():
            self.write_through(held, key, deltas, is_aio=True, calls=calls)
            return
        try:
            self.write_through(held, key, deltas, is_aio=False, calls=calls)
        except (CoodieError, JournalError):  # surely not written: the request is over, so it waits for the next flush
            self._buffer.join(held, key, deltas, calls)

    def _join_closed(self, held: Held, key: Key, deltas: Mapping[str, int], calls: int) -> None:
        self._buffer.join_closed(held, key, deltas, calls)
        self._background.ask()

    # --- waiting for room -------------------------------------------------------------------------------------

    def find_room(self, binding: Binding, key: Key, deltas: Mapping[str, int]) -> Any:
        """Flush and try again, on the face of the document, until there is room or ``flush_timeout`` has passed."""
        if self._engine.options.when_full == "raise":
            raise self._full(binding, "every row is pending, in flight or parked")
        if self._background.is_own_thread():
            raise self._full(binding, "this thread is the flusher, which alone makes room")
        if binding.is_aio and has_running_loop():
            return held_task(self._room_aio(binding, key, deltas))
        if has_running_loop():
            self._background.wake()
            raise self._full(binding, "a sync increment must not block the event loop of this thread")
        deadline = self._clock() + self._engine.options.flush_timeout
        while (left := deadline - self._clock()) > 0:
            try:
                self._background.ask(patient=True).result(left)
            except TimeoutError:
                break
            if self._buffer.closed:  # shut down meanwhile: it goes to the database directly
                return self.write_through(binding.held, key, deltas, is_aio=False)
            if self._added(binding, key, deltas):
                return None
        raise self._full(binding, f"no room within flush_timeout={self._engine.options.flush_timeout} s")

    async def _room_aio(self, binding: Binding, key: Key, deltas: Mapping[str, int]) -> None:
        deadline = self._clock() + self._engine.options.flush_timeout
        while (left := deadline - self._clock()) > 0:
            try:
                async with asyncio.timeout(left):  # wait_for of 3.11 can swallow that its caller was cancelled
                    await self._background.ask(patient=True).answered()
            except TimeoutError:
                break
            if self._buffer.closed:
                await self.write_through(binding.held, key, deltas, is_aio=True)
                return
            if self._added(binding, key, deltas):
                return
        raise self._full(binding, f"no room within flush_timeout={self._engine.options.flush_timeout} s")

    def _added(self, binding: Binding, key: Key, deltas: Mapping[str, int]) -> bool:
        added = self._buffer.add(binding.held, key, deltas)
        if added is Added.OVERFLOW:
            raise overflow(binding.held.name, deltas)
        return added is Added.ADDED

    def _full(self, binding: Binding, why: str) -> BufferFull:
        options = self._engine.options
        return BufferFull(binding.table.full_name, options.max_keys, options.when_full, why)
