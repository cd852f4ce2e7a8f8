"""
Filling a buffer and flushing it, timed.

Rules that live here: only the flush is timed, not the filling; a flush that did not write everything is no figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.support.counting import construct_and_increment
from benchmarks.support.timing import seconds_of


def timed_flush(aggregator: Any, urls: Sequence[str]) -> float:
    """Count one view of each url, flush, and return the seconds the flush took."""
    construct_and_increment(list(urls))
    results: list[Any] = []
    seconds = seconds_of(lambda: results.append(aggregator.flush()))
    check(results[0], len(urls))
    return seconds


def check(result: Any, least: int) -> None:
    """Refuse a flush that failed in part or wrote less than it was given."""
    assert result.applied >= least, result
    assert (result.unknown, result.dropped, result.errors) == (0, 0, []), result


def rate(rows: int, seconds: Sequence[float]) -> str:
    """Return the rate of the middle flush as text."""
    middle = sorted(seconds)[len(seconds) // 2]
    return f"{rows / middle:,.0f} rows/s"
