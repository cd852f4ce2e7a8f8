"""
One flusher and the stream of hits that reaches it, cycle after cycle.

Rules that live here:

* Hits are a Poisson stream, each to a key by Zipf's law, independent of the last. Keys of the head are followed one by
  one: the first hit of each since the last flush. Behind them each hit is drawn.
* A stream too dense to draw is thinned by keys, not by hits: one in ``stride`` neighbouring ranks is followed, with all
  its hits, and counted ``stride`` times. Neighbours are about as popular, so the number of rows touched is met.
* A flush is due when its interval (with jitter) is over, or when a look, every ``LOOK_S``, finds ``batch`` dirty rows.
  It takes as long as its rows take to be written; hits that come meanwhile are the next one's. More than ``max_keys``
  rows are never held: what would come beyond waits, and the answer says so.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from dataclasses import dataclass

from aggregator.planning.zipf import Zipf

LOOK_S = 0.05
"""As in ``aggregator.flusher.background``; a test holds the two together."""

HITS_DRAWN = 50_000
"""Behind the head, in the longest cycle; a denser stream is thinned."""

_CYCLES_MIN, _CYCLES_MAX = 12, 400
_DRAWS = 300_000  # in all: a fraction of a second
_WARM_UP = 3  # cycles until the length of a flush has settled


@dataclass(frozen=True)
class Flusher:
    """What makes a flush due, and how fast it writes. Times in seconds; ``write_rate`` in rows a second."""

    interval: float
    jitter: float
    batch: int
    max_keys: int
    write_rate: float


@dataclass
class Cycle:
    """One flush and the time since the one before: seconds, rows touched, whether the hottest key was among them."""

    seconds: float
    rows: float
    is_hottest_in: bool
    draws: int


@dataclass(frozen=True)
class Simulated:
    """
    What the cycles say in the mean.

    ``rows_s``: rows written a second; ``error``: its standard error, as a share of it; ``cycle_s``: seconds from flush
    to flush; ``busy``: the share of its time in which a flusher writes; ``is_full``: it cannot keep up.
    """

    rows_s: float
    hottest_rows_s: float
    rows_per_flush: float
    cycle_s: float
    busy: float
    error: float
    is_full: bool


def simulate(keys: Zipf, rate: float, flusher: Flusher, seed: int) -> Simulated:
    """Return what one flusher does that ``rate`` hits a second reach."""
    chance = random.Random(seed)  # noqa: S311 - a simulation, to be repeated
    cycles: list[Cycle] = []
    rows, draws = 0.0, 0
    while len(cycles) < _CYCLES_MIN or (draws < _DRAWS and len(cycles) < _CYCLES_MAX):
        cycle = _cycle(keys, rate, flusher, chance, writing=rows / flusher.write_rate)
        rows = min(cycle.rows, flusher.max_keys)
        draws += cycle.draws
        cycles.append(cycle)
    return _summary(cycles[_WARM_UP:], flusher)


def _cycle(keys: Zipf, rate: float, flusher: Flusher, chance: random.Random, *, writing: float) -> Cycle:
    """Follow the stream from one flush's begin to the next one's, of which the first takes ``writing`` seconds."""
    uniform = chance.random
    due = writing + flusher.interval * (1 + flusher.jitter * (2 * uniform() - 1))
    first_hits = [-math.log(1 - uniform()) / (rate * share) for share in keys.head]
    head = sorted(first_hits)
    stride = max(1, round(rate * keys.tail * due / HITS_DRAWN))
    step = 1 / (rate * keys.tail / stride) if keys.tail else math.inf
    touched: set[int] = set()
    hits, at = 0, -math.log(1 - uniform()) * step
    look = writing
    while True:
        look = min(look + LOOK_S, due)
        while at <= look:
            touched.add(int(keys.tail_rank(uniform()) + 0.5) // stride)
            hits += 1
            at -= math.log(1 - uniform()) * step
        rows = bisect_right(head, look) + stride * len(touched)
        if look >= due or rows >= flusher.batch:
            return Cycle(look, rows, first_hits[0] <= look, hits + len(head))


def _summary(cycles: list[Cycle], flusher: Flusher) -> Simulated:
    seconds = math.fsum(cycle.seconds for cycle in cycles)
    rows = math.fsum(cycle.rows for cycle in cycles)
    rate = rows / seconds
    is_full = any(cycle.rows > flusher.max_keys for cycle in cycles)
    spread = math.fsum((cycle.rows - rate * cycle.seconds) ** 2 for cycle in cycles) / (len(cycles) - 1)
    return Simulated(
        rows_s=min(rate, flusher.write_rate) if is_full else rate,
        hottest_rows_s=sum(cycle.is_hottest_in for cycle in cycles) / seconds,
        rows_per_flush=rows / len(cycles),
        cycle_s=seconds / len(cycles),
        busy=min(rate / flusher.write_rate, 1.0),
        error=math.sqrt(spread * len(cycles)) / rows if rows else 0.0,
        is_full=is_full,
    )
