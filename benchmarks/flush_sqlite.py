"""How fast a flush into SQLite is, against the shortest program that writes the same rows."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.support.counting import PageHits, started, url
from benchmarks.support.flushing import rate, timed_flush
from benchmarks.support.row import Row, ratio_row
from benchmarks.support.timing import seconds_of, take_turns
from coodie.drivers import get_driver, register_driver
from coodie.drivers.sqlite import SQLiteDriver

UPSERT = (
    "INSERT INTO page_hits (url, views) VALUES (?, ?) ON CONFLICT (url) DO UPDATE SET views = views + excluded.views"
)


def measure(quick: bool) -> list[Row]:
    """Return the row of the quiet flush."""
    rows, rounds = (10_000, 4) if quick else (50_000, 11)
    urls = [url(number) for number in range(rows)]
    with tempfile.TemporaryDirectory() as folder, opened(folder) as aggregator, peer(folder) as connection:
        turns = take_turns(
            lambda: timed_flush(aggregator, urls), lambda: _upserts(connection, [(u, 1) for u in urls]), rounds
        )
    question = f"flush of {rows:,} rows into SQLite, quiet ({rate(rows, turns.ours)})"
    against = f"one executemany upsert in a transaction ({rate(rows, turns.peer)})"
    return [ratio_row("sqlite.quiet", question, against, turns.rates.median, turns.rates.spread, least=0.8)]


@contextmanager
def opened(folder: str) -> Iterator[Any]:
    """Give an aggregator over a file of its own."""
    driver = SQLiteDriver(str(Path(folder, "ours.db")))
    with started(driver) as aggregator:
        PageHits.sync_table()
        yield aggregator
    driver.close()


@contextmanager
def peer(folder: str) -> Iterator[sqlite3.Connection]:
    """Give a connection to a file of the same settings and table, made by the same driver."""
    path = str(Path(folder, "peer.db"))
    ours = get_driver()
    made = SQLiteDriver(path)
    register_driver("default", made, default=True)
    PageHits.sync_table()
    register_driver("default", ours, default=True)
    made.close()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous=FULL")
    yield connection
    connection.close()


def _upserts(connection: sqlite3.Connection, rows: Sequence[tuple[str, int]]) -> float:
    """Write rows as a program without coodie would."""

    def run() -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(UPSERT, rows)
        connection.execute("COMMIT")

    return seconds_of(run)
