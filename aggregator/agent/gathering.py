"""
A flush of the agent: look for workers, move what they gained, write it, and tell them.

Rules that live here:

* Moves are made between flushes, on the flusher's thread: while a move goes on nothing of the agent's is in flight.
* Where the agent's rows are all taken, the flush makes room and moving goes on; with a database that is away, what is
  not moved stays with the workers. Nothing is dropped.
* A source that fails is left for the next round, and one WARNING a round says why; the others go on.
"""

from __future__ import annotations

import logging
from collections.abc import Container
from typing import TYPE_CHECKING, Any

from aggregator.agent.moving import Mover
from aggregator.core.records import FlushResult
from aggregator.core.settlement import MOST_ERRORS
from aggregator.core.totals import pending_rows
from aggregator.exceptions import JournalError
from aggregator.flusher.engine import Engine

if TYPE_CHECKING:
    from aggregator.agent.source import Source, Target
    from aggregator.agent.tables import Tables
    from aggregator.agent.worker import Worker
    from aggregator.agent.workers import Workers
    from aggregator.core.taken import Key
    from aggregator.journal.ledger import Journal

log = logging.getLogger("aggregator")


class Gathering(Engine):
    """An engine that gathers before it writes. On the flusher's thread, one call at a time."""

    workers: Workers
    sources: list[Source]

    def gather_from(self, workers: Workers, tables: Tables, journal: Journal) -> None:
        """Say where units come from, before the first flush."""
        self.workers = workers
        self._held = tables.held
        self.began_at = self._clock()  # the last round
        self.sources = []  # beside the workers
        self._mover = Mover(self.buffer, journal, tables)

    def flush(self, *, asked: bool, timeout: float) -> FlushResult:
        """Move what there is, write it, and tell the workers; again while the flush makes room for more."""
        began = self.began_at = self._clock()
        results: list[FlushResult] = []
        raised: list[Exception] = []
        workers = self._begin()
        if any(held.resumed for held in self.buffer.tables.values()):  # in flight when an agent died: known first
            results.append(super().flush(asked=asked, timeout=timeout))
            raised += self.raised
        while True:
            is_left = self._move_all([*workers, *self.sources])
            left = max(began + timeout - self._clock(), 0.0)
            results.append(super().flush(asked=asked, timeout=left))
            raised += self.raised
            self._tell(workers)
            if not is_left or not results[-1].rows or self._clock() >= began + timeout / 2:
                break
        self.raised = raised[:MOST_ERRORS]
        for worker in workers:
            worker.answer()
        return _combined(results, self._clock() - began)

    def _begin(self) -> list[Worker]:
        found = []
        try:
            for worker in self.workers.look(self._clock()):
                try:
                    if self._mover.is_told(worker):
                        worker.begin_round(self._context.now_us())
                        found.append(worker)
                except JournalError as error:
                    log.warning("%s cannot be read, and waits: %s", worker.name, error)
        except JournalError as error:
            log.warning("no look for workers: %s", error)
        return found

    # --- moving -----------------------------------------------------------------------------------------------

    def _move_all(self, sources: list[Any]) -> bool:
        """Move portions in turn until nothing is left; True: until the agent's rows were all taken."""
        if any(held.totals.in_flight for held in self.buffer.tables.values()):
            return False
        waiting = list(sources)
        while waiting:
            for source in list(waiting):
                room = self._room()
                if not room:
                    return True
                try:
                    moved = self._mover.move(source, room)
                except JournalError as error:
                    log.warning("%s: nothing more is moved in this round: %s", source.name, error)
                    moved = 0
                if not moved:
                    waiting.remove(source)
        return False

    def _room(self) -> int:
        """Return how many new rows there is room for; 1 where nothing would make room."""
        with self.buffer.opened():
            if self.buffer.has_room():
                return self.buffer.max_keys - self.buffer.rows()
        return 0 if self.buffer.dirty_rows(1) else 1

    # --- telling ----------------------------------------------------------------------------------------------

    def _tell(self, workers: list[Worker]) -> None:
        known: dict[int, Container[Key]] = {}

        def unwritten(target: Target) -> Container[Key]:
            held = self._held(target)
            if id(held) not in known:
                with self.buffer.lock:
                    known[id(held)] = {*held.late, *(key for key, _deltas in pending_rows(held.totals))}
            return known[id(held)]

        for worker in workers:
            try:
                worker.written(unwritten)
            except JournalError as error:
                log.warning("%s is not told what was written of it: %s", worker.name, error)


def _combined(results: list[FlushResult], elapsed: float) -> FlushResult:
    def total(name: str) -> int:
        return sum(getattr(result, name) for result in results)

    errors = dict.fromkeys(error for result in results for error in result.errors)
    return FlushResult(
        applied=total("applied"),
        requeued=results[-1].requeued,
        unknown=total("unknown"),
        dropped=total("dropped"),
        remaining=results[-1].remaining,
        rows=total("rows"),
        statements=total("statements"),
        elapsed=elapsed,
        errors=list(errors)[:MOST_ERRORS],
    )
