"""
One connection's share of a flush: what must be known before rows are sent, then the stream of them.

Rules that live here:

* What must be known is asked here, on the flusher's thread, never while the driver takes work: it may do so on a thread
  on which its own answers arrive.
* A table whose last outcomes were unknown, many in a row, is probed with one row: what a database swallows without an
  answer should be one row, not all of them.
* What a dead process had in flight is settled first, by the mark that the embedded store keeps of it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aggregator.core.settlement import DIED, Failure, RowFate, Tally, settle
from aggregator.exceptions import JournalError
from aggregator.flusher.asking import Asking
from aggregator.flusher.bases import Bases
from aggregator.flusher.folds import Folds
from aggregator.flusher.server_clock import ServerClock
from aggregator.flusher.stream import Stream
from coodie.exceptions import ConfigurationError, CoodieError, TableRejected
from coodie.plans import kinds
from coodie.run import run
from coodie.statement import Plan

if TYPE_CHECKING:
    from aggregator.config import Options
    from aggregator.core.buffer import Buffer
    from aggregator.core.held import Held
    from aggregator.core.hot import HotRows

log = logging.getLogger("aggregator")

MANY_UNKNOWN = 8
"""Unknown outcomes in a row after which a table is probed with one row."""


@dataclass(slots=True)
class Context:
    """What every share of an engine's flushes works with."""

    buffer: Buffer
    options: Options
    hot: HotRows
    delivery: Callable[[Held], Any]
    clock: Callable[[], float]
    now_us: Callable[[], int]
    has_old_marks: bool = True  # the embedded store may hold notes for the processes before this one


class Share:
    """Flush some tables of one connection once."""

    def __init__(self, context: Context, connection: str, driver: Any, send_until: float, clock: ServerClock) -> None:
        self.tally = Tally()
        self.suspended: dict[int, str] = {}
        self.raised: list[Exception] = []
        self.away = False
        self._context = context
        self._connection = connection
        self._driver = driver
        self._send_until = send_until
        self._server_clock = clock

    def run(self, tables: list[Held]) -> None:
        """Write what the tables have pending."""
        ready = [held for held in tables if not held.is_halted and self._is_ready(held)]
        if ready and not self.away and not self._is_late():
            self._write(ready)

    def fail(self, error: Exception) -> None:
        """Note a failure that is the connection's."""
        self.away = True
        self._note(error)

    def _note(self, error: Exception) -> None:
        self.tally.note(f"{type(error).__name__}: {error}")
        self.raised.append(error)

    def _is_late(self) -> bool:
        return self._context.clock() >= self._send_until

    # --- before anything is sent ------------------------------------------------------------------------------

    def _is_ready(self, held: Held) -> bool:
        try:
            self._check_kind(held)
            if held.resumed:
                self._resume(held)
            if held.is_exact:
                self._server_clock.check(self._driver, held.ledger.last_stamp())
                self._finish_rows(held)
        except (TableRejected, ConfigurationError) as error:
            self.suspended[id(held)] = f"{type(error).__name__}: {error}"
            self._note(error)
            return False
        except JournalError as error:
            self._note(error)
            return False
        except Exception as error:
            if not isinstance(error, CoodieError):
                log.exception("%s could not be made ready for its flush; nothing of it was sent", held.name)
            self.fail(error)
            return False
        return held.unknown_in_a_row < MANY_UNKNOWN or self._probe(held)

    def _finish_rows(self, held: Held) -> None:
        """Read what must be known of exact rows, and finish what a fold has begun with some of them."""
        context = self._context
        bases = Bases(context.buffer, self._driver, context.options, self._is_late)
        bases.read(held)
        Folds(context.buffer, self._driver, context.options, bases, context.now_us, self._is_late).finish(
            held, self.tally
        )

    def _check_kind(self, held: Held) -> None:
        """Refuse to write totals where the database has counters, or the other way round; asked once for a table."""
        known = getattr(self._driver, "_known_tables", None)
        if isinstance(known, dict):
            asking: Any = Asking(self._driver)
            run(kinds.checked(held.table, known, _nothing()), asking)

    def _resume(self, held: Held) -> None:
        """Settle what was in flight when a process died: the mark tells what was applied."""
        marks = getattr(self._driver, "marks", False)
        while held.resumed:
            taken, mark, indexes = held.resumed[-1]
            # By its own number: later flushes of this writer, of other tables, may have been noted since.
            found = self._driver.marked(held.ledger.mark_writer, mark) if marks else None
            runs = found[1] if found is not None else ()
            applied = {index for start, count in runs for index in range(start, start + count)}
            fate = RowFate.NOT_APPLIED if marks else RowFate.UNKNOWN
            failures = [Failure(position, fate, DIED) for position, index in enumerate(indexes) if index not in applied]
            with self._context.buffer.lock:
                settle(held, taken, failures, self._context.options.on_unknown, datetime.now(UTC), self.tally)
                held.resumed.pop()

    def _probe(self, held: Held) -> bool:
        """Send one row and return whether the table answers again."""
        if not held.totals.in_flight and not any(True for _ in held.totals.dirty_chunks()):
            return True
        before = held.unknown_in_a_row
        self._write([held], most=1)
        return held.unknown_in_a_row < before

    # --- sending ----------------------------------------------------------------------------------------------

    def _write(self, tables: list[Held], most: int | None = None) -> None:
        context, limit = self._context, self._context.options.flush_concurrency
        mark = self._mark(tables)
        arguments: dict[str, Any] = {} if mark is None else {"mark": mark}
        stream = Stream(
            context.buffer,
            tables,
            context.delivery,
            context.hot,
            context.options.on_unknown,
            max(limit, 16),
            max(limit, getattr(self._driver, "rows_at_once", 1)),
            self._is_late,
            context.now_us,
            None if mark is None else mark[1],
            most,
        )
        try:
            self._driver.execute_many(stream.work(), limit, stream.settle, **arguments)
        except Exception as error:
            if not isinstance(error, CoodieError):
                log.exception(
                    "a flush over connection %r failed in the driver; what it left untold is unknown", self._connection
                )
            self.fail(error)
        finally:
            stream.close()
        self._take_over(stream)

    def _mark(self, tables: list[Held]) -> tuple[str, int] | None:
        """Return under which name and number the embedded store notes what it applies; None: nobody would ask."""
        ledgers = [held.ledger for held in tables if held.ledger.keeps and not held.is_exact]
        if not ledgers or not getattr(self._driver, "marks", False):
            return None
        context = self._context
        mark = ledgers[0].mark_writer, ledgers[0].stamp(context.now_us())
        if context.has_old_marks and not any(held.resumed for held in context.buffer.tables.values()):
            with suppress(CoodieError, JournalError):  # they do no harm: the next flush removes them
                ledgers[0].intend()  # what they told must be settled for sure: nobody can ask them again
                self._driver.forget_marks(*mark)
                context.has_old_marks = False
        return mark

    def _take_over(self, stream: Stream) -> None:
        self.tally.add(stream.tally)
        self.suspended.update(stream.suspended)
        self.raised += stream.raised
        self.away = self.away or (stream.away and not stream.tally.written)


def _nothing() -> Plan:
    """Ask nothing."""
    yield from ()
