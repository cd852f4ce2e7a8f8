"""
How many statements four workers and an agent send for a Zipf load, against four workers that flush on their own.

All are processes, over a database that costs nothing, and flush once a second; each worker counts at one pace for some
seconds. What is compared is a number of statements, not a time; that all hits were written is checked first.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time

from aggregator import Aggregator
from aggregator.agent.agent import Agent
from benchmarks.support.counting import Discarding, PageHits, fresh, zipf
from benchmarks.support.row import Row, ratio_row
from coodie.drivers import register_driver

WORKERS = 4
BURSTS = 20  # a second
OPTIONS = {"flush_interval": 1.0, "flush_jitter": 0.0, "max_batch_size": 100_000}


def measure(quick: bool) -> list[Row]:
    """Return the ratio for a site of a thousand pages, and for one of ten thousand, whose tail few workers share."""
    seconds = 3 if quick else 10
    return [
        _row("agent.statements", 1_000, 10_000, seconds, most=0.4),
        _row("agent.statements_tail", 10_000, 10_000, seconds),
    ]


def _row(name: str, keys: int, rate: int, seconds: int, most: float | None = None) -> Row:
    alone = sum(_together(["alone"] * WORKERS, keys, rate, seconds))
    with tempfile.TemporaryDirectory() as folder:
        journal = f"{folder}/journal"
        with subprocess.Popen(_command("agent", journal), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as agent:
            assert agent.stdin is not None
            assert agent.stdout is not None
            agent.stdout.readline()
            _together(["leave"] * WORKERS, keys, rate, seconds, journal)
            agent.stdin.close()
            statements, applied = map(int, agent.stdout.readline().split())
    assert applied == WORKERS * rate * seconds, f"{applied:,} hits were written"
    question = f"statements of 4 workers and an agent, {rate:,} hits/s a worker on {keys:,} pages"
    spread = f"{statements:,} / {alone:,}"
    return ratio_row(name, question, "the same, each flushing on its own", statements / alone, spread, most=most)


def _together(kinds: list[str], keys: int, rate: int, seconds: int, journal: str = "") -> list[int]:
    """Run workers at the same time, and return what each prints: its statements."""
    workers = [
        subprocess.Popen(_command(kind, journal, keys, rate, seconds, seed), stdout=subprocess.PIPE)
        for seed, kind in enumerate(kinds)
    ]
    found = [int(worker.communicate()[0]) for worker in workers]
    assert not any(worker.returncode for worker in workers)
    return found


def _command(*words: object) -> list[str]:
    return [sys.executable, "-m", "benchmarks.agent", *map(str, words)]


def _work(kind: str, journal: str, keys: int, rate: int, seconds: int, seed: int) -> None:
    register_driver("default", Discarding(), default=True)
    given = {"mode": "agent", "journal": journal} if kind == "leave" else {}
    urls = fresh(zipf(keys, rate * seconds, seed))
    with Aggregator(**{**OPTIONS, **given}) as aggregator:
        began, size = time.monotonic(), rate // BURSTS
        for number in range(seconds * BURSTS):
            for url in urls[number * size : (number + 1) * size]:
                PageHits(url=url).increment(views=1)
            time.sleep(max(began + (number + 1) / BURSTS - time.monotonic(), 0.0))
    print(aggregator.stats().statements)


def _agent(journal: str) -> None:
    register_driver("default", Discarding(), default=True)
    with Agent(journal=journal, **OPTIONS) as agent:
        print("ready", flush=True)
        sys.stdin.read()
        agent.flush()
        stats = agent.stats()
    print(stats.statements, stats.applied)


if __name__ == "__main__":
    if sys.argv[1] == "agent":
        _agent(sys.argv[2])
    else:
        _work(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
