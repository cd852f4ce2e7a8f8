"""
LazyDriver: a driver that connects when it is first used.

Rules that live here: one lock guards the opening, which is done once; a failed opening is tried again by the next call;
every option is kept as it was given. Nothing here knows which driver will come out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from coodie.drivers import forks
from coodie.drivers.text import TextFace
from coodie.drivers.waiting import in_thread
from coodie.statement import Rows, Statement

if TYPE_CHECKING:
    from coodie.drivers.protocol import Driver, Settle, Work


class LazyDriver(TextFace):
    """A driver whose connection is opened by the first statement; see ``init_coodie(lazy=True)``."""

    needs_keyspace = True

    def __init__(self, opening: Callable[[], Any], default_keyspace: str | None = None) -> None:
        self._opening = opening
        self._lock = forks.OpeningLock()
        self._opened: Any = None
        self._default_keyspace = default_keyspace
        self._known_tables: dict[str, Any] = {}

    @property
    def request_timeout(self) -> float | None:
        """Return the seconds after which the client gives up a statement; its usual 10 before it is opened."""
        timeout: float | None = getattr(self._opened, "request_timeout", 10.0)
        return timeout

    def _driver(self) -> Driver:
        """Return the driver, opened by the first caller. Blocks it."""
        if self._opened is None:
            with self._lock:
                if self._opened is None:
                    opened = self._opening()
                    opened._known_tables = self._known_tables  # one memory: a table that is refused is forgotten here
                    self._opened = opened
        driver: Driver = self._opened
        return driver

    async def _driver_async(self) -> Driver:
        """Return the driver, opened in a thread so that the loop goes on."""
        driver: Driver = self._opened or await in_thread(self._driver)
        return driver

    def submit(self, statement: Statement) -> Rows:
        """Send one statement and return its rows. From any thread; blocks it."""
        return self._driver().submit(statement)

    async def submit_async(self, statement: Statement) -> Rows:
        """Send one statement and return its rows. From any event loop; never blocks it."""
        return await (await self._driver_async()).submit_async(statement)

    def execute_many(self, work: Work, limit: int, settle: Settle) -> None:
        """Send a stream of statements; see the protocol."""
        self._driver().execute_many(work, limit, settle)

    def prepare(self, statements: Iterable[Statement]) -> None:
        """Prepare statements before they are needed, if the driver does that. From any thread; blocks it."""
        prepare = getattr(self._driver(), "prepare", None)
        if prepare is not None:
            prepare(statements)

    async def prepare_async(self, statements: Iterable[Statement]) -> None:
        """Prepare statements before they are needed, if the driver does that. From any event loop."""
        prepare = getattr(await self._driver_async(), "prepare_async", None)
        if prepare is not None:
            await prepare(statements)

    def close(self) -> None:
        """Release the connection, if it was opened; a later statement opens a new one. Idempotent."""
        with self._lock:
            opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    async def close_async(self) -> None:
        """Release the connection, if it was opened, without blocking the loop. Idempotent."""
        with self._lock:
            opened, self._opened = self._opened, None
        if opened is not None:
            await opened.close_async()
