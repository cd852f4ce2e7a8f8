"""
Taking turns, and what is made of the times.

Rules that live here:

* Two sides are timed in turns (A B, B A, A B ...), each turn a block of at least some milliseconds, so that a
  disturbance of the machine meets both.
* Work of one thread that waits for nothing is timed by the processor's clock of that thread; threads and databases by
  the clock on the wall.
* ``median`` is the middle of the rounds' ratios: what drifts (a server that warms up) meets both sides of a round.
  ``best`` compares the fastest blocks, where blocks are long and can only be disturbed to be slower (threads). The
  spread is the range of the inner half of the rounds' ratios.
"""

from __future__ import annotations

import gc
import statistics
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter, thread_time

Timed = Callable[[], float]
"""Does one block of work and returns the seconds it took."""


@dataclass(frozen=True, slots=True)
class Turns:
    """Seconds of each block of two sides, round by round."""

    ours: list[float]
    peer: list[float]

    @property
    def best(self) -> float:
        """Return our fastest block over the peer's."""
        return min(self.ours) / min(self.peer)

    @property
    def median(self) -> float:
        """Return the middle of the rounds' ratios."""
        return statistics.median(self.ratios)

    @property
    def spread(self) -> str:
        """Return where the inner half of the rounds' ratios lies."""
        return inner_half(self.ratios)

    @property
    def ratios(self) -> list[float]:
        """Return our block over the peer's, round by round."""
        return [a / b for a, b in zip(self.ours, self.peer, strict=True)]

    @property
    def rates(self) -> Turns:
        """Return the same with the sides exchanged: a ratio of times becomes one of rates."""
        return Turns(self.peer, self.ours)


def take_turns(ours: Timed, peer: Timed, rounds: int, *, warm_up: bool = True) -> Turns:
    """Time both sides ``rounds`` times each, after one block each that does not count (``warm_up``)."""
    turns = Turns([], [])
    if warm_up:
        ours()
        peer()
    gc.collect()
    for number in range(rounds):
        sides = [(ours, turns.ours), (peer, turns.peer)]
        for side, seconds in sides if number % 2 else sides[::-1]:
            seconds.append(side())
    return turns


def inner_half(values: Sequence[float], digits: int = 2) -> str:
    """Return the first and third quartile as text."""
    if len(values) < 4:
        return f"{min(values):.{digits}f}-{max(values):.{digits}f}"
    first, _middle, third = statistics.quantiles(values, n=4, method="inclusive")
    return f"{first:.{digits}f}-{third:.{digits}f}"


def percentile(values: Sequence[int], share: float) -> int:
    """Return the value below which a share of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def seconds_of(work: Callable[[], object]) -> float:
    """Return how long a call takes by the clock on the wall."""
    began = perf_counter()
    work()
    return perf_counter() - began


def own_seconds_of(work: Callable[[], object]) -> float:
    """Return the processor time a call takes, for work that waits for nothing: other programs do not count."""
    began = thread_time()
    work()
    return thread_time() - began


def together(works: Sequence[Callable[[], object]]) -> float:
    """Run each work in a thread of its own, all at once; return the seconds from the first start to the last end."""
    gate = threading.Barrier(len(works))
    times: list[tuple[float, float]] = []

    def run(work: Callable[[], object]) -> None:
        gate.wait()
        began = perf_counter()
        work()
        times.append((began, perf_counter()))

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return max(ended for _, ended in times) - min(began for began, _ in times)
