"""
What a simulated history is played on: chance from a seed, clocks that hardly move by themselves, and death.

Rules that live here:

* Every disk operation, store into an array and message to the database is one *operation*; a process can be made to die
  at any of them. From then on whatever it tries dies too: its ``finally`` blocks do nothing to the world.
* Between operations at which a real process could be interrupted, a signal handler or another thread may count.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

EPOCH_S = 1_700_000_000


class Killed(BaseException):
    """The process that runs is killed here and now."""


class Stage:
    """The state of one history that is neither disk nor database."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.now = 1000.0  # s, of the monotonic clock and of true time
        self.clock_error = 0.0  # s, by which the wall clock of our machine is ahead
        self.boot = 1
        self.operations = 0
        self.dies_at: int | None = None
        self.is_dead = False
        self.meanwhile: Callable[[], None] | None = None  # what may happen between two operations
        self.history: list[str] = []

    def monotonic(self) -> float:
        return self.now

    def time_ns(self) -> int:
        self.now += 1e-5  # no two readings are the same
        return int((EPOCH_S + self.now + self.clock_error) * 1e9)

    def database_s(self) -> float:
        """Return the time of the database's clock, in s since 1970."""
        return EPOCH_S + self.now

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def note(self, line: str) -> None:
        self.history.append(line)

    def dies_now(self) -> bool:
        """Count an operation; return whether the process dies at it."""
        if self.is_dead:
            return True
        self.operations += 1
        if self.operations == self.dies_at:
            self.note(f"    killed at operation {self.operations}")
            self.is_dead = True
        return self.is_dead

    def operation(self) -> None:
        """Pass one operation, or die."""
        if self.dies_now():
            raise Killed

    def pause(self) -> None:
        """Let something happen in between: an increment of a signal handler or of another thread."""
        meanwhile = self.meanwhile
        if meanwhile is not None and not self.is_dead and self.chance(0.1):
            self.meanwhile = None  # one at a time
            try:
                meanwhile()
            finally:
                self.meanwhile = meanwhile
