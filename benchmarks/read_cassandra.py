"""How fast the sync face reads over cassandra-driver, against the bare driver: one row by its key, 10,000 rows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.sides.products import SHOP, row
from benchmarks.support.flushing import rate
from benchmarks.support.products import ROWS, stored
from benchmarks.support.row import Row, ratio_row
from benchmarks.support.server import KEYSPACE
from benchmarks.support.timing import seconds_of, take_turns

Sides = tuple[Callable[[], None], Callable[[], None]]
ALL = f"find().all() of {ROWS:,} rows, cassandra-driver"
KEYS = [row(number)["id"] for number in range(1_000)]
EVERY = f"SELECT {', '.join(row(0))} FROM {KEYSPACE}.products WHERE shop = ?"


def measure(quick: bool) -> list[Row]:
    """Return the rows of ``get`` and of ``find().all()``."""
    from cassandra.query import dict_factory

    from tests.support.session import connected

    calls, rounds = (300, 3) if quick else (1_000, 11)
    with stored() as (host, port, product), connected([host], port) as session:
        session.cluster.profile_manager.default.row_factory = dict_factory
        one, every = session.prepare(f"{EVERY} AND id = ? LIMIT ?"), session.prepare(EVERY)
        gets = partial(_get, product, calls), partial(_get_bare, session, one, calls)
        alls = partial(_all, product), partial(_all_bare, session, every)
        for _ in range(1 if quick else 5):  # a server that was just started gets faster for a while
            for each in (*gets, *alls):
                each()
        return [
            _row("read.sync", "get(key), cassandra-driver", "bare driver, same statement", gets, calls, rounds, 0.9),
            _row("read.sync_rows", ALL, "bare driver, dict_factory", alls, ROWS, rounds, 0.5),
        ]


def _row(name: str, question: str, against: str, sides: Sides, calls: int, rounds: int, least: float) -> Row:
    """Time both sides in turns."""
    ours, peer = sides
    turns = take_turns(lambda: seconds_of(ours), lambda: seconds_of(peer), rounds)
    told, peers = f"{question} ({rate(calls, turns.ours)})", f"{against} ({rate(calls, turns.peer)})"
    return ratio_row(name, told, peers, turns.rates.median, turns.rates.spread, least=least)


def _get(product: Any, calls: int) -> None:
    for number in range(calls):
        assert product.get(shop=SHOP, id=KEYS[number % len(KEYS)]).price >= 9.5


def _get_bare(session: Any, one: Any, calls: int) -> None:
    for number in range(calls):
        assert session.execute(one, (SHOP, KEYS[number % len(KEYS)], 2)).one()["price"] >= 9.5


def _all(product: Any) -> None:
    assert len(product.find(shop=SHOP).all()) == ROWS


def _all_bare(session: Any, every: Any) -> None:
    assert len(list(session.execute(every, (SHOP,)))) == ROWS
