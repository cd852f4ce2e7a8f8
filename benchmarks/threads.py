"""What four threads at once do to the cost, and that nothing is lost."""

from __future__ import annotations

from functools import partial
from typing import Any

from benchmarks.support.counting import (
    PageHits,
    construct_and_increment,
    fresh,
    inc_bound,
    increment_bound,
    labels_and_inc,
    prometheus,
    started,
    url,
    zipf,
)
from benchmarks.support.row import Row, ratio_row
from benchmarks.support.timing import Turns, take_turns, together

KEYS = 1_000
THREADS = 4


def measure(quick: bool) -> list[Row]:
    """Return the two rows of four threads."""
    calls, rounds = (20_000, 4) if quick else (40_000, 12)
    with started() as aggregator:
        turns = constructed(aggregator, calls, rounds), bound(aggregator, calls, rounds)
    names = ("threads.construct", "threads.bound")
    return [ratio_row(n, *SIDES[n], t.best, t.spread, most=0.9) for n, t in zip(names, turns, strict=True)]


SIDES = {
    "threads.construct": ("construct and increment from 4 threads, nothing lost", "prometheus, 4 threads"),
    "threads.bound": ("bound increment from 4 threads, nothing lost", "prometheus, 4 threads"),
}


def constructed(aggregator: Any, calls: int, rounds: int) -> Turns:
    """Compare construction and increment with labels and inc, ``calls`` from each thread."""
    draws = zipf(KEYS, calls)
    counter = prometheus()
    peer = labels_and_inc(counter)

    def ours() -> float:
        return together([partial(construct_and_increment, fresh(draws)) for _ in range(THREADS)])

    def theirs() -> float:
        return together([partial(peer, fresh(draws)) for _ in range(THREADS)])

    return _counted(aggregator, counter, calls, take_turns, ours, theirs, rounds)


def bound(aggregator: Any, calls: int, rounds: int) -> Turns:
    """Compare increments of instances with increments of children, ``calls`` from each thread."""
    draws = zipf(KEYS, calls)
    instances = [PageHits(url=url(number)) for number in range(KEYS)]
    counter = prometheus()
    known = [counter.labels(url(number)) for number in range(KEYS)]
    hits, children = [instances[number] for number in draws], [known[number] for number in draws]

    def ours() -> float:
        return together([partial(increment_bound, hits)] * THREADS)

    def theirs() -> float:
        return together([partial(inc_bound, children)] * THREADS)

    return _counted(aggregator, counter, calls, take_turns, ours, theirs, rounds)


def _counted(aggregator: Any, counter: Any, calls: int, compare: Any, ours: Any, theirs: Any, rounds: int) -> Turns:
    """Run a comparison and refuse its result where either side has lost an increment."""
    before = aggregator.stats()
    turns: Turns = compare(ours, theirs, rounds)
    after = aggregator.stats()
    expected = calls * THREADS * (rounds + 1)  # one round that did not count
    found = after.accepted - before.accepted, sum(sample.value for sample in _totals(counter))
    assert found == (expected, expected), (
        f"lost increments: expected {expected}, aggregator and prometheus have {found}"
    )
    rows = sum(row.get("views", 0) for row in aggregator.pending().values())
    assert rows == after.pending, f"the rows hold {rows}, the account says {after.pending}"
    return turns


def _totals(counter: Any) -> list[Any]:
    return [s for metric in counter.collect() for s in metric.samples if s.name.endswith("_total")]
