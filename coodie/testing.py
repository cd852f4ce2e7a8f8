"""
Drivers for tests: one that follows a script, one that makes a real driver fail on purpose.

Rules that live here: public and documented, for users' tests too. ``FaultyDriver`` writes to a real store (the embedded
one will do), so a test can compare what was told with what is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any

from coodie.drivers.protocol import Driver, Settle, Work
from coodie.exceptions import MaybeApplied, NotApplied, RowRejected, TableRejected
from coodie.statement import APPLIED, Fate, Outcome, Rows, Statement


class Fault(Enum):
    """What becomes of one write."""

    NONE = "applied, and told so"
    NOT_SENT = "not written, and told so"
    REPLY_LOST = "written, outcome unknown"
    TIMED_OUT = "not written, outcome unknown"
    ROW_REFUSED = "not written, the row was refused"
    TABLE_REFUSED = "not written, the table was refused"


class ScriptedDriver:
    """
    Answer each statement with the next scripted rows, and remember what was sent.

    ``sent`` holds (CQL text, values) in order. Serves both faces; not meant for several threads at once.
    """

    needs_keyspace = True

    def __init__(self, answers: Iterable[list[dict[str, Any]]] = (), keyspace: str | None = "ks") -> None:
        self._default_keyspace = keyspace
        self._answers = iter(answers)
        self.sent: list[tuple[str, tuple[Any, ...]]] = []

    def submit(self, statement: Statement) -> Rows:
        """Remember a statement and return the next answer, no rows when the script is over."""
        self.sent.append((statement.cql, statement.values))
        return Rows(next(self._answers, []))

    async def submit_async(self, statement: Statement) -> Rows:
        """Do as :meth:`submit`."""
        return self.submit(statement)

    def execute_many(self, work: Work, limit: int, settle: Settle) -> None:
        """Remember each statement; all are applied."""
        for index, (template, values) in enumerate(work):
            self.submit(template.with_values(values))
            settle(index, APPLIED)

    def close(self) -> None:
        """Do nothing."""

    async def close_async(self) -> None:
        """Do nothing."""


class FaultyDriver:
    """
    Wrap a driver and let ``choose`` say what becomes of each write; reads pass through.

    Args:
        driver: the real one.
        choose: called once for each write of a fan-out or a single counter update; returns a ``Fault``.
    """

    def __init__(self, driver: Driver, choose: Callable[[Statement], Fault]) -> None:
        self.driver = driver
        self.choose = choose
        self.request_timeout: float | None = getattr(driver, "request_timeout", None)

    @property
    def _default_keyspace(self) -> str | None:
        return self.driver._default_keyspace

    @property
    def needs_keyspace(self) -> bool:
        """Return what the wrapped driver says."""
        return self.driver.needs_keyspace

    def submit(self, statement: Statement) -> Rows:
        """Send a statement; a counter update meets the next fault, raised as the error it would be."""
        if type(statement.shape).__name__ != "CounterUpdate":
            return self.driver.submit(statement)
        outcome = self._meet(statement)
        if outcome.error is not None:
            raise outcome.error
        return Rows()

    async def submit_async(self, statement: Statement) -> Rows:
        """Do as :meth:`submit`, on the wrapped driver's sync face."""
        return self.submit(statement)

    def execute_many(self, work: Work, limit: int, settle: Settle) -> None:
        """Send each statement by itself, letting each meet the next fault."""
        for index, (template, values) in enumerate(work):
            settle(index, self._meet(template.with_values(values)))

    def _meet(self, statement: Statement) -> Outcome:
        fault = self.choose(statement)
        if fault in (Fault.NONE, Fault.REPLY_LOST):
            self.driver.submit(statement)
        return OUTCOMES[fault]

    def close(self) -> None:
        """Close the wrapped driver."""
        self.driver.close()

    async def close_async(self) -> None:
        """Close the wrapped driver."""
        await self.driver.close_async()


OUTCOMES = {
    Fault.NONE: APPLIED,
    Fault.NOT_SENT: Outcome(Fate.NOT_APPLIED, NotApplied("scripted: not sent")),
    Fault.REPLY_LOST: Outcome(Fate.UNKNOWN, MaybeApplied("scripted: reply lost")),
    Fault.TIMED_OUT: Outcome(Fate.UNKNOWN, MaybeApplied("scripted: timed out")),
    Fault.ROW_REFUSED: Outcome(Fate.REJECTED, RowRejected("scripted: row refused")),
    Fault.TABLE_REFUSED: Outcome(Fate.REJECTED, TableRejected("scripted: table refused")),
}
