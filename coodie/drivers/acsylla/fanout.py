"""
A stream of statements, many in flight: worker tasks of one loop that share one iterator.

Rules that live here:

* Every item taken is settled once, on the loop's thread. What a dying loop leaves in flight is settled as unknown.
* Rows that may share a batch are one parcel; see ``coodie.drivers.batches``.
* The iterator is shared as a generator: when it raises, every worker finds it at its end, and the error is raised last.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from concurrent.futures import Future, wait
from typing import Any, TypeVar

from acsylla.errors import CassErrorLibNoHostsAvailable

from coodie.drivers.acsylla.errors import classified
from coodie.drivers.acsylla.prepared import Binder
from coodie.drivers.acsylla.sessions import LoopSession
from coodie.drivers.batches import Parcel, parcels, settle_parcel
from coodie.drivers.outcomes import forget_refused, outcome_of
from coodie.drivers.protocol import Settle, Work
from coodie.exceptions import ConfigurationError, CoodieError, MaybeApplied
from coodie.statement import APPLIED, Outcome, Statement

_LOOK_AGAIN = 1.0  # seconds between looks at whether the loop that is waited for still runs


T = TypeVar("T")


class LoopEnded(ConfigurationError):
    """The loop that was waited for has ended."""


def awaited(run: Future[T], loop: asyncio.AbstractEventLoop) -> T:
    """Wait, on another thread, for a run on a loop; :class:`LoopEnded` when the loop ends before it."""
    while not run.done() and loop.is_running():
        wait([run], timeout=_LOOK_AGAIN)
    if run.done() and not run.cancelled():
        return run.result()
    raise LoopEnded("The event loop of this acsylla session has ended; no more statements were sent.")


class Fanout:
    """One run of ``execute_many`` on one session."""

    def __init__(self, work: Work, limit: int, settle: Settle, known: dict[str, Any]) -> None:
        self._items = self._taken(work)
        self._limit = max(1, limit)
        self._settle = settle
        self._known = known  # the driver's memory of synced tables
        self._in_flight: list[Parcel | None] = [None] * self._limit  # by worker
        self._again: list[Parcel] = []  # rows of refused batches
        self._abandoned = False
        self._refused: dict[int, tuple[Statement, CoodieError]] = {}  # by identity, and kept: so it stays unique
        self._error: BaseException | None = None

    async def run(self, session: LoopSession) -> None:
        """Send all of it and return when every outcome is told; raise what the iterator or ``settle`` raised."""
        workers = [asyncio.create_task(self._send_in_turn(worker, session)) for worker in range(self._limit)]
        await asyncio.gather(*workers)
        if self._error is not None:
            raise self._error

    def wait(self, run: Future[None], loop: asyncio.AbstractEventLoop) -> None:
        """Wait, on another thread, for a run on a loop; ConfigurationError when the loop ends before it."""
        try:
            awaited(run, loop)
        except LoopEnded:
            self.abandon()
            raise

    def abandon(self) -> None:
        """Settle what is in flight as unknown: the loop that would have told has ended. From any thread, then."""
        self._items.close()
        reason = "the event loop of the session ended before the answer came"
        outcome = outcome_of(MaybeApplied(f"It is not known whether this was written: {reason}."))
        for worker, parcel in enumerate(self._in_flight):
            if parcel is not None:
                self._told(worker, parcel, outcome)
        for parcel in self._again:
            self._told(0, parcel, outcome)
        self._abandoned = True

    async def _send_in_turn(self, worker: int, session: LoopSession) -> None:
        """Send one statement after the other until there are no more."""
        execute, in_flight, told, settle = session.foreign.execute, self._in_flight, self._told, self._settle
        template: Statement | None = None
        bound: Binder
        while (parcel := self._next()) is not None:
            index, statement, values, rows = in_flight[worker] = parcel
            try:
                if statement is not template:
                    bound = await self._binder(statement, session)
                    template = statement
                query = bound(values)
            except CoodieError as error:
                forget_refused(self._known, error, statement)
                told(worker, parcel, outcome_of(error))
                continue
            try:
                await execute(query)
            except Exception as error:
                outcome = await _outcome(error, statement, session)
                forget_refused(self._known, outcome.error, statement)
                told(worker, parcel, outcome)
                continue
            except asyncio.CancelledError:
                self.abandon()
                raise
            if rows is not None:
                told(worker, parcel, APPLIED)
                continue
            if self._abandoned:
                return
            in_flight[worker] = None
            try:
                settle(index, APPLIED)
            except BaseException as error:
                self._stop(error)

    def _next(self) -> Parcel | None:
        """Return what to send next, or None at the end."""
        return self._again.pop() if self._again else next(self._items, None)

    async def _binder(self, statement: Statement, session: LoopSession) -> Binder:
        """Return the binder of a template; one that cannot be prepared is not tried again in this run."""
        if id(statement) in self._refused:
            raise self._refused[id(statement)][1]
        try:
            return (await session.prepared.get(statement)).binder(statement)
        except CoodieError as error:
            self._refused[id(statement)] = statement, error
            raise

    def _told(self, worker: int, parcel: Parcel, outcome: Outcome) -> None:
        """Settle the parcel of a worker, unless all were abandoned; or have its rows sent again."""
        if self._abandoned:
            return
        self._in_flight[worker] = None
        try:
            self._again += settle_parcel(self._settle, parcel, outcome)
        except BaseException as error:
            self._stop(error)

    def _stop(self, error: BaseException) -> None:
        """Take no more work after an error of the caller's making, and keep it for where the caller is."""
        self._error = self._error or error
        self._items.close()

    def _taken(self, work: Work) -> Generator[Parcel, None, None]:
        """Yield the work's parcels; keep what its iterator raises, and end."""
        try:
            yield from parcels(work)
        except GeneratorExit:
            raise
        except BaseException as error:
            self._error = error


async def _outcome(error: Exception, statement: Statement, session: LoopSession) -> Outcome:
    """Return the outcome of a statement that was sent and met an error."""
    if isinstance(error, CassErrorLibNoHostsAvailable):
        try:
            await session.prepared.check(statement)
        except CoodieError as refused:
            return outcome_of(refused)
    return outcome_of(classified(error, statement, strict=session.strict))
