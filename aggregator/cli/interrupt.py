"""
Ctrl-C and SIGTERM while a command has work in hand that must be put away first.

Rules that live here: the first signal only asks; it breaks a wait for input or time, never the code between two waits,
so nothing is half counted. A second one is a KeyboardInterrupt wherever the program is. Main thread only.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import Any, TypeVar

Item = TypeVar("Item")


class Interrupt:
    """A context in which the signals that end a command become a question: ``asked``."""

    def __init__(self) -> None:
        self.asked = False
        self._waiting = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Interrupt:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        insisting = self.asked
        self.asked = True
        if self._waiting or insisting:
            raise KeyboardInterrupt

    def watch(self, items: Iterable[Item]) -> Iterator[Item]:
        """Give the items until they end or a signal comes; a signal breaks the wait for the next one."""
        remaining = iter(items)
        while not self.asked:
            try:
                self._waiting = True
                item = next(remaining)
            except (StopIteration, KeyboardInterrupt):
                return
            finally:
                self._waiting = False
            yield item

    def sleep(self, seconds: float) -> None:
        """Wait so many seconds, or until a signal comes."""
        if not self.asked:
            with contextlib.suppress(KeyboardInterrupt):
                self._waiting = True
                time.sleep(seconds)
            self._waiting = False
