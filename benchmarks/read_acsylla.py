"""How fast the aio face reads over acsylla, against bare acsylla and against the existing library."""

from __future__ import annotations

from contextlib import ExitStack

from benchmarks.support import peer
from benchmarks.support.flushing import rate
from benchmarks.support.process import OURS, Side, side
from benchmarks.support.products import ROWS, stored
from benchmarks.support.row import Row, not_run, ratio_row
from benchmarks.support.server import KEYSPACE
from benchmarks.support.timing import take_turns

WARM_UP = 40_000
GET = "await get(key), 100 tasks, acsylla"
ALL = f"await find().all() of {ROWS:,} rows, acsylla"


def measure(quick: bool) -> list[Row]:
    """Return the rows of ``get`` against both peers, and of ``find().all()`` against bare acsylla."""
    with stored() as (host, port, _product), ExitStack() as sides:
        where = host, str(port), KEYSPACE
        bare, ours = (sides.enter_context(side(OURS, name, *where)) for name in ("bare_reader", "reader"))
        bare.ask(f"get {WARM_UP // 8 if quick else WARM_UP}")
        gets, every = (f"get {3_000 if quick else 10_000}", 3 if quick else 11), (f"all {ROWS}", 3 if quick else 11)
        rows = [
            _row("read.bare", GET, "bare acsylla, same statement", ours, bare, *gets, least=0.6),
            _row("read.rows", ALL, "bare acsylla into dicts", ours, bare, *every, least=0.5),
        ]
        try:
            existing = sides.enter_context(side(peer.python(), "reader", *where))
        except peer.NotAvailable as missing:
            return [*rows, not_run("read.existing", str(missing))]
        return [*rows, _row("read.existing", GET, peer.NAME, ours, existing, *gets, least=2.5)]


def _row(
    name: str, question: str, against: str, ours: Side, peer: Side, line: str, rounds: int, *, least: float
) -> Row:
    """Ask both sides the same, in turns."""
    turns = take_turns(lambda: ours.ask(line), lambda: peer.ask(line), rounds)
    calls = int(line.split()[1])
    told = f"{question} ({rate(calls, turns.ours)})"
    ratio, spread = turns.rates.median, turns.rates.spread
    return ratio_row(name, told, f"{against} ({rate(calls, turns.peer)})", ratio, spread, least=least)
