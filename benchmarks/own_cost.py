"""What a call costs in Python alone, over a driver that answers at once, against the existing library."""

from __future__ import annotations

from benchmarks.sides.tables import SMALL, WIDE, Table
from benchmarks.support import peer
from benchmarks.support.process import OURS, Side, side
from benchmarks.support.row import Row, not_run, ratio_row
from benchmarks.support.timing import take_turns

ROWS = 1_000
CALLS = {"save": 4_000, "get": 2_000, "all": 8}
TOLD = {"save": "save()", "get": "get(key)", "all": f"find().all(), {ROWS:,} rows"}
FIGURES: dict[Table, float | None] = {SMALL: 0.7, WIDE: None}


def measure(quick: bool) -> list[Row]:
    """Return the rows of each call on each face and table."""
    rounds = 5 if quick else 40
    try:
        python = peer.python()
    except peer.NotAvailable as missing:
        return [not_run("own_cost", str(missing))]
    rows: list[Row] = []
    for table in FIGURES:
        with side(OURS, "stub", table.name) as ours, side(python, "stub", table.name) as theirs:
            rows += [_row(ours, theirs, table, face, call, rounds) for face in ("sync", "aio") for call in CALLS]
    return rows


def _row(ours: Side, theirs: Side, table: Table, face: str, call: str, rounds: int) -> Row:
    question = f"{face} {call} {CALLS[call]}"
    turns = take_turns(lambda: ours.ask(question), lambda: theirs.ask(question), rounds)
    per_call = [min(side) / CALLS[call] * 1e6 for side in (turns.ours, turns.peer)]
    columns = len(table.row(0))
    told = f"own cost of {TOLD[call]}, {face} face, {columns} columns ({per_call[0]:,.1f} us)"
    name = f"own_cost.{table.name}.{face}.{call}"
    against = f"{peer.NAME} ({per_call[1]:,.1f} us)"
    return ratio_row(name, told, against, turns.median, turns.spread, most=FIGURES[table])
