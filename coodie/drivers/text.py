"""
The text face of a driver: statements given as CQL text, as users and their test doubles know it.

Rules that live here: ``AbstractDriver`` is what a user's own driver offers at least; ``TextFace`` gives the same face
to our drivers, thinly over ``submit`` and ``submit_async`` with a ``Raw`` statement. ``_last_paging_state`` is kept for
users of this face alone: nothing of ours reads it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from coodie.drivers.waiting import in_thread
from coodie.statement import Raw, Rows, Statement


class AbstractDriver(ABC):
    """A driver that speaks text (``?`` placeholders, positional parameters): ``execute`` is all one has to write."""

    needs_row_validation = False
    _default_keyspace: str | None = None
    _last_paging_state: bytes | None = None

    @abstractmethod
    def execute(
        self,
        stmt: str,
        params: Sequence[Any],
        consistency: str | None = None,
        timeout: float | None = None,
        fetch_size: int | None = None,
        paging_state: bytes | None = None,
    ) -> list[dict[str, Any]]:
        """Run one statement and return its rows; with ``fetch_size`` one page of them. Blocks the thread."""

    async def execute_async(
        self,
        stmt: str,
        params: Sequence[Any],
        consistency: str | None = None,
        timeout: float | None = None,
        fetch_size: int | None = None,
        paging_state: bytes | None = None,
    ) -> list[dict[str, Any]]:
        """Run one statement without blocking the loop; by ``execute`` in a thread, with the options that are set."""
        options = {
            "consistency": consistency,
            "timeout": timeout,
            "fetch_size": fetch_size,
            "paging_state": paging_state,
        }
        given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
        return await in_thread(self.execute, stmt, params, **given)

    def execute_one(
        self, stmt: str, params: Sequence[Any], consistency: str | None = None, timeout: float | None = None
    ) -> Any:
        """Run one statement and return the first column of its first row, or None."""
        return _first_value(self.execute(stmt, params, consistency=consistency, timeout=timeout))

    async def execute_one_async(
        self, stmt: str, params: Sequence[Any], consistency: str | None = None, timeout: float | None = None
    ) -> Any:
        """Run one statement and return the first column of its first row, or None."""
        return _first_value(await self.execute_async(stmt, params, consistency=consistency, timeout=timeout))

    def close(self) -> None:  # noqa: B027 - a driver with nothing to release need not write it
        """Release the connection; idempotent."""

    async def close_async(self) -> None:
        """Release the connection without blocking the loop; idempotent."""
        await in_thread(self.close)


class TextFace(AbstractDriver):
    """The text face of a driver that has ``submit`` and ``submit_async``."""

    @abstractmethod
    def submit(self, statement: Statement) -> Rows:
        """Send one statement and return its rows."""

    @abstractmethod
    async def submit_async(self, statement: Statement) -> Rows:
        """Send one statement and return its rows."""

    def execute(
        self,
        stmt: str,
        params: Sequence[Any] = (),
        consistency: str | None = None,
        timeout: float | None = None,
        fetch_size: int | None = None,
        paging_state: bytes | None = None,
    ) -> list[dict[str, Any]]:
        """Run one statement and return its rows; with ``fetch_size`` one page, the next in ``_last_paging_state``."""
        return self._kept(self.submit(_raw(stmt, params, consistency, timeout, fetch_size, paging_state)))

    async def execute_async(
        self,
        stmt: str,
        params: Sequence[Any] = (),
        consistency: str | None = None,
        timeout: float | None = None,
        fetch_size: int | None = None,
        paging_state: bytes | None = None,
    ) -> list[dict[str, Any]]:
        """Run one statement and return its rows; with ``fetch_size`` one page, the next in ``_last_paging_state``."""
        return self._kept(await self.submit_async(_raw(stmt, params, consistency, timeout, fetch_size, paging_state)))

    def _kept(self, rows: Rows) -> list[dict[str, Any]]:
        """Leave the paging state where users of this face look for it, and return the rows."""
        self._last_paging_state = rows.paging_state
        return rows.items


def _raw(
    text: str,
    params: Sequence[Any] | None,
    consistency: str | None,
    timeout: float | None,
    fetch_size: int | None,
    paging_state: bytes | None,
) -> Statement:
    """Return the statement of a text and its parameters."""
    return Statement(
        Raw(text),
        tuple(params or ()),
        text_of,
        consistency=consistency,
        timeout=timeout,
        fetch_size=fetch_size,
        paging_state=paging_state,
    )


def text_of(shape: Any) -> str:
    """Return the text of a ``Raw`` shape: the rendering of statements made here."""
    text: str = shape.text
    return text


def _first_value(rows: list[dict[str, Any]]) -> Any:
    """Return the first column of the first row, or None."""
    return next(iter(rows[0].values()), None) if rows else None
