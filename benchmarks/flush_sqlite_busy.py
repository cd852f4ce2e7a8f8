"""How fast a flush into SQLite is beside a thread that never rests, against the same flush when it is quiet."""

from __future__ import annotations

import tempfile
import threading
from typing import Any

from benchmarks.flush_sqlite import opened
from benchmarks.support.counting import construct_and_increment, fresh, url, zipf
from benchmarks.support.flushing import rate, timed_flush
from benchmarks.support.row import Row, ratio_row
from benchmarks.support.timing import take_turns


def measure(quick: bool) -> list[Row]:
    """Return the row of the busy flush."""
    rows, rounds = (10_000, 4) if quick else (50_000, 9)
    urls = [url(number) for number in range(rows)]
    with tempfile.TemporaryDirectory() as folder, opened(folder) as aggregator:
        turns = take_turns(lambda: _busy(aggregator, urls), lambda: timed_flush(aggregator, urls), rounds)
    question = f"flush of {rows:,} rows into SQLite beside a thread in a tight loop ({rate(rows, turns.ours)})"
    against = f"the quiet flush ({rate(rows, turns.peer)})"
    return [ratio_row("sqlite.busy", question, against, turns.rates.median, turns.rates.spread, least=0.3)]


def _busy(aggregator: Any, urls: list[str]) -> float:
    """Time a flush while another thread counts as fast as it can."""
    ended = threading.Event()
    begun = threading.Event()
    few = fresh(zipf(1_000, 1_000))

    def count() -> None:
        while not ended.is_set():
            construct_and_increment(few)
            begun.set()

    thread = threading.Thread(target=count)
    thread.start()
    begun.wait()
    try:
        return timed_flush(aggregator, urls)
    finally:
        ended.set()
        thread.join()
