"""How fast the aio face reads over acsylla, against bare acsylla and against the existing library."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from benchmarks.sides.tables import SMALL, WIDE, Table
from benchmarks.support import peer
from benchmarks.support.flushing import rate
from benchmarks.support.process import OURS, Side, side
from benchmarks.support.row import Row, not_run, ratio_row
from benchmarks.support.server import KEYSPACE
from benchmarks.support.tables import ROWS, stored
from benchmarks.support.timing import take_turns

WARM_UP = 40_000


def measure(quick: bool) -> list[Row]:
    """Return the rows of ``get`` against both peers, and of ``find().all()`` against bare acsylla."""
    with stored() as (host, port, _models):
        where = host, str(port), KEYSPACE
        return [*_rows(SMALL, where, quick), *_rows(WIDE, where, quick)]


def _rows(table: Table, where: tuple[str, ...], quick: bool) -> Iterator[Row]:
    """Yield the rows of one table; only those of the small one have a figure to reach."""
    least = {"bare": 0.6, "all": 0.5, "existing": 2.5} if table is SMALL else {}
    calls, rounds = (3_000, 3) if quick else (10_000, 11)
    with ExitStack() as sides:
        bare, ours = (sides.enter_context(side(OURS, name, table.name, *where)) for name in ("bare_reader", "reader"))
        bare.ask(f"get {WARM_UP // 8 if quick else WARM_UP}")
        every = f"await find().all() of {ROWS:,} rows, acsylla"
        yield _row(table, "all", every, "bare acsylla into dicts", ours, bare, f"all {ROWS}", rounds, least)
        get, question = f"get {calls}", "await get(key), 100 tasks, acsylla"
        yield _row(table, "bare", question, "bare acsylla, same statement", ours, bare, get, rounds, least)
        try:
            existing = sides.enter_context(side(peer.python(), "reader", table.name, *where))
        except peer.NotAvailable as missing:
            yield not_run(f"read.{table.name}.existing", str(missing))
        else:
            yield _row(table, "existing", question, peer.NAME, ours, existing, get, rounds, least)


def _row(
    table: Table,
    name: str,
    question: str,
    against: str,
    ours: Side,
    other: Side,
    line: str,
    rounds: int,
    least: dict[str, float],
) -> Row:
    """Ask both sides the same, in turns."""
    turns = take_turns(lambda: ours.ask(line), lambda: other.ask(line), rounds)
    calls = int(line.split()[1])
    told = f"{question}, {len(table.row(0))} columns ({rate(calls, turns.ours)})"
    peers = f"{against} ({rate(calls, turns.peer)})"
    rates = turns.rates
    return ratio_row(f"read.{table.name}.{name}", told, peers, rates.median, rates.spread, least=least.get(name, 0.0))
