"""What the fallback costs, in which the same lines stand under a lock (free-threaded builds, unknown bytecode)."""

from __future__ import annotations

from aggregator.core import compiled
from benchmarks import increment, threads
from benchmarks.support.counting import PageHits, started
from benchmarks.support.row import Row, ratio_row


def measure(quick: bool) -> list[Row]:
    """Return the rows of ``increment`` and ``threads`` again, with the lock."""
    compiled.lock_free_here = lambda: False  # this process measures nothing else
    rounds = 4 if quick else 20
    with started() as aggregator:
        turns = {
            "increment.construct": increment.constructed(20_000, rounds),
            "increment.bound": increment.bound(20_000, rounds),
            "threads.construct": threads.constructed(aggregator, 20_000, max(rounds // 3, 3)),
            "threads.bound": threads.bound(aggregator, 20_000, max(rounds // 3, 3)),
        }
        assert "_lock" in PageHits.increment.__code__.co_freevars, "this was to measure the locked form"
    sides = increment.SIDES | threads.SIDES
    return [
        ratio_row(
            f"locked.{name}",
            f"locked fallback: {sides[name][0]}",
            sides[name][1],
            turn.best if name.startswith("threads") else turn.median,
            turn.spread,
        )
        for name, turn in turns.items()
    ]
