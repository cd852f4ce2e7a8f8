"""Whether a request notices that a flush runs: in a tight loop, and when requests come at their own pace."""

from __future__ import annotations

import statistics
import tempfile
import threading
from collections.abc import Callable
from itertools import cycle
from time import perf_counter_ns, sleep
from typing import Any

from benchmarks.flush_sqlite import opened
from benchmarks.support.counting import PageHits, construct_and_increment, fresh, url, zipf
from benchmarks.support.flushing import check
from benchmarks.support.row import Row
from benchmarks.support.timing import inner_half, percentile

PACE_NS = 500_000
"""2,000 a second."""

Writer = Callable[[Callable[[], bool]], list[int]]
"""Counts until it is told to stop and returns how long each increment took, in nanoseconds."""


def measure(quick: bool) -> list[Row]:
    """Return the rows of both writers beside a flush into SQLite."""
    with tempfile.TemporaryDirectory() as folder, opened(folder) as aggregator:
        return rows_of(aggregator, "latency", "SQLite", 20_000 if quick else 100_000, 2 if quick else 7)


def rows_of(aggregator: Any, name: str, store: str, rows: int, rounds: int) -> list[Row]:
    """Return the rows of both writers beside flushes over one store."""
    urls = [url(number) for number in range(rows)]
    return [
        _tight_row(f"{name}.tight", f"while {rows:,} rows flush ({store})", *_rounds(aggregator, urls, _tight, rounds)),
        _paced_row(f"{name}.paced", f"while {rows:,} rows flush ({store})", *_rounds(aggregator, urls, _paced, rounds)),
    ]


def _rounds(aggregator: Any, urls: list[str], writer: Writer, rounds: int) -> tuple[list[list[int]], list[list[int]]]:
    """Run a writer beside a flush and idle for as long, in turns; return the samples of each round of both."""
    beside, idle = [], []
    _beside_a_flush(aggregator, urls, writer)  # does not count
    for _ in range(rounds):
        samples, seconds = _beside_a_flush(aggregator, urls, writer)
        beside.append(samples)
        until = perf_counter_ns() + int(seconds * 1e9)
        idle.append(writer(lambda until=until: perf_counter_ns() > until))  # type: ignore[misc]  # a default
    return beside, idle


def _beside_a_flush(aggregator: Any, urls: list[str], writer: Writer) -> tuple[list[int], float]:
    construct_and_increment(urls)
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(aggregator.flush()))
    thread.start()
    samples = writer(lambda: bool(results))
    thread.join()
    check(results[0], len(urls))
    return samples, results[0].elapsed


def _tight(is_over: Callable[[], bool]) -> list[int]:
    """Increment without a pause, timing each call."""
    samples: list[int] = []
    keep = samples.append
    for u in cycle(fresh(zipf(1_000, 10_000))):
        began = perf_counter_ns()
        PageHits(url=u).increment(views=1)
        keep(perf_counter_ns() - began)
        if is_over():
            return samples
    raise AssertionError


def _paced(is_over: Callable[[], bool]) -> list[int]:
    """Increment at the pace, timing each call from when it was due."""
    samples: list[int] = []
    due = perf_counter_ns()
    for u in cycle(fresh(zipf(1_000, 10_000))):
        due += PACE_NS
        early = due - perf_counter_ns()
        if early > 0:
            sleep(early / 1e9)
        PageHits(url=u).increment(views=1)
        samples.append(perf_counter_ns() - due)
        if is_over():
            return samples
    raise AssertionError


def _tight_row(name: str, when: str, beside: list[list[int]], idle: list[list[int]]) -> Row:
    slow, calm = (statistics.median(percentile(samples, 0.99) for samples in side) for side in (beside, idle))
    slower, calmer = (statistics.median(percentile(samples, 0.999) for samples in side) for side in (beside, idle))
    ratios = [percentile(a, 0.99) / percentile(b, 0.99) for a, b in zip(beside, idle, strict=True)]
    return Row(
        name=name,
        question=f"p99 of one increment in a tight loop {when}",
        against="p99 when idle",
        figure=f"{slow / calm:.2f} ({slow / 1e3:.1f} us)",
        spread=inner_half(ratios),
        target="<= 5 and < 5 ms",
        reached=slow / calm <= 5 and slow < 5_000_000,
        note=f"p99.9 {slower / 1e3:.1f} us, idle {calmer / 1e3:.1f} us; "
        f"longest {max(map(max, beside)) / 1e6:.1f} ms, idle {max(map(max, idle)) / 1e6:.1f} ms",
    )


def _paced_row(name: str, when: str, beside: list[list[int]], idle: list[list[int]]) -> Row:
    # One round has few samples: percentiles over all of them, the spread over the rounds.
    slow, calm = (percentile([sample for samples in side for sample in samples], 0.99) for side in (beside, idle))
    return Row(
        name=name,
        question=f"p99 from schedule of a writer paced at 2,000/s {when}",
        against=f"idle: {calm / 1e6:.2f} ms",
        figure=f"{slow / 1e6:.2f} ms",
        spread=inner_half([percentile(samples, 0.99) / 1e6 for samples in beside]) + " ms",
        target="< 10 ms",
        reached=slow < 10_000_000,
    )
