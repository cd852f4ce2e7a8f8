"""What a call costs in Python alone, over a driver that answers at once, against the existing library."""

from __future__ import annotations

from benchmarks.support import peer
from benchmarks.support.process import OURS, Side, side
from benchmarks.support.row import Row, not_run, ratio_row
from benchmarks.support.timing import take_turns

ROWS = 1_000
CALLS = {"save": 4_000, "get": 2_000, "all": 8}
TOLD = {"save": "document.save()", "get": "Document.get(key)", "all": f"find().all() of {ROWS:,} rows"}


def measure(quick: bool) -> list[Row]:
    """Return the rows of each call on each face."""
    rounds = 5 if quick else 40
    try:
        python = peer.python()
    except peer.NotAvailable as missing:
        return [not_run("own_cost", str(missing))]
    with side(OURS, "stub") as ours, side(python, "stub") as theirs:
        return [_row(ours, theirs, face, call, rounds) for face in ("sync", "aio") for call in CALLS]


def _row(ours: Side, theirs: Side, face: str, call: str, rounds: int) -> Row:
    question = f"{face} {call} {CALLS[call]}"
    turns = take_turns(lambda: ours.ask(question), lambda: theirs.ask(question), rounds)
    per_call = [min(side) / CALLS[call] * 1e6 for side in (turns.ours, turns.peer)]
    told = f"own cost of {TOLD[call]}, {face} face, stub driver ({per_call[0]:,.1f} us)"
    against = f"{peer.NAME} ({per_call[1]:,.1f} us)"
    return ratio_row(f"own_cost.{face}.{call}", told, against, turns.median, turns.spread, most=0.7)
