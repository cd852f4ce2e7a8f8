"""How fast ``get()`` is on an exact table, where it adds up what many writers wrote, against a native table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Annotated, Any

import coodie.sync
from benchmarks.support.counting import url
from benchmarks.support.flushing import rate
from benchmarks.support.row import Row, ratio_row
from benchmarks.support.server import KEYSPACE, keyspace
from benchmarks.support.timing import seconds_of, take_turns
from coodie import connections
from coodie.fields import Counter, PrimaryKey
from coodie.plans import exact
from coodie.plans.counters import update
from coodie.statement import APPLIED, Outcome, Statement

WRITERS = {16: 0.7, 64: 0.4}
"""Writers per row, and the share of the native rate to reach."""


def measure(quick: bool) -> list[Row]:
    """Return a row for each number of writers."""
    rows, rounds = (200, 3) if quick else (1_000, 11)
    urls = [url(number) for number in range(rows)]
    with keyspace() as (hosts, port), _opened(hosts, port):
        native = _table("native", "native")
        _store(native, update(_resolved(native), ("views",)), [(1, u) for u in urls])
        return [_row(native, writers, urls, rounds) for writers in WRITERS]


def _row(native: Any, writers: int, urls: Sequence[str], rounds: int) -> Row:
    """Read each row by its key from both tables, in turns, one after the other."""
    summing = _table(f"exact_{writers}", "exact")
    written = [(u, f"9f1c2b7e-4d3a-4e5f-8a6b-0c1d2e3f4a5b/{n:04}/1", 1, 1) for u in urls for n in range(writers)]
    _store(summing, exact.write(_resolved(summing), ("views",)), written)
    ours, peer = partial(_read, summing, urls, writers), partial(_read, native, urls, 1)
    for _ in range(3):  # a server that was just started gets faster for a while
        ours()
        peer()
    turns = take_turns(lambda: seconds_of(ours), lambda: seconds_of(peer), rounds)
    question = f"get() on an exact table, {writers} writers per row ({rate(len(urls), turns.ours)})"
    against = f"get() on a native table ({rate(len(urls), turns.peer)})"
    ratio, spread = turns.rates.median, turns.rates.spread
    return ratio_row(f"get_exact.{writers}", question, against, ratio, spread, least=WRITERS[writers])


@contextmanager
def _opened(hosts: list[str], port: int) -> Iterator[None]:
    """Open cassandra-driver as the default connection."""
    driver = coodie.sync.init_coodie(hosts=hosts, port=port, keyspace=KEYSPACE, driver_type="cassandra")
    try:
        yield
    finally:
        driver.close()


def _table(table: str, kind: str) -> Any:
    """Make a table of either kind, and return its model."""

    class Hits(coodie.sync.CounterDocument):
        url: Annotated[str, PrimaryKey()]
        views: Annotated[int, Counter()]

        class Settings:
            name = table
            counters = kind

    Hits.sync_table()
    return Hits


def _resolved(model: Any) -> Any:
    return connections.resolve(model)[1]


def _store(model: Any, template: Statement, values: Sequence[tuple[Any, ...]]) -> None:
    driver, _ = connections.resolve(model)
    told: list[Outcome] = []
    driver.execute_many(((template, each) for each in values), 64, lambda index, outcome, count=1: told.append(outcome))
    assert set(told) == {APPLIED}, told


def _read(model: Any, urls: Sequence[str], views: int) -> None:
    for each in urls:
        assert model.get(url=each).views == views
