"""
What an increment costs with a journal, against prometheus_client's files of many processes and against no journal.

Both sides run in a process of its own (``python -m benchmarks.journal_increment``): prometheus_client reads at its
import whether it is to keep its values in mapped files.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from benchmarks.support.row import Row, ratio_row

KEYS = 1_000
OURS = "PageHits(url=u).increment(views=1), journal, durability process, Zipf keys"


def measure(quick: bool) -> list[Row]:
    """Return the rows against the peer and against ourselves without a journal."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": folder}
        command = [sys.executable, "-m", "benchmarks.journal_increment", "quick" if quick else "full"]
        done = subprocess.run(command, check=True, capture_output=True, timeout=600, env=environment)
        return msgspec.json.decode(done.stdout, type=list[Row])


def _measured(rounds: int, calls: int = 20_000) -> list[Row]:
    from benchmarks.support.counting import construct_and_increment, fresh, labels_and_inc, zipf
    from benchmarks.support.timing import own_seconds_of, take_turns

    draws = zipf(KEYS, calls)
    increments = _increments(construct_and_increment)

    def with_journal() -> float:
        with tempfile.TemporaryDirectory() as folder:
            return increments(fresh(draws), journal=str(Path(folder, "journal")))

    def without() -> float:
        return increments(fresh(draws))

    # A registry of its own would keep its values in memory: files are used by the one of the process.
    import prometheus_client

    peer = labels_and_inc(prometheus_client.Counter("page_hits", "Views by url", ["url"]))

    def theirs() -> float:
        urls = fresh(draws)
        return own_seconds_of(lambda: peer(urls))

    against_files = take_turns(with_journal, theirs, rounds)
    against_memory = take_turns(with_journal, without, rounds)
    peer_name = "prometheus C.labels(u).inc(), multiprocess mode (its mapped files)"
    return [
        ratio_row("journal.prometheus", OURS, peer_name, against_files.median, against_files.spread, most=0.6),
        ratio_row(
            "journal.memory", OURS, "the same, no journal", against_memory.median, against_memory.spread, most=1.1
        ),
    ]


def _increments(block: Callable[[list[str]], None]) -> Callable[..., float]:
    from benchmarks.support.counting import started, url
    from benchmarks.support.timing import own_seconds_of

    def run(urls: list[str], **options: str) -> float:
        with started(max_keys=100_000, max_batch_size=100_000, **options):
            block([url(number) for number in range(KEYS)])  # each row is there before its cost is measured
            return own_seconds_of(lambda: block(urls))

    return run


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(_measured(6 if sys.argv[1] == "quick" else 40)))
