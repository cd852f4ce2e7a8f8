"""
One flush: which tables, over which connections, until when, and what came of it.

Rules that live here: the engine sleeps nowhere and starts no thread; it is called by one thread at a time. Time and
chance are handed in. A table or connection that failed waits for its backoff, unless the flush was asked for by name.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aggregator.core.hot import HotRows
from aggregator.core.policy import Backoff
from aggregator.core.records import FlushResult
from aggregator.core.settlement import MOST_ERRORS, Tally
from aggregator.delivery.exact import ExactDelivery, check_consistency
from aggregator.delivery.native import NativeDelivery
from aggregator.exceptions import JournalError
from aggregator.flusher.server_clock import ServerClock
from aggregator.flusher.share import Context, Share
from coodie.connections import driver_of
from coodie.exceptions import CoodieError

if TYPE_CHECKING:
    from aggregator.config import Options
    from aggregator.core.buffer import Buffer
    from aggregator.core.held import Held

log = logging.getLogger("aggregator")

ANSWER_S = 5.0
"""How long an answer may take where the driver does not say (SQLite: its busy timeout)."""

WINDOW_S = 150.0
"""Half of the time for which ``top()`` remembers a row."""


@dataclass(slots=True)
class Waiting:
    """Why and until when a table or a connection is not tried."""

    backoff: Backoff = field(default_factory=Backoff)
    until: float = 0.0
    reason: str = ""

    def fail(self, now: float, chance: float, reason: str) -> None:
        """Wait longer than last time."""
        self.until = now + self.backoff.fail(chance)
        self.reason = reason


class Engine:
    """Flush a buffer. Counts what the statistics show."""

    def __init__(
        self,
        buffer: Buffer,
        options: Options,
        clock: Callable[[], float],
        now_us: Callable[[], int],
        chance: Callable[[], float],
    ) -> None:
        self.buffer = buffer
        self.options = options
        self.hot = HotRows()
        self.statements = 0
        self.flushes = 0
        self.flush_errors = 0
        self.last_error: str | None = None
        self.raised: list[Exception] = []  # by the last flush, ten at the most
        self.last_flush_clock: float | None = None
        self.clean_at = clock()  # when the buffer was last seen with nothing pending
        self.tables: dict[int, Waiting] = {}  # suspended ones, by id of the held table
        self.connections: dict[str, Waiting] = {}
        self.after: Callable[[], None] = lambda: None  # what a flush ends with; may raise JournalError
        self._deliveries: dict[int, NativeDelivery | ExactDelivery] = {}
        self._context = Context(buffer, options, self.hot, self.delivery, clock, now_us)
        self._server_clocks: dict[str, ServerClock] = {}
        self._clock = clock
        self._chance = chance
        self._window_until = clock() + WINDOW_S

    def flush(self, *, asked: bool, timeout: float) -> FlushResult:
        """
        Write what is pending now and return what came of it; ``asked`` tries also what is waiting for its backoff.

        Sending stops ``timeout`` seconds from now less the time an answer may take, so that what is in flight can
        still answer. Raises nothing for a database that fails.
        """
        began = self._clock()
        self.raised = []
        total = Tally()
        while True:
            late = self._one_pass(total, asked, began, timeout)
            if not late or self._clock() >= began + timeout / 2:
                break
        try:
            self.after()
        except JournalError as error:
            self.last_error = f"JournalError: {error}"
            total.note(self.last_error)
            self.raised = [*self.raised, error][:MOST_ERRORS]
        return self._result(total, began)

    def _one_pass(self, total: Tally, asked: bool, began: float, timeout: float) -> bool:
        """Flush every table once; return whether rows that had no room before can be placed for another pass."""
        with self.buffer.opened():
            self.buffer.new_rows = 0
            tables = list(self.buffer.tables.values())
        written = total.written
        ready: dict[str, list[Held]] = {}
        for held in tables:
            if self._may_try(held, asked):
                ready.setdefault(held.connection, []).append(held)
        for done, (connection, some) in enumerate(ready.items()):
            # A share each of the time that is left: a database that hangs must not starve the next one.
            now = self._clock()
            share = max(began + timeout - now, 0.0) / (len(ready) - done)
            self._flush_connection(connection, some, total, now, share)
        return total.written != written and any(held.late for held in tables)

    def _may_try(self, held: Held, asked: bool) -> bool:
        if asked:
            return True
        now = self._clock()
        waits = (self.tables.get(id(held)), self.connections.get(held.connection))
        return all(wait is None or wait.until <= now for wait in waits)

    def _flush_connection(
        self, connection: str, tables: list[Held], total: Tally, began: float, timeout: float
    ) -> None:
        driver: Any = None
        failure: CoodieError | None = None
        try:
            driver = driver_of(connection)
        except CoodieError as error:
            failure = error
        answer = getattr(driver, "request_timeout", None) or ANSWER_S
        send_until = began + timeout - min(answer, timeout / 2)
        share = Share(self._context, connection, driver, send_until, self._server_clock(connection))
        if failure is None:
            share.run(tables)
        else:
            share.fail(failure)
        self._remember(connection, tables, share)
        total.add(share.tally)

    def _server_clock(self, connection: str) -> ServerClock:
        found = self._server_clocks.get(connection)
        if found is None:
            found = self._server_clocks[connection] = ServerClock(self._clock, self._context.now_us)
        return found

    def delivery(self, held: Held) -> Any:
        """Return how a table is written; made anew when the table has gained columns, or has another writer."""
        found = self._deliveries.get(id(held))
        if found is None or found.table is not held.table or found.writer != held.writer:
            consistency = self.options.consistency
            if held.is_exact:
                check_consistency(held.table, consistency)
                assert held.writer, f"{held.name} has no writer: nothing may be written under no name"
                found = ExactDelivery(held.table, consistency, held.writer)
            else:
                found = NativeDelivery(held.table, consistency)
            self._deliveries[id(held)] = found
        return found

    def _remember(self, connection: str, tables: list[Held], share: Share) -> None:
        """Update what waits, and for how long."""
        now = self._clock()
        for held in tables:
            reason = share.suspended.get(id(held))
            if reason is None:
                self.tables.pop(id(held), None)
            else:
                self.tables.setdefault(id(held), Waiting()).fail(now, self._chance(), reason)
            held.error = reason
        if share.tally.written or not share.away:
            self.connections.pop(connection, None)
        else:
            reason = share.tally.errors[-1]
            self.connections.setdefault(connection, Waiting()).fail(now, self._chance(), reason)
        self.raised = (self.raised + share.raised)[:MOST_ERRORS]
        if share.tally.errors:
            self.last_error = share.tally.errors[-1]
            log.warning(
                "flush over connection %r: %d statement(s) failed, first: %s",
                connection,
                share.tally.flush_errors,
                share.tally.errors[0],
            )

    def _result(self, tally: Tally, began: float) -> FlushResult:
        now = self._clock()
        with self.buffer.opened():
            accounts = [held.account(name) for held in self.buffer.tables.values() for name in held.units]
            if now >= self._window_until:
                self.hot.turn()
                self._window_until = now + WINDOW_S
        remaining = sum(account.pending + account.in_flight for account in accounts)
        self.statements += tally.statements
        self.flush_errors += tally.flush_errors
        if tally.statements:
            self.flushes += 1
            self.last_flush_clock = now
        if not (tally.requeued or tally.errors or self.tables or self.connections):  # what waits is pending still
            self.clean_at = began
        return FlushResult(
            applied=tally.applied,
            requeued=tally.requeued,
            unknown=tally.unknown,
            dropped=tally.dropped,
            remaining=remaining,
            rows=tally.rows,
            statements=tally.statements,
            elapsed=now - began,
            errors=list(tally.errors),
        )

    def earliest_retry(self) -> float | None:
        """Return the clock's time of the next try of something that waits, if anything does."""
        waits = [wait.until for wait in (*self.tables.values(), *self.connections.values())]
        return min(waits) if waits else None
