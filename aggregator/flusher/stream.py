"""
One connection's share of a flush: a lazy stream of statements out, fates in.

Rules that live here:

* Chunks are taken one after the other as the driver asks for more, so a flush holds a few chunks, never all rows.
* Each row taken is told exactly one fate. What was taken and never sent stays pending; what the driver took and never
  told (a bug in it) is unknown.
* After as many failures in a row as may be in flight, the rest stays pending: the database is away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aggregator.core.settlement import Failure, RowFate, Tally, settle
from aggregator.core.totals import CHUNK, Taken
from coodie.exceptions import TableRejected
from coodie.statement import Fate, Outcome, Statement

if TYPE_CHECKING:
    from aggregator.core.buffer import Buffer
    from aggregator.core.held import Held
    from aggregator.core.hot import HotRows
    from aggregator.delivery.native import NativeDelivery

FATES = {
    Fate.NOT_APPLIED: RowFate.NOT_APPLIED,
    Fate.UNKNOWN: RowFate.UNKNOWN,
    Fate.REJECTED: RowFate.REJECTED,
}

SILENT = "the driver told no outcome"
MOST_ERRORS = 10


class Stream:
    """Flush some tables of one connection once. Made for one flush, run by one thread."""

    def __init__(
        self,
        buffer: Buffer,
        tables: list[tuple[Held, NativeDelivery]],
        hot: HotRows,
        on_unknown: str,
        failures_in_a_row: int,
        is_late: Callable[[], bool],
    ) -> None:
        self.tally = Tally()
        self.suspended: dict[int, str] = {}  # id of a held table -> why the database refused it
        self.raised: list[Exception] = []
        self.away = False  # a failure that is the connection's, not a row's or a table's
        self.broken = False
        self._buffer = buffer
        self._tables = tables
        self._hot = hot
        self._on_unknown = on_unknown
        self._most_failures = failures_in_a_row
        self._is_late = is_late
        self._failures = 0  # in a row
        self._owners: list[tuple[Held, Taken]] = []  # by index of the statement

    def work(self) -> Iterator[tuple[Statement, tuple[Any, ...]]]:
        """Yield what is to be written, taking it chunk by chunk."""
        for held, delivery in self._tables:
            for start in range(0, len(held.totals.keys), CHUNK):
                if self._must_stop(held):
                    break
                taken = self._take(held, start)
                if taken is not None:
                    yield from self._chunk(held, taken, delivery)

    def _must_stop(self, held: Held) -> bool:
        return self.broken or id(held) in self.suspended or self._is_late()

    def _take(self, held: Held, start: int) -> Taken | None:
        with self._buffer.lock:
            taken = held.take(start)
        if taken is not None:
            taken.first_index = len(self._owners)
        return taken

    def _chunk(self, held: Held, taken: Taken, delivery: NativeDelivery) -> Iterator[tuple[Statement, Any]]:
        owner = (held, taken)
        for position, item in enumerate(delivery.work(taken)):
            # Looked at now and then: a clock call a row would cost as much as the row.
            if (position % 64 == 0 or self._failures) and self._must_stop(held):
                break
            self._owners.append(owner)
            taken.sent = position + 1
            yield item

    def settle(self, index: int, outcome: Outcome) -> None:
        """Take the fate of a statement; never called by two threads at once."""
        held, taken = self._owners[index]
        position = index - taken.first_index
        if outcome.fate is Fate.APPLIED:
            self._failures = 0
        else:
            self._fail(held, taken, position, outcome)
        self.tally.statements += 1
        taken.told[position] = 1
        taken.left -= 1
        if not taken.left:
            self._finish(held, taken)

    def _fail(self, held: Held, taken: Taken, position: int, outcome: Outcome) -> None:
        reason = f"{type(outcome.error).__name__}: {outcome.error}"
        self.note(outcome.error, reason)
        fate = FATES[outcome.fate]
        if isinstance(outcome.error, TableRejected):
            self.suspended[id(held)] = reason
            fate = RowFate.NOT_APPLIED
        elif fate is not RowFate.REJECTED:
            self._failures += 1
            self.away = True
            self.broken = self.broken or self._failures >= self._most_failures
        taken.failures.append(Failure(position, fate, reason))

    def note(self, error: Exception | None, reason: str) -> None:
        """Remember a failure, for the result and for the ``on_error`` callback."""
        self.tally.note(reason)
        if error is not None and len(self.raised) < MOST_ERRORS:
            self.raised.append(error)

    def _finish(self, held: Held, taken: Taken) -> None:
        with self._buffer.lock:
            settle(held, taken, taken.failures, self._on_unknown, datetime.now(UTC), self.tally)
            self._hot.feed(((id(held), key), max(map(abs, gains))) for _offset, key, gains in taken.rows)

    def close(self) -> None:
        """Give every row that was taken and not told a fate the one it has; call it once the driver has returned."""
        for held, _delivery in self._tables:
            for taken in list(held.totals.in_flight.values()):
                for position, told in enumerate(taken.told):
                    if position >= taken.sent:
                        taken.failures.append(Failure(position, RowFate.NOT_APPLIED))
                    elif not told:
                        # It was handed to the driver: it may have been sent, and must not be sent again blindly.
                        self.note(None, SILENT)
                        taken.failures.append(Failure(position, RowFate.UNKNOWN, SILENT))
                self._finish(held, taken)
