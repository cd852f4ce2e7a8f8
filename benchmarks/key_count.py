"""How much more an increment costs when there are a thousand times more rows."""

from __future__ import annotations

import random
from collections.abc import Callable

from benchmarks.support.counting import construct_and_increment, fresh, started, url, zipf
from benchmarks.support.row import Row, ratio_row
from benchmarks.support.timing import own_seconds_of, take_turns

FEW = 1_000
CALLS = 20_000

Draw = Callable[[int], list[int]]
"""Returns the numbers of one block's keys, below a bound."""


def measure(quick: bool) -> list[Row]:
    """Return the rows of two kinds of traffic: that of pages, and the worst for every cache of the processor."""
    many = 200_000 if quick else 1_000_000
    rounds = 6 if quick else 20
    with started():
        construct_and_increment([url(number) for number in range(many)])
        return [
            _row("keys.zipf", "Zipf draws", many, _zipf_draws(many), rounds),
            _row("keys.uniform", "uniform draws", many, _uniform_draws(), rounds),
        ]


def _row(name: str, kind: str, many: int, drawn: Draw, rounds: int) -> Row:
    """Compare blocks over many keys with blocks over few."""

    def block(keys: int) -> float:
        urls = fresh(drawn(keys))
        return own_seconds_of(lambda: construct_and_increment(urls))

    turns = take_turns(lambda: block(many), lambda: block(FEW), rounds)
    question = f"cost per increment at {many:,} keys, {kind}"
    return ratio_row(name, question, f"at {FEW:,} keys, {kind}", turns.median, turns.spread, most=1.5)


def _zipf_draws(many: int) -> Draw:
    chance = random.Random(2)
    supplies = {keys: zipf(keys, 30 * CALLS) for keys in (many, FEW)}
    return lambda keys: chance.choices(supplies[keys], k=CALLS)


def _uniform_draws() -> Draw:
    chance = random.Random(3)
    return lambda keys: [chance.randrange(keys) for _ in range(CALLS)]
