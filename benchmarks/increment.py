"""What one buffered increment costs, against the counter that Python web programs use most."""

from __future__ import annotations

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
from benchmarks.support.timing import Turns, own_seconds_of, take_turns

KEYS = 1_000


def measure(quick: bool) -> list[Row]:
    """Return the two rows of one thread."""
    with started():
        turns = constructed(20_000, 6 if quick else 40), bound(20_000, 6 if quick else 40)
    names = ("increment.construct", "increment.bound")
    return [ratio_row(n, *SIDES[n], t.median, t.spread, most=0.9) for n, t in zip(names, turns, strict=True)]


SIDES = {
    "increment.construct": ("PageHits(url=u).increment(views=1), buffered, Zipf keys", "prometheus C.labels(u).inc()"),
    "increment.bound": ("bound instance .increment(views=1)", "prometheus bound .inc()"),
}


def constructed(calls: int, rounds: int) -> Turns:
    """Compare construction and increment with labels and inc."""
    draws = zipf(KEYS, calls)
    peer = labels_and_inc(prometheus())

    def ours() -> float:
        urls = fresh(draws)
        return own_seconds_of(lambda: construct_and_increment(urls))

    def theirs() -> float:
        urls = fresh(draws)
        return own_seconds_of(lambda: peer(urls))

    return take_turns(ours, theirs, rounds)


def bound(calls: int, rounds: int) -> Turns:
    """Compare increments of instances with increments of children."""
    draws = zipf(KEYS, calls)
    instances = [PageHits(url=url(number)) for number in range(KEYS)]
    counter = prometheus()
    known = [counter.labels(url(number)) for number in range(KEYS)]
    hits, children = [instances[number] for number in draws], [known[number] for number in draws]
    return take_turns(
        lambda: own_seconds_of(lambda: increment_bound(hits)),
        lambda: own_seconds_of(lambda: inc_bound(children)),
        rounds,
    )
