"""What the aio face, awaited, costs against the sync face."""

from __future__ import annotations

import asyncio

from benchmarks.support.counting import (
    AsyncPageHits,
    PageHits,
    construct_and_increment,
    fresh,
    increment_bound,
    started,
    url,
    zipf,
)
from benchmarks.support.row import Row, ratio_row
from benchmarks.support.timing import own_seconds_of, take_turns

KEYS = 1_000
CALLS = 20_000


def measure(quick: bool) -> list[Row]:
    """Return the rows of both ways to call it."""
    with started():
        return asyncio.run(_measure(6 if quick else 40))


async def _measure(rounds: int) -> list[Row]:
    """Compare on a running loop; each block is driven to its end without letting the loop in, as it never waits."""
    draws = zipf(KEYS, CALLS)
    aio = [AsyncPageHits(url=url(number)) for number in range(KEYS)]
    sync = [PageHits(url=url(number)) for number in range(KEYS)]
    aio_hits, sync_hits = [aio[number] for number in draws], [sync[number] for number in draws]
    constructed = take_turns(lambda: _awaited_construct(fresh(draws)), lambda: _timed_construct(fresh(draws)), rounds)
    bound = take_turns(
        lambda: _awaited_bound(aio_hits), lambda: own_seconds_of(lambda: increment_bound(sync_hits)), rounds
    )
    return [
        ratio_row(
            "aio.construct",
            "aio face: await PageHits(url=u).increment(views=1)",
            "sync face",
            constructed.median,
            constructed.spread,
            most=1.3,
        ),
        ratio_row(
            "aio.bound", "aio face: await bound.increment(views=1)", "sync face", bound.median, bound.spread, most=1.3
        ),
    ]


def _timed_construct(urls: list[str]) -> float:
    return own_seconds_of(lambda: construct_and_increment(urls))


def _awaited_construct(urls: list[str]) -> float:
    async def run() -> None:
        for u in urls:
            await AsyncPageHits(url=u).increment(views=1)

    return own_seconds_of(lambda: _finish(run()))


def _awaited_bound(hits: list[AsyncPageHits]) -> float:
    async def run() -> None:
        for hit in hits:
            await hit.increment(views=1)

    return own_seconds_of(lambda: _finish(run()))


def _finish(coroutine: object) -> None:
    """Drive a coroutine that never waits."""
    try:
        coroutine.send(None)  # type: ignore[attr-defined]  # increments are coroutines
    except StopIteration:
        return
    raise AssertionError("a buffered increment waited for something")
