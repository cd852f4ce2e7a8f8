"""
What the fates of a chunk's rows do to the account: the one place where in-flight deltas become something else.

Rules that live here:

* applied: the watermark moves. Not applied: nothing moves, the deltas are pending as they were. Unknown: the watermark
  moves (it must not be sent again blindly) and the delta is parked, dropped or left pending, as ``on_unknown`` says.
  Refused row: the watermark moves and the delta is a dead letter, so that it cannot hold up another row.
  Refused table: nothing moves; the table waits.
* Every function is called under the buffer's lock, once for each chunk taken.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from aggregator.core.held import Held
from aggregator.core.taken import Key, Taken


class RowFate(Enum):
    """What became of one row's deltas."""

    APPLIED = "applied"
    NOT_APPLIED = "not applied"
    UNKNOWN = "unknown"
    REJECTED = "rejected"


@dataclass(slots=True)
class Tally:
    """What a flush did so far, in units and rows."""

    applied: int = 0
    requeued: int = 0
    unknown: int = 0
    dropped: int = 0
    rows: int = 0
    statements: int = 0
    flush_errors: int = 0
    errors: list[str] = field(default_factory=list)

    def note(self, reason: str) -> None:
        """Remember a failure's text, ten at the most."""
        self.flush_errors += 1
        if len(self.errors) < 10 and reason not in self.errors:
            self.errors.append(reason)


@dataclass(slots=True)
class Failure:
    """A row of a chunk that was not applied: its position in what was taken, what became of it and why."""

    position: int
    fate: RowFate
    reason: str = ""


def settle(held: Held, taken: Taken, failures: list[Failure], on_unknown: str, now: datetime, tally: Tally) -> None:
    """Account a chunk whose rows were all told a fate; rows without a failure were applied."""
    tally.rows += len(taken)
    if not failures:
        tally.applied += held.settle_applied(taken)
        return
    failed = {failure.position: failure for failure in failures}
    keep_pending: set[int] = set()
    for position, (offset, key) in enumerate(zip(taken.offsets, taken.keys, strict=True)):
        deltas = taken.deltas(position)
        for name, delta in deltas.items():
            held.units[name].in_flight -= delta
        failure = failed.get(position)
        if failure is None:
            _applied(held, deltas, tally)
        elif not _settles(held, key, deltas, failure, on_unknown, now, tally):
            keep_pending.add(offset)
    held.totals.settle_rows(taken, keep_pending)


def _applied(held: Held, deltas: dict[str, int], tally: Tally) -> None:
    for name, delta in deltas.items():
        held.units[name].applied += delta
        tally.applied += delta


def _settles(
    held: Held, key: Key, deltas: dict[str, int], failure: Failure, on_unknown: str, now: datetime, tally: Tally
) -> bool:
    """Account a row that was not applied; return whether its watermark moves."""
    total = sum(deltas.values())
    if failure.fate is RowFate.NOT_APPLIED or (failure.fate is RowFate.UNKNOWN and on_unknown == "retry"):
        tally.requeued += total
        return False
    if failure.fate is RowFate.UNKNOWN and on_unknown == "park":
        held.park(key, deltas, now, failure.reason)
        tally.unknown += total
        return True
    if failure.fate is RowFate.REJECTED:
        held.rejected.add(key, deltas, now, failure.reason)
    for name, delta in deltas.items():
        held.units[name].dropped += delta
    tally.dropped += total
    return True
