"""
An exact table, flushed by an aggregator and written by hand with the same values.

Rules that live here: both sides send 10 rows a batch, as many batches at once, at LOCAL_QUORUM; the hand-written side
is given its values ready, and what it writes is newer each time, as a flush's totals are.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import coodie.sync
from benchmarks.support.counting import started
from benchmarks.support.flushing import check
from benchmarks.support.server import KEYSPACE
from benchmarks.support.timing import seconds_of
from coodie.fields import Counter, PrimaryKey

TOGETHER = 10
IN_FLIGHT = 32
WRITER = "9f1c2b7e-4d3a-4e5f-8a6b-0c1d2e3f4a5b/0003/1a2b3c4d"
INSERT = (
    f"INSERT INTO {KEYSPACE}.exact_hits (url, writer, views, unique_visitors) VALUES (?, ?, ?, ?) USING TIMESTAMP ?"
)


class ExactHits(coodie.sync.CounterDocument):
    """The guide's table, exact."""

    url: Annotated[str, PrimaryKey()]
    views: Annotated[int, Counter()]
    unique_visitors: Annotated[int, Counter()]

    class Settings:
        name = "exact_hits"
        counters = "exact"


@contextmanager
def flushing(driver: Any, model: Any = ExactHits, **options: Any) -> Iterator[Any]:
    """Give an aggregator over a driver, with the model's table made."""
    with started(driver, **{"flush_concurrency": IN_FLIGHT, **options}) as aggregator:
        model.sync_table()
        yield aggregator
    driver.close()


def timed_flush(aggregator: Any, urls: Sequence[str], model: Any = ExactHits) -> float:
    """Count one view of each url, flush, and return the seconds the flush took."""
    for u in urls:
        model(url=u).increment(views=1)
    results: list[Any] = []
    seconds = seconds_of(lambda: results.append(aggregator.flush()))
    check(results[0], len(urls))
    return seconds


def rows_of(urls: Sequence[str]) -> list[tuple[str, str, int, int, int]]:
    """Return the rows of a hand-written flush, stamped now."""
    now = time.time_ns() // 1000
    return [(u, WRITER, 1, 0, now) for u in urls]
