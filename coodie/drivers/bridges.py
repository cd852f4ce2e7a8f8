"""
Two bridges between the faces: a thread for the blocking call of an async program, a loop for the sync program.

Rules that live here: a hop costs 50-60 us, so a driver crosses one only for the face it natively lacks. Cancelling the
awaiting task never stops what was handed to the other side: it still completes.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar

from coodie.exceptions import ConfigurationError
from coodie.statement import Rows, Statement

T = TypeVar("T")


class _Blocking(Protocol):
    def submit(self, statement: Statement) -> Rows: ...

    def close(self) -> None: ...


class AsyncOverSync:
    """The async face of a driver whose own calls block: each in a thread of the running loop's pool."""

    async def submit_async(self: _Blocking, statement: Statement) -> Rows:
        """Send one statement and return its rows. From any event loop; never blocks it."""
        return await asyncio.to_thread(self.submit, statement)

    async def close_async(self: _Blocking) -> None:
        """Release the connection without blocking the loop; idempotent."""
        await asyncio.to_thread(self.close)


class LoopThread:
    """An event loop on a daemon thread of its own: the sync face of a driver whose calls are coroutines."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """Return the loop, started by the first caller. From any thread."""
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name=self._name, daemon=True)
                self._thread.start()
            return self._loop

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine there and return its result; blocks. From any thread but the loop's own."""
        return run_on(self.loop, work)

    def abandoned(self) -> asyncio.AbstractEventLoop | None:
        """Return the loop as it is, started or not. In a forked child, where its thread does not run."""
        return self._loop

    def close(self) -> None:
        """Stop the loop and its thread; a later ``loop`` starts a new one. Idempotent."""
        with self._lock:
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()


def run_on(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a loop of another thread and return its result; ConfigurationError on that very thread."""
    if running_loop() is loop:
        work.close()
        raise ConfigurationError(
            "This call waits for the event loop of the very thread it was made from; nothing was sent. "
            "Await the async form of the call instead."
        )
    future: Future[T] = asyncio.run_coroutine_threadsafe(work, loop)
    return future.result()


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop this thread is running, if any."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
