"""
One connection's share of a flush: a lazy stream of statements out, fates in.

Rules that live here:

* Chunks are taken one after the other as the driver asks for more, so a flush holds a few chunks, never all rows.
* Each row taken is told exactly one fate. What was taken and never sent stays pending; what the driver took and never
  told (a bug in it) is unknown.
* After as many failures in a row as may be in flight, the rest stays pending: the database is away.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain, islice
from operator import length_hint
from typing import TYPE_CHECKING, Any

from aggregator.core.settlement import MOST_ERRORS, Failure, RowFate, Tally, settle
from aggregator.core.taken import CHUNK, Taken
from aggregator.core.totals import unsend
from aggregator.exceptions import JournalError
from coodie.exceptions import TableRejected
from coodie.statement import APPLIED, Fate, Outcome, Statement

if TYPE_CHECKING:
    from aggregator.core.buffer import Buffer
    from aggregator.core.held import Held
    from aggregator.core.hot import HotRows
    from aggregator.delivery.exact import ExactDelivery
    from aggregator.delivery.native import NativeDelivery

FATES = {
    Fate.NOT_APPLIED: RowFate.NOT_APPLIED,
    Fate.UNKNOWN: RowFate.UNKNOWN,
    Fate.REJECTED: RowFate.REJECTED,
}

SILENT = "the driver told no outcome"


@dataclass(slots=True, eq=False)
class Flight:
    """A chunk on its way: what was taken, how much of it the driver has, and what it told."""

    held: Held
    taken: Taken
    first: int  # the index of its first statement
    end: int  # the index after its last
    left: int  # rows not told a fate
    told: bytearray  # by position: 1 once its fate is known
    failures: list[Failure] = field(default_factory=list)
    handed: int = 0
    handing: Iterator[Any] = field(default_factory=lambda: iter(()))

    def sent(self) -> int:
        """Return how many rows the driver has asked for."""
        return self.handed - length_hint(self.handing)


class Stream:
    """
    Flush some tables of one connection once. Made for one flush, run by one thread.

    ``mark``: the number under which the database notes what it applied; ``most``: rows to send, of one table.
    ``rows_at_once`` rows are handed to the driver between two looks at whether to go on: not more than it sends before
    the first answers, or a database that hangs would get several rounds of them.
    """

    def __init__(
        self,
        buffer: Buffer,
        tables: list[Held],
        delivery: Callable[[Held], NativeDelivery | ExactDelivery],
        hot: HotRows,
        on_unknown: str,
        failures_in_a_row: int,
        rows_at_once: int,
        is_late: Callable[[], bool],
        now_us: Callable[[], int],
        mark: int | None = None,
        most: int | None = None,
    ) -> None:
        self.tally = Tally()
        self.suspended: dict[int, str] = {}  # id of a held table -> why the database refused it
        self.raised: list[Exception] = []
        self.away = False  # a failure that is the connection's, not a row's or a table's
        self.broken = False
        self._buffer = buffer
        self._tables = tables
        self._delivery = delivery
        self._hot = hot
        self._on_unknown = on_unknown
        self._most_failures = failures_in_a_row
        self._rows_at_once = rows_at_once
        self._is_late = is_late
        self._now_us = now_us
        self._mark = mark
        self._most = most
        self._failures = 0  # in a row
        self._last: Flight | None = None  # the flight settled last
        self._count = 0  # statements the driver has asked for, up to the chunk it is in
        self._firsts: list[int] = []  # of each flight, the index of its first statement
        self._flights: list[Flight | None] = []  # None once it is settled: a large flush must not hold all its rows

    def work(self) -> Iterator[tuple[Statement, tuple[Any, ...]]]:
        """Return an iterator over what is to be written, taken chunk by chunk as it is asked for."""
        return chain.from_iterable(self._slices())

    def _slices(self) -> Iterator[Iterator[tuple[Statement, tuple[Any, ...]]]]:
        # Rows leave by the slice, through iterators made in C: what is done for each row here is done for all of them.
        for held in self._tables:
            for start in range(0, len(held.totals.keys), CHUNK):
                if self._must_stop(held):
                    break
                if self._most is not None and self._count >= self._most:
                    return
                # The delivery as it is now: a second model may have given the table a column since the flush began.
                delivery = self._delivery(held)
                flight = self._take(held, start, delivery)
                if flight is not None:
                    yield from self._chunk(flight, delivery)

    def _must_stop(self, held: Held) -> bool:
        return self.broken or held.is_halted or id(held) in self.suspended or self._is_late()

    def _take(self, held: Held, start: int, delivery: NativeDelivery | ExactDelivery) -> Flight | None:
        mark = None if self._mark is None else (self._mark, self._count)
        try:
            with self._buffer.lock:
                taken = None if held.is_halted else held.take(start, self._now_us(), self._most, mark)
        except JournalError as error:  # what is about to be sent must be known first: nothing is
            self.broken = True
            self.note(error, f"JournalError: {error}")
            return None
        if taken is None:
            return None
        held.totals.in_flight[start] = taken = delivery.arranged(taken)
        flight = Flight(held, taken, self._count, self._count + len(taken), len(taken), bytearray(len(taken)))
        self._firsts.append(self._count)
        self._flights.append(flight)
        return flight

    def _chunk(
        self, flight: Flight, delivery: NativeDelivery | ExactDelivery
    ) -> Iterator[Iterator[tuple[Statement, Any]]]:
        work = delivery.work(flight.taken)
        while not self._must_stop(flight.held) and (
            items := list(islice(work, 1 if self._failures else self._rows_at_once))
        ):
            flight.handing = iter(items)
            flight.handed += len(items)
            yield flight.handing
        # Set before the next flight begins where this one was cut short: an index belongs to one flight. So does a mark
        # in the database: the rows that were not sent must not be taken for those of the next flight after a death.
        sent = flight.sent()
        flight.end = self._count = flight.first + sent
        if sent < len(flight.taken):
            with self._buffer.lock:
                unsend(flight.held.totals, flight.taken, flight.taken.offsets[sent:])

    def settle(self, index: int, outcome: Outcome, count: int = 1) -> None:
        """Take the fate of ``count`` statements in a row; never called by two threads at once."""
        last = self._last
        if count == 1 and outcome is APPLIED and last is not None and last.first <= index < last.end:
            self._applied_one(last, index)
            return
        while count:
            at = bisect_right(self._firsts, index) - 1
            some = min(count, self._firsts[at + 1] - index) if at + 1 < len(self._firsts) else count
            self._settle(at, index - self._firsts[at], some, outcome)
            index, count = index + some, count - some

    def _applied_one(self, flight: Flight, index: int) -> None:
        """Take the commonest fate, of a statement of the flight settled last, at the least cost."""
        self._failures = flight.held.unknown_in_a_row = 0
        self.tally.statements += 1
        flight.told[index - flight.first] = 1
        flight.left -= 1
        if not flight.left:
            self._finish(bisect_right(self._firsts, index) - 1, flight)

    def _settle(self, at: int, position: int, count: int, outcome: Outcome) -> None:
        flight = self._flights[at]
        if flight is None:
            raise AssertionError("the driver told the fate of a statement twice")
        if outcome.fate is Fate.APPLIED:
            self._failures = flight.held.unknown_in_a_row = 0
        else:
            for each in range(position, position + count):
                self._fail(flight, each, outcome)
        self.tally.statements += count
        flight.told[position : position + count] = b"\1" * count
        flight.left -= count
        self._last = flight
        if not flight.left:
            self._finish(at, flight)

    def _fail(self, flight: Flight, position: int, outcome: Outcome) -> None:
        reason = f"{type(outcome.error).__name__}: {outcome.error}"
        self.note(outcome.error, reason)
        fate = FATES[outcome.fate]
        if isinstance(outcome.error, TableRejected):
            self.suspended[id(flight.held)] = reason
            fate = RowFate.NOT_APPLIED
        elif fate is not RowFate.REJECTED:
            flight.held.unknown_in_a_row += fate is RowFate.UNKNOWN
            self._failures += 1
            self.away = True
            self.broken = self.broken or self._failures >= self._most_failures
        flight.failures.append(Failure(position, fate, reason))

    def note(self, error: Exception | None, reason: str) -> None:
        """Remember a failure, for the result and for the ``on_error`` callback."""
        self.tally.note(reason)
        if error is not None and len(self.raised) < MOST_ERRORS:
            self.raised.append(error)

    def _finish(self, at: int, flight: Flight) -> None:
        held, taken = flight.held, flight.taken
        self._flights[at] = self._last = None
        with self._buffer.lock:
            settle(held, taken, flight.failures, self._on_unknown, datetime.now(UTC), self.tally)
            self._hot.feed_chunk(id(held), taken.keys, list(taken.gains.values()))

    def close(self) -> None:
        """Give every row that was taken and not told a fate the one it has; call it once the driver has returned."""
        for at, flight in enumerate(self._flights):
            if flight is not None:
                sent = flight.sent()
                for position in range(sent, len(flight.taken)):
                    flight.failures.append(Failure(position, RowFate.NOT_APPLIED))
                for position, told in enumerate(flight.told[:sent]):
                    if not told:
                        # It was handed to the driver: it may have been sent, and must not be sent again blindly.
                        self.note(None, SILENT)
                        flight.failures.append(Failure(position, RowFate.UNKNOWN, SILENT))
                self._finish(at, flight)
