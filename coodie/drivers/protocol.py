"""
What coodie asks of a driver.

Rules that live here:

* Each method states its threading rule; a driver keeps nothing of one call for the next one to read.
* Foreign errors are classified at the driver's border (``raise ... from``): ``NotApplied``, ``MaybeApplied``,
  ``RowRejected``, ``TableRejected`` of ``coodie.exceptions``; a mistake in the call is an ``InvalidQueryError``.
* A driver that writes in bulk may say how many items it takes before it sends the first (``rows_at_once``, an int).
* A driver that prepares statements may offer ``prepare(statements)`` and ``prepare_async``, which raise nothing.
* A driver never re-sends a statement that is not ``idempotent``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, TypeAlias

from coodie.statement import Outcome, Rows, Statement

Work: TypeAlias = Iterable[tuple[Statement, tuple[Any, ...]]]
"""A stream of (template, values): templates of one shape are one object, so a driver may compare them with ``is``."""


class Settle(Protocol):
    """Is told the fate of each item taken from the work exactly once, index counting from 0."""

    def __call__(self, index: int, outcome: Outcome, count: int = 1) -> None:
        """Take the fate of ``count`` items in a row, the first at ``index``; a driver may leave ``count`` out."""


class Driver(Protocol):
    """A connection to one database, serving both faces."""

    @property
    def _default_keyspace(self) -> str | None: ...

    @property
    def needs_keyspace(self) -> bool:
        """Whether tables must be qualified by a keyspace (False on SQLite)."""

    def submit(self, statement: Statement) -> Rows:
        """Send one statement and return its rows. From any thread; blocks it."""

    async def submit_async(self, statement: Statement) -> Rows:
        """Send one statement and return its rows. From any event loop; never blocks it."""

    def execute_many(self, work: Work, limit: int, settle: Settle) -> None:
        """
        Send a stream of statements, at most ``limit`` in flight, and tell the fate of each; return when all are told.

        The work is consumed lazily, by one thread at a time, which may be another than the caller's; ``settle`` may be
        called from other threads but never by two at once. Raises nothing for a statement that fails: that is its
        outcome. When the iterator itself raises, no more is taken, what is in flight is settled, and the error raised.
        From a thread that runs no event loop.
        """

    def close(self) -> None:
        """Release the connection. From any thread; idempotent."""

    async def close_async(self) -> None:
        """Release the connection without blocking the loop; idempotent."""
