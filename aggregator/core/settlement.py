"""
What the fates of a chunk's rows do to the account: the one place where in-flight deltas become something else.

Rules that live here:

* applied: the watermark moves. Not applied: nothing moves, the deltas are pending as they were. Unknown: the watermark
  moves (it must not be sent again blindly) and the delta is parked, dropped or left pending, as ``on_unknown`` says.
  Refused row: the watermark moves and the delta is a dead letter, so that it cannot hold up another row.
  Refused table: nothing moves; the table waits.
* On an exact table what is unknown is written again: the same totals, or later ones. The row is marked, because its
  total may come back to its watermark meanwhile, and the database still hold the other one. What was
  refused is taken out of the row's totals, or a later write would store it after all.
* Every function is called under the buffer's lock, once for each chunk taken.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from aggregator.core import apart, rewriting
from aggregator.core.held import Held
from aggregator.core.ledger import Change
from aggregator.core.taken import Base, Key, Taken

MOST_ERRORS = 10
"""Texts of errors that a flush keeps."""

DIED = "the process died while this was being written"


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
    written: int = 0  # rows that were applied
    requeued: int = 0
    unknown: int = 0
    dropped: int = 0
    rows: int = 0
    statements: int = 0
    flush_errors: int = 0
    errors: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Add what another part of the flush did."""
        for name in ("applied", "written", "requeued", "unknown", "dropped", "rows", "statements", "flush_errors"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.errors = list(dict.fromkeys([*self.errors, *other.errors]))[:MOST_ERRORS]

    def note(self, reason: str) -> None:
        """Remember a failure's text, ten at the most."""
        self.flush_errors += 1
        if len(self.errors) < MOST_ERRORS and reason not in self.errors:
            self.errors.append(reason)


@dataclass(slots=True)
class Failure:
    """A row of a chunk that was not applied: its position in what was taken, what became of it and why."""

    position: int
    fate: RowFate
    reason: str = ""


def settle(held: Held, taken: Taken, failures: list[Failure], on_unknown: str, now: datetime, tally: Tally) -> None:
    """Account a chunk whose rows were all told a fate; rows without a failure were applied."""
    if held.totals.in_flight.get(taken.start) is not taken:
        return  # the table was forgotten meanwhile
    tally.rows += len(taken)
    if not failures:
        tally.written += len(taken)
        tally.applied += held.settle_applied(taken)
        return
    failed = {failure.position: failure for failure in failures}
    rows = _Rows(held, taken, "retry" if held.is_exact else on_unknown, now, tally)
    for position, offset in enumerate(taken.offsets):
        deltas = taken.deltas(position)
        for name, delta in deltas.items():
            held.units[name].in_flight -= delta
        failure = failed.get(position)
        if failure is None:
            rows.apply(offset, deltas)
        elif not rows.settles(position, deltas, failure):
            rows.keep_pending.add(offset)
    rows.finish()


class _Rows:
    """The rows of one chunk on their way into the account."""

    def __init__(self, held: Held, taken: Taken, on_unknown: str, now: datetime, tally: Tally) -> None:
        self.keep_pending: set[int] = set()
        self._held = held
        self._taken = taken
        self._on_unknown = on_unknown
        self._now = now
        self._tally = tally
        self._change = Change()
        self._withdrawn: list[tuple[int, Key, dict[str, int]]] = []

    def apply(self, offset: int, deltas: dict[str, int]) -> None:
        slot = self._taken.start + offset
        self._tally.written += 1
        if self._held.totals.bases[slot] == Base.DOUBTFUL:
            self._change.bases[slot] = int(Base.KNOWN)
        for name, delta in deltas.items():
            self._held.units[name].applied += delta
            self._tally.applied += delta

    def settles(self, position: int, deltas: dict[str, int], failure: Failure) -> bool:
        """Account a row that was not applied; return whether its watermark moves."""
        total = sum(deltas.values())
        if failure.fate is RowFate.NOT_APPLIED or (failure.fate is RowFate.UNKNOWN and self._on_unknown == "retry"):
            self._tally.requeued += total
            if failure.fate is RowFate.UNKNOWN and self._held.is_exact:
                self._change.bases[self._taken.start + self._taken.offsets[position]] = int(Base.DOUBTFUL)
            return False
        key = self._taken.keys[position]
        if failure.fate is RowFate.UNKNOWN and self._on_unknown == "park":
            apart.park(self._held, key, deltas, self._now, failure.reason)
            self._note(position, self._held.noted(self._change, unknown=key))
            self._tally.unknown += total
            return True
        if failure.fate is RowFate.REJECTED:
            self._held.rejected.add(key, deltas, self._now, failure.reason)
        for name, delta in deltas.items():
            self._held.units[name].dropped += delta
        self._tally.dropped += total
        if self._held.is_exact:
            slot = self._taken.start + self._taken.offsets[position]
            if self._held.totals.bases[slot] == Base.DOUBTFUL:  # what is refused now was never stored before
                self._change.bases[slot] = int(Base.KNOWN)
            self._withdrawn.append((self._taken.start + self._taken.offsets[position], key, deltas))
            return False
        self._note(position, self._held.noted(self._change, rejected=key))
        return True

    def _note(self, position: int, change: Change) -> None:
        """Say in a change that a row's watermark moves to what was taken."""
        offset = self._taken.offsets[position]
        for name, copy in self._taken.copies.items():
            change.values.append((self._taken.start + offset, name, None, copy[offset]))

    def finish(self) -> None:
        """Tell the ledger, then move the watermarks."""
        ledger, totals = self._held.ledger, self._held.totals
        is_told = bool(self._change.values or self._change.bases)
        if is_told:
            ledger.tell_later(self._change)
        totals.settle_rows(self._taken, self.keep_pending)
        for slot, base in self._change.bases.items():
            totals.bases[slot] = base
        if is_told:
            ledger.made()
        for slot, key, deltas in self._withdrawn:
            rewriting.withdraw(self._held.totals, slot, deltas, self._held.noted(Change(), rejected=key))
