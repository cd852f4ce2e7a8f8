"""
What is measured: the guide's model on both faces, its peer in prometheus_client, and the keys both count.

Rules that live here:

* Every block gets text objects of its own, as each request of a server brings its own: nobody profits from a hash
  computed before.
* Keys are drawn with Zipf's law (the share of a rank is proportional to 1 / rank), seeded, the same for both sides.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import accumulate
from typing import Annotated, Any

from prometheus_client import CollectorRegistry
from prometheus_client import Counter as PrometheusCounter

import coodie.aio
import coodie.sync
from aggregator import Aggregator
from coodie.drivers import register_driver
from coodie.drivers.protocol import Settle, Work
from coodie.fields import Counter, PrimaryKey
from coodie.statement import APPLIED
from coodie.testing import ScriptedDriver


class PageHits(coodie.sync.CounterDocument):
    """The guide's model."""

    url: Annotated[str, PrimaryKey()]
    views: Annotated[int, Counter()]
    unique_visitors: Annotated[int, Counter()]

    class Settings:
        name = "page_hits"


class AsyncPageHits(coodie.aio.CounterDocument):
    """The same table on the other face."""

    url: Annotated[str, PrimaryKey()]
    views: Annotated[int, Counter()]
    unique_visitors: Annotated[int, Counter()]

    class Settings:
        name = "page_hits"


class Discarding(ScriptedDriver):
    """A database that costs nothing: everything is applied at once and forgotten."""

    def execute_many(self, work: Work, limit: int, settle: Settle) -> None:
        """Tell each statement that it was applied."""
        for index, _item in enumerate(work):
            settle(index, APPLIED)


@contextmanager
def started(driver: Any = None, **options: Any) -> Iterator[Aggregator]:
    """Give a started aggregator that flushes only when told to; without a driver, over one that costs nothing."""
    register_driver("default", driver or Discarding(), default=True)
    quiet = {"flush_interval": None, "max_keys": 2_000_000, "max_batch_size": 2_000_000, "flush_timeout": 600.0}
    aggregator = Aggregator(**{**quiet, "shutdown_timeout": 600.0, **options})
    with aggregator:
        yield aggregator


def prometheus() -> PrometheusCounter:
    """Return the peer: a counter with one label, in memory."""
    return PrometheusCounter("page_hits", "Views by url", ["url"], registry=CollectorRegistry())


def url(number: int) -> str:
    """Return the key of a number, a text object of its own."""
    return f"/articles/{number:07d}"


def zipf(keys: int, draws: int, seed: int = 1) -> list[int]:
    """Return numbers below ``keys``, drawn with Zipf's law."""
    weights = list(accumulate(1 / rank for rank in range(1, keys + 1)))
    return random.Random(seed).choices(range(keys), cum_weights=weights, k=draws)


def fresh(numbers: list[int]) -> list[str]:
    """Return the keys of numbers as text objects that nobody has seen before."""
    return list(map(url, numbers))


def construct_and_increment(urls: list[str]) -> None:
    """Count one view of each url, as the guide does."""
    for u in urls:
        PageHits(url=u).increment(views=1)


def increment_bound(hits: list[PageHits]) -> None:
    """Count one view with each instance."""
    for hit in hits:
        hit.increment(views=1)


def labels_and_inc(counter: PrometheusCounter) -> Callable[[list[str]], None]:
    """Return the peer's way to count one view of each url."""

    def run(urls: list[str]) -> None:
        for u in urls:
            counter.labels(u).inc()

    return run


def inc_bound(children: list[Any]) -> None:
    """Count one view with each child of the peer."""
    for child in children:
        child.inc()
