"""
Which acsylla session a call uses: a session belongs to the event loop that made it.

Rules that live here:

* With hosts each running loop gets a session of its own, opened at its first call by one task; the sync face and the
  flusher use one more, on a thread of their own.
* With a session given, calls run on its loop alone. Anything else is refused before it is sent, because acsylla itself
  notices a wrong loop only after sending.
* Sessions of loops that were closed are dropped when the next one is opened: nobody is left to await their closing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import wait
from typing import Any

from coodie.drivers.acsylla.connecting import is_surely_cassandra
from coodie.drivers.acsylla.prepared import PreparedStatements
from coodie.drivers.bridges import LoopThread, running_loop
from coodie.drivers.forks import keep
from coodie.exceptions import ConfigurationError

Loop = asyncio.AbstractEventLoop
Factory = Callable[[], Awaitable[Any]]
_CLOSING_MAX = 10.0  # seconds for the loops of other threads to close their sessions


class LoopSession:
    """A session with its prepared statements, on one loop."""

    __slots__ = ("foreign", "prepared", "strict")

    def __init__(self, foreign: Any) -> None:
        self.foreign = foreign
        self.prepared = PreparedStatements(foreign)
        self.strict = not is_surely_cassandra(foreign)


class SessionPerLoop:
    """Sessions made by a factory, one for each running loop and one for a thread of its own."""

    def __init__(self, factory: Factory) -> None:
        self._factory = factory
        self._open: dict[Loop, LoopSession] = {}
        self._opening: dict[Loop, asyncio.Task[LoopSession]] = {}
        self._thread = LoopThread("coodie-acsylla")

    def opened(self) -> LoopSession | None:
        """Return the session of the running loop if it is open."""
        return self._open.get(asyncio.get_running_loop())

    async def here(self) -> LoopSession:
        """Return the session of the running loop, opening it at the first call."""
        loop = asyncio.get_running_loop()
        found = self._open.get(loop)
        if found is not None:
            return found
        task = self._opening.get(loop)
        if task is None:
            task = self._opening[loop] = loop.create_task(self._opened(loop))
        return await asyncio.shield(task)  # cancelling one waiter must not cancel them all

    def loop_for_blocking(self) -> Loop:
        """Return the loop on which calls of the sync face run."""
        return self._thread.loop

    loop_for_many = loop_for_blocking

    def close(self) -> None:
        """Close every session, waiting for all but those of the calling thread's loop and of loops that stand still."""
        here = running_loop()
        waits = [
            closing for loop in list(self._open) if (closing := self._closing(loop)) is not None and loop is not here
        ]
        wait(waits, timeout=_CLOSING_MAX)
        self._thread.close()

    async def close_async(self) -> None:
        """Close every session without blocking the loop."""
        here = self._open.pop(asyncio.get_running_loop(), None)
        if here is not None:
            await here.foreign.close()
        await asyncio.to_thread(self.close)

    def abandon(self) -> None:
        """Leave everything alone for ever, in a forked child: its loops are the parent's, and share its selectors."""
        keep(self._thread.abandoned(), *self._open, *self._opening, *self._opening.values())
        keep(*(session.foreign for session in self._open.values()))

    async def _opened(self, loop: Loop) -> LoopSession:
        """Open the session of a loop, and drop those of closed loops."""
        try:
            session = LoopSession(await self._factory())
        finally:
            del self._opening[loop]
        for dead in [other for other in list(self._open) if other.is_closed()]:
            self._open.pop(dead, None)
        self._open[loop] = session
        return session

    def _closing(self, loop: Loop) -> Any:
        """Start closing the session of a loop; return what to wait for, or None where nobody would run it."""
        session = self._open.pop(loop, None)
        if session is None or not loop.is_running():
            return None
        return asyncio.run_coroutine_threadsafe(session.foreign.close(), loop)


class GivenSession:
    """The one session that the user opened; it stays open."""

    def __init__(self, session: Any) -> None:
        self._session = LoopSession(session)
        self._loop = running_loop()  # None: made outside of any loop; then that of the first call

    def opened(self) -> LoopSession | None:
        """Return the session on its own loop."""
        return self._session if asyncio.get_running_loop() is self._loop else None

    async def here(self) -> LoopSession:
        """Return the session; ConfigurationError on another loop than its own."""
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        if loop is not self._loop:
            raise ConfigurationError(
                "This acsylla session belongs to another event loop; nothing was sent. Await the call on the loop that "
                "opened the session, or call init_coodie(hosts=...), which gives every loop a session of its own."
            )
        return self._session

    def loop_for_blocking(self) -> Loop:
        """Refuse: a blocking call cannot run on the loop of the session."""
        raise ConfigurationError(
            "This connection was made with session=, so its calls run on that session's event loop alone; nothing was "
            "sent. Use the async form, or call init_coodie(hosts=...), which serves both."
        )

    def loop_for_many(self) -> Loop:
        """Return the session's loop, for a fan-out that another thread waits for."""
        if self._loop is None or not self._loop.is_running():
            raise ConfigurationError("The event loop of this acsylla session is not running; nothing was sent.")
        if self._loop is running_loop():
            raise ConfigurationError("execute_many blocks, and this is the loop it would wait for; nothing was sent.")
        return self._loop

    def close(self) -> None:
        """Leave the session to its owner."""

    async def close_async(self) -> None:
        """Leave the session to its owner."""

    def abandon(self) -> None:
        """Leave it alone for ever, in a forked child: ending it there would wait for threads that do not exist."""
        keep(self._session.foreign, self._loop)
