"""
The thread that carries the engine, and the mailbox through which everyone else asks it for a flush.

Rules that live here:

* Single flight: a flush that is asked for while one runs is another one, begun after it; those who asked share it.
* The mailbox is a ``queue.SimpleQueue``: putting into it takes no Python lock, so signal handlers and finalizers may.
* Where the thread is not alive (none can be started, the interpreter is ending, a fork), a flush runs on the thread
  that asks, under the same single-flight lock.
"""

from __future__ import annotations

import logging
import queue
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from aggregator.core.policy import FlushPolicy
from aggregator.core.records import FlushResult
from aggregator.exceptions import LifecycleError
from aggregator.flusher.ticket import Ticket

if TYPE_CHECKING:
    from aggregator.flusher.engine import Engine

log = logging.getLogger("aggregator")

LOOK_S = 0.05
"""How often held rows are counted where a flush may be due by their number, between periodic flushes."""


LOOK_SHARE = 50
"""A look may take one part in this many of the thread's time, however many rows are held."""


def refuse_threads_patched_late() -> None:
    """
    Refuse to begin where gevent has patched threads since this module was imported.

    What was made before then blocks the whole process where it ought to block a greenlet: its first wait is its last.
    Raises ``LifecycleError``.
    """
    if queue.SimpleQueue is not SimpleQueue:
        error = LifecycleError(
            "gevent patched threads after aggregator was imported, which would block this process for ever; load the "
            "application in the workers (gunicorn: without --preload), or patch before every other import "
            "(from gevent import monkey; monkey.patch_all()); nothing was started, nothing counted"
        )
        log.error("%s", error)  # a framework may answer 500 and tell nobody why
        raise error


def is_without_threads() -> bool:
    """Return whether this is a uWSGI without threads: there one would run only while a request does."""
    uwsgi = sys.modules.get("uwsgi")
    options: Mapping[bytes, object] = getattr(uwsgi, "opt", None) or {}
    return uwsgi is not None and not any(name in options for name in (b"enable-threads", b"threads"))


class Background:
    """Run flushes on a daemon thread."""

    def __init__(self, engine: Engine, clock: Callable[[], float], chance: Callable[[], float]) -> None:
        self.engine = engine
        self._clock = clock
        self._chance = chance
        self._policy = FlushPolicy(engine.options.flush_interval, engine.options.flush_jitter)
        self._mailbox: SimpleQueue[Ticket | None] = SimpleQueue()
        self._single = threading.Lock()
        self._stopping = self._abandoned = False
        self.rounds: Callable[[float], None] = lambda now: None  # made between flushes
        self.next_round: Callable[[], float | None] = lambda: None  # the clock's time of the next one
        self._due_at = self._next_due()
        self._look_took = 0.0
        self._thread: threading.Thread | None = None
        self._is_running = False

    # --- asked from any thread --------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread; where none can run, flushes run on the threads that ask, and one WARNING says so."""
        if is_without_threads():
            log.warning(
                "no background flusher: uWSGI runs no threads; set enable-threads = true. Until then flushes run "
                "inline at request end, where a middleware serves them, and on flush()"
            )
            return
        thread = threading.Thread(target=self._run, name="aggregator-flusher", daemon=True)
        self._is_running = True
        try:
            thread.start()
        except RuntimeError as error:
            self._is_running = False
            log.warning("no background flusher (%s): flushes run inline at request end and on flush()", error)
            return
        self._thread = thread

    def is_alive(self) -> bool:
        """Return whether the thread runs."""
        # Not Thread.is_alive(): before Python 3.13 a signal handler that raises inside it can make it say no for ever.
        return self._is_running and not self._abandoned

    def is_own_thread(self) -> bool:
        """Return whether the caller runs on the flusher's thread (a callback does)."""
        return threading.current_thread() is self._thread

    def wake(self) -> None:
        """Have the thread look now whether a flush is due. Never blocks, safe in signal handlers."""
        self._mailbox.put(None)

    def ask(self, *, patient: bool = False, timeout: float | None = None) -> Ticket:
        """Return a ticket for a flush that begins after now. Never blocks while the thread is alive."""
        ticket = Ticket(patient=patient, timeout=timeout)
        if self.is_alive() and not self._stopping:
            self._mailbox.put(ticket)
            if not self._stopping:
                return ticket
            # The thread may have read its mailbox for the last time: a ticket served twice is answered once.
        self._serve([ticket], asked=True)
        return ticket

    def is_due(self) -> bool:
        """Return whether a flush is due by time or by the number of new rows."""
        engine = self.engine
        return self._clock() >= self._due_at or engine.buffer.new_rows >= engine.options.max_batch_size

    def stop(self, timeout: float) -> bool:
        """End the thread after what it is doing; return whether it ended within ``timeout`` seconds."""
        self._stopping = True
        self.wake()
        if self._thread is not None:
            self._thread.join(timeout)
        return not self.is_alive()

    def abandon(self) -> None:
        """Do nothing any more, in a forked child: also where the thread that forked is this one."""
        self._abandoned = self._stopping = True

    # --- on the thread ----------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._work()
        finally:
            self._is_running = False

    def _work(self) -> None:
        patient: list[Ticket] = []
        while True:
            tickets = self._wait(patient)
            if self._abandoned:
                return
            held_back = self._must_wait()
            now = [ticket for ticket in tickets if not (held_back and ticket.patient)]
            patient = [ticket for ticket in tickets if held_back and ticket.patient]
            if self._stopping and not now:
                break
            if now or self._is_due_now():
                self._serve(now, asked=any(not ticket.patient for ticket in now))
            if not self._stopping:
                self.rounds(self._clock())
        if patient:
            self._serve(patient, asked=False)  # whoever waited for room finds the buffer closed, and writes through

    def _wait(self, patient: list[Ticket]) -> list[Ticket]:
        """Sleep until something is asked or may be due; return every ticket."""
        found: list[Ticket] = list(patient)
        block = True
        with suppress(Empty):
            while True:
                ticket = self._mailbox.get(timeout=self._pause(patient)) if block else self._mailbox.get_nowait()
                block = False
                if ticket is not None:
                    found.append(ticket)
        return found

    def _pause(self, patient: list[Ticket]) -> float | None:
        """Return how long the thread may sleep."""
        now = self._clock()
        times = [] if self._due_at == float("inf") else [self._due_at - now]
        retry = self.engine.earliest_retry()
        if retry is not None and (patient or times):
            times.append(max(retry - now, 0.005))
        upcoming = self.next_round()
        if upcoming is not None:
            times.append(upcoming - now)
        if self.engine.buffer.rows() >= self.engine.options.max_batch_size:
            times.append(max(LOOK_S, LOOK_SHARE * self._look_took))
        return max(min(times), 0.0) if times else None

    def _must_wait(self) -> bool:
        retry = self.engine.earliest_retry()
        return retry is not None and retry > self._clock()

    def _is_due_now(self) -> bool:
        if self._stopping:
            return False
        if self.is_due():
            return True
        engine = self.engine
        most = engine.options.max_batch_size
        if engine.buffer.rows() < most or self._must_wait():
            return False
        began = self._clock()
        dirty = engine.buffer.dirty_rows(most)
        self._look_took = self._clock() - began
        return dirty >= most

    def _serve(self, tickets: list[Ticket], *, asked: bool) -> None:
        """Run one flush for all who asked before it began."""
        timeouts = [ticket.timeout for ticket in tickets if ticket.timeout is not None]
        timeout = max(timeouts, default=self.engine.options.flush_timeout)
        if self._abandoned:
            return
        with self._single:
            try:
                result = self.engine.flush(asked=asked, timeout=timeout)
            except BaseException as error:
                log.exception("the flusher met a bug; nothing it had taken is sent again")
                for ticket in tickets:
                    ticket.answer(error)
                return
            finally:
                self._due_at = self._next_due()
        self._report(result)
        for ticket in tickets:
            ticket.answer(result)

    def _report(self, result: FlushResult) -> None:
        options = self.engine.options
        if options.on_flush is not None and result.statements:
            call(options.on_flush, result)
        if options.on_error is not None:
            for error in self.engine.raised:
                call(options.on_error, error)

    def _next_due(self) -> float:
        wait = self._policy.wait(self._chance())
        return float("inf") if wait is None else self._clock() + wait


def call(callback: Callable[..., object], argument: object) -> None:
    """Call a user's callback; what it raises is logged and changes nothing."""
    try:
        callback(argument)
    except (Exception, SystemExit):
        log.exception("a callback raised; nothing is written again because of it")
