"""
A flush that someone waits for.

Rules that live here: the flusher must never wait for a lock that a caller may have lost. A caller can be thrown out of
its wait at any instant by an exception of a signal handler (a time limit, Ctrl-C); so the answer goes through a
``queue.SimpleQueue``, which has no lock that Python code could leave locked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aggregator.core.records import FlushResult


class Ticket:
    """A flush someone waits for, ``timeout`` seconds or as long as one may take; ``patient``: after any backoff."""

    def __init__(self, *, patient: bool = False, timeout: float | None = None) -> None:
        self.patient = patient
        self.timeout = timeout
        self._answers: SimpleQueue[FlushResult | BaseException] = SimpleQueue()
        self._is_answered = False
        self._listeners: list[Callable[[], None]] = []

    def answer(self, answer: FlushResult | BaseException) -> None:
        """Give the result, or what went wrong; a second answer is not heard. Never blocks, never raises."""
        if not self._is_answered:
            self._is_answered = True
            self._answers.put(answer)
            for listener in list(self._listeners):
                listener()

    def result(self, timeout: float) -> FlushResult:
        """Wait for the answer; ``TimeoutError`` where none came within so many seconds."""
        try:
            answer = self._answers.get(timeout=max(timeout, 0.0))
        except Empty:
            raise TimeoutError from None
        self._answers.put(answer)  # for whoever asks again
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def answered(self) -> None:
        """Wait on the running loop until there is an answer."""
        loop = asyncio.get_running_loop()
        event = asyncio.Event()

        def listen() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)

        self._listeners.append(listen)
        if not self._is_answered:  # else it may have been answered before anyone listened
            await event.wait()
