"""
A stream of statements, many in flight: each answer sends the next.

Rules that live here:

* One thread at a time takes work and sends it: whoever finds no one doing so. An answer that arrives meanwhile only
  frees a place. That keeps the stack flat when sends fail at once, and the work's iterator on one thread at a time.
* The caller's thread fills the places once and leaves the rest to the answers: two threads that send in turns would
  fight for the interpreter.
* Work is taken and outcomes are told under one lock, so neither ever runs in two threads at once.
* Answers arrive on the client's event-loop thread, which must never block: a statement that is not prepared yet is left
  to the caller's thread.
* Rows that may share a batch are one parcel, which takes one place; see ``coodie.drivers.batches``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

from coodie.drivers.batches import Parcel, parcels, settle_parcel
from coodie.drivers.outcomes import outcome_of
from coodie.drivers.protocol import Settle, Work
from coodie.exceptions import CoodieError
from coodie.statement import APPLIED, Outcome, Statement

Sender = Callable[["Fanout", Parcel], None]
"""Starts one statement of a template; calls the run's ``applied`` or ``ended`` once with the parcel. Never raises."""


class Fanout:
    """
    One run of ``execute_many``.

    ``ready`` returns the sender of a template, or None where it is not prepared; ``prepare`` prepares it, and blocks.
    """

    __slots__ = (
        "_again",
        "_error",
        "_finished",
        "_held",
        "_in_flight",
        "_limit",
        "_lock",
        "_prepare",
        "_ready",
        "_sender",
        "_sending",
        "_settle",
        "_template",
        "_wake",
        "_work",
    )

    def __init__(
        self,
        work: Work,
        limit: int,
        settle: Settle,
        ready: Callable[[Statement], Sender | None],
        prepare: Callable[[Statement], Sender],
    ) -> None:
        self._work: Iterator[Parcel] = parcels(work)
        self._limit = max(1, limit)
        self._settle = settle
        self._ready = ready
        self._prepare = prepare
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._template: Statement | None = None  # this and its sender are touched by the sending thread alone
        self._sender: Sender | None = None
        self._held: Parcel | None = None  # taken, but to be sent by the caller's thread
        self._again: list[Parcel] = []  # rows of refused batches
        self._in_flight = 0
        self._sending = True
        self._finished = False
        self._error: BaseException | None = None

    def run(self) -> None:
        """Send all of it and return when every outcome is told; raise what the iterator or ``settle`` raised."""
        while True:
            self._keep_sending(may_block=True, share=self._limit)
            self._wake.wait()
            with self._lock:
                self._wake.clear()
                if self._held is None:
                    break
                self._sending = True
        if self._error is not None:
            raise self._error

    def applied(self, _rows: Any, parcel: Parcel) -> None:
        """Tell that a parcel was applied. From any thread."""
        self.ended(parcel, APPLIED)

    def ended(self, parcel: Parcel, outcome: Outcome) -> None:
        """Tell the outcome of a parcel, and send the next in its place. From any thread."""
        with self._lock:
            self._in_flight -= 1
            try:
                self._again += settle_parcel(self._settle, parcel, outcome)
            except BaseException as error:  # of the caller's making: stop, and raise it where the caller is
                self._stop(error)
            if self._sending or self._held is not None:
                return
            self._sending = True
        self._keep_sending(may_block=False)

    def _keep_sending(self, *, may_block: bool, share: int = -1) -> None:
        """Send until every place is taken or the work is done, or, having sent a share, while answers are to come."""
        while True:
            with self._lock:
                item = None if share == 0 and self._in_flight else self._taken()
                if item is not None and item[1] is not self._template:
                    self._template, self._sender = item[1], self._known(item[1])
                    if self._sender is None and not may_block:
                        self._held, self._template, item = item, None, None
                if item is None:
                    self._sending = False
                    if self._held is not None or (self._finished and not self._in_flight):
                        self._wake.set()
                    return
                self._held = None
                self._in_flight += 1
            self._send(item)
            share -= share > 0

    def _send(self, item: Parcel) -> None:
        """Send one item, preparing its template where that was not done; only a thread that may block comes to that."""
        if self._sender is None:
            try:
                self._sender = self._prepare(item[1])
            except CoodieError as error:
                self._sender = _refusing(outcome_of(error))  # the rest of the template needs no second attempt
        self._sender(self, item)

    def _known(self, template: Statement) -> Sender | None:
        """Return the sender of a template if that is prepared; a template whose options are wrong is refused."""
        try:
            return self._ready(template)
        except CoodieError as error:
            return _refusing(outcome_of(error))

    def _taken(self) -> Parcel | None:
        """Return the next item, or None where there is no place or no more work. The caller holds the lock."""
        if self._held is not None:
            return self._held
        if self._in_flight >= self._limit:
            return None
        if self._again:
            return self._again.pop()
        if self._finished:
            return None
        try:
            return next(self._work)
        except StopIteration:
            self._finished = True
        except BaseException as error:
            self._stop(error)
        return None

    def _stop(self, error: BaseException) -> None:
        """Take no more work, and remember why."""
        self._finished = True
        self._error = self._error or error


def _refusing(outcome: Outcome) -> Sender:
    """Return a sender that ends every statement with one outcome."""
    return lambda run, parcel: run.ended(parcel, outcome)
