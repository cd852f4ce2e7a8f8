"""
Folds that were begun: marked rows are written, and the retired writer's rows deleted, until the database has done both.

Rules that live here:

* Whoever owns the slot finishes its marked rows before it writes them otherwise: the process that began, the next one
  of that slot, or a sibling that adopted it.
* One statement a row, in one partition: our totals under a new timestamp, and the deletion of the other row under the
  marked one. Sent twice, or applied late, it changes nothing; so any failure but a refusal means: again, later.
* A row of a journal that may be old is compared with the stored one first, as every other is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aggregator.core import folds
from aggregator.core.settlement import Failure, RowFate, Tally, settle
from aggregator.core.taken import CHUNK, Base, Taken
from aggregator.flusher.asking import asking
from coodie.exceptions import CoodieError, RowRejected
from coodie.plans import exact

if TYPE_CHECKING:
    from aggregator.config import Options
    from aggregator.core.buffer import Buffer
    from aggregator.core.held import Held
    from aggregator.flusher.bases import Bases
    from coodie.statement import Statement

log = logging.getLogger("aggregator")

ROWS = 128
"""Rows whose folds are sent between two looks at the clock."""

SENDERS = 16
"""Folds sent at once."""


class Folds:
    """Finish the folds that a flush finds begun in one table."""

    def __init__(
        self,
        buffer: Buffer,
        driver: Any,
        options: Options,
        bases: Bases,
        now_us: Callable[[], int],
        is_late: Callable[[], bool],
    ) -> None:
        self._buffer = buffer
        self._driver = driver
        self._options = options
        self._bases = bases
        self._now_us = now_us
        self._is_late = is_late

    def finish(self, held: Held, tally: Tally) -> None:
        """
        Send what is marked, as far as time allows.

        Raises:
            CoodieError: why some of it was not applied; those rows stay marked. A refused row is logged, not raised.
            JournalError: the journal cannot be synced; nothing more was sent.
        """
        if not held.totals.folds:
            return
        self._compare(held)
        for start in range(0, len(held.totals.keys), CHUNK):
            refused = 0
            while not self._is_late() and (found := self._take(held, start, refused + ROWS)) is not None:
                refused = self._send(held, *found, tally)
                if refused == len(found[0]):
                    break

    def _compare(self, held: Held) -> None:
        with self._buffer.lock:
            marked = [(held.totals.mapped[key], key) for key in held.totals.folds]
            doubtful = [(slot, key) for slot, key in marked if held.totals.bases[slot] == Base.CHECK]
        if doubtful:
            self._bases.read_rows(held, doubtful)

    def _take(self, held: Held, start: int, most: int) -> tuple[Taken, list[Statement]] | None:
        """Put marked rows in flight; return them and the statement of each."""
        with self._buffer.lock:
            stamp = held.ledger.stamp(self._now_us())
            taken = None if held.is_halted else folds.take(held.totals, start, most)
            if taken is None:
                return None
            taken.timestamp = stamp
            for name, units in taken.sums().items():
                held.units[name].in_flight += units
            return taken, [self._statement(held, taken, position) for position in range(len(taken))]

    def _statement(self, held: Held, taken: Taken, position: int) -> Statement:
        key = taken.keys[position]
        values = key if len(held.table.primary_key) > 1 else (key,)
        totals = {name: copy[taken.offsets[position]] for name, copy in taken.copies.items()}
        fold = held.totals.folds[key]
        statement = exact.fold_row(
            held.table, values, held.writer or "", totals, taken.timestamp, fold.writer, fold.timestamp
        )
        return replace(statement, consistency=self._options.consistency)

    def _send(self, held: Held, taken: Taken, statements: list[Statement], tally: Tally) -> int:
        """Send the folds of rows, settle them, and return how many were refused for what they are."""
        failed = set(range(len(taken)))
        errors = []
        try:
            for position, error in enumerate(self._answers(statements)):
                if error is None:
                    failed.discard(position)
                else:
                    errors.append(error)
        finally:
            failures = [Failure(position, RowFate.NOT_APPLIED) for position in sorted(failed)]
            applied = [taken.start + offset for at, offset in enumerate(taken.offsets) if at not in failed]
            with self._buffer.lock:
                settle(held, taken, failures, self._options.on_unknown, datetime.now(UTC), tally)
                folds.end(held.totals, applied)
        tally.statements += len(taken)
        refused = [error for error in errors if isinstance(error, RowRejected)]
        for error in errors:
            if not isinstance(error, RowRejected):
                raise error
            log.error("%s: a row of a retired writer cannot be folded, it stays as it is: %s", held.name, error)
        return len(refused)

    def _answers(self, statements: list[Statement]) -> Iterator[CoodieError | None]:
        """Send statements, several at once where threads can be had (not while the interpreter ends)."""
        if self._driver.needs_keyspace and len(statements) > 1:
            try:
                with ThreadPoolExecutor(SENDERS, thread_name_prefix="aggregator-folder") as pool:
                    return iter(list(pool.map(self._answer, statements)))
            except RuntimeError as error:
                log.debug("folds are sent one by one: %s", error)
        return map(self._answer, statements)

    def _answer(self, statement: Statement) -> CoodieError | None:
        try:
            asking(self._driver)(statement)
        except CoodieError as error:
            return error
        return None
