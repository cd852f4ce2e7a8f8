"""How fast the sync face reads over cassandra-driver, against the bare driver: one row by its key, 10,000 rows."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from benchmarks.sides.tables import SMALL, WIDE, Table
from benchmarks.support.flushing import rate
from benchmarks.support.row import Row, ratio_row
from benchmarks.support.server import KEYSPACE
from benchmarks.support.tables import ROWS, stored
from benchmarks.support.timing import seconds_of, take_turns

Sides = tuple[Callable[[], None], Callable[[], None]]
GET = "get(key), cassandra-driver"
ALL = f"find().all() of {ROWS:,} rows, cassandra-driver"


def measure(quick: bool) -> list[Row]:
    """Return the rows of ``get`` and of ``find().all()`` on each table; those of the small one have a figure."""
    with stored() as (host, port, models), _bare(host, port) as session:
        gc.freeze()  # what was loaded so far is not to be collected again and again, on either side
        return [row for table in (SMALL, WIDE) for row in _rows(table, models[table], session, quick)]


def _rows(table: Table, model: Any, session: Any, quick: bool) -> Iterator[Row]:
    calls, rounds = (300, 3) if quick else (1_000, 11)
    every = f"SELECT {', '.join(table.row(0))} FROM {KEYSPACE}.{table.name} WHERE {table.partition} = ?"
    one = session.prepare(f"{every} AND {table.clustering} = ? LIMIT ?")
    keys = [table.key(number) for number in range(calls)]
    gets = partial(_get, model, keys), partial(_get_bare, session, one, [(*key.values(), 2) for key in keys])
    alls = partial(_all, model, table), partial(_all_bare, session, session.prepare(every), table)
    for _ in range(1 if quick else 5):  # a server that was just started gets faster for a while
        for each in (*gets, *alls):
            each()
    least = (0.9, 0.5) if table is SMALL else (0.0, 0.0)
    yield _row(table, "get", GET, "bare driver, same statement", gets, calls, rounds, least[0])
    yield _row(table, "all", ALL, "bare driver, dict_factory", alls, ROWS, rounds, least[1])


@contextmanager
def _bare(host: str, port: int) -> Iterator[Any]:
    """Give a session as a program without coodie would open it, with the policies the driver has by default."""
    from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
    from cassandra.query import dict_factory

    profiles = {EXEC_PROFILE_DEFAULT: ExecutionProfile(row_factory=dict_factory)}
    cluster = Cluster([host], port=port, protocol_version=4, execution_profiles=profiles)
    try:
        yield cluster.connect()
    finally:
        cluster.shutdown()


def _row(
    table: Table, name: str, question: str, against: str, sides: Sides, calls: int, rounds: int, least: float
) -> Row:
    """Time both sides in turns."""
    ours, peer = sides
    turns = take_turns(lambda: seconds_of(ours), lambda: seconds_of(peer), rounds)
    told = f"{question}, {len(table.row(0))} columns ({rate(calls, turns.ours)})"
    peers, rates = f"{against} ({rate(calls, turns.peer)})", turns.rates
    return ratio_row(f"read_sync.{table.name}.{name}", told, peers, rates.median, rates.spread, least=least)


def _get(model: Any, keys: list[dict[str, Any]]) -> None:
    for key in keys:
        model.get(**key)


def _get_bare(session: Any, one: Any, keys: list[tuple[Any, ...]]) -> None:
    for key in keys:
        assert session.execute(one, key).one()


def _all(model: Any, table: Table) -> None:
    assert len(model.find(**table.whole).all()) == ROWS


def _all_bare(session: Any, every: Any, table: Table) -> None:
    assert len(list(session.execute(every, tuple(table.whole.values())))) == ROWS
