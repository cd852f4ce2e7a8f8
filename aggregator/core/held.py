"""
One table as the buffer holds it: its rows, what found no room, what is set apart, and the account of its columns.

Rules that live here:

* What is kept beside the rows (late, unknown, rejected) changes in memory first; then the ledger is told the entries as
  they are, together with what that does to the rows, and then the rows' arrays change.
* The account: ``accepted = applied + pending + in_flight + unknown + dropped`` for each column at every instant at
  which the lock is free. ``accepted`` is not kept, it is what the rows hold plus ``beside``; the right side is kept,
  each term where it changes, so that the identity can fail and is worth a test.
* Every method is called under the buffer's lock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aggregator.core import eviction, handed, rewriting
from aggregator.core.ledger import Change, Ledger
from aggregator.core.parked import Parked
from aggregator.core.records import ColumnStats
from aggregator.core.taken import CHUNK, INT64_MAX, INT64_MIN, Base, Key, Taken, doubtful
from aggregator.core.totals import Totals
from aggregator.exceptions import JournalError


@dataclass(slots=True)
class Units:
    """The account of one column, in units."""

    beside: int = 0  # accepted without passing through a row, or passing through one a second time (then negative)
    applied: int = 0
    in_flight: int = 0
    direct: int = 0  # the part of in_flight that is written through, beside the rows
    unknown_positive: int = 0
    unknown_negative: int = 0
    dropped: int = 0

    def add_unknown(self, delta: int) -> None:
        """Count a delta whose fate is unknown."""
        if delta > 0:
            self.unknown_positive += delta
        else:
            self.unknown_negative += delta


A_MODEL = "another model of that table"
A_JOURNAL = "the journal of the process before, which may hold units for it (`aggregator journal inspect`),"


class Held:
    """Hold one table of one connection."""

    def __init__(self, connection: str, table: Any, columns: tuple[str, ...], capacity: int, ledger: Ledger) -> None:
        self.connection = connection
        self.table = table  # the mapper's Table: opaque here but for full_name, primary_key and counters
        self.name: str = table.full_name
        self.hands_on = ledger.hands_on
        self.is_exact: bool = table.counters == "exact" and not self.hands_on
        self.writer: str | None = None  # exact: who we are among the table's writers
        self.retired: list[str] = []  # exact: writers given up with all they had written, which may have rows
        self.known_from = A_MODEL  # or A_JOURNAL, until a model has said what the table is
        self.is_halted = False  # nothing of it is sent: it is being truncated or dropped
        self.ledger = ledger
        self.totals = Totals(self.name, columns, capacity, ledger, is_exact=self.is_exact)
        self.units = {name: Units() for name in columns}
        self.late: dict[Key, dict[str, int]] = {}  # accepted beyond the bound: placed as rows are freed
        self.unknown = Parked()
        self.rejected = Parked(most=capacity)  # their units stay counted as dropped
        self.error: str | None = None  # why the table is suspended
        self.unknown_in_a_row = 0  # outcomes, over flushes
        self.resumed: list[tuple[Taken, int, list[int]]] = []  # in flight when a process died, with mark and indexes

    def add_column(self, name: str) -> None:
        """Give the table one more counter column."""
        self.totals.add_column(name)
        self.units.setdefault(name, Units())

    def rows(self) -> int:
        """Return how many rows count towards ``max_keys``."""
        return len(self.totals) + len(self.unknown)

    # --- the ledger -------------------------------------------------------------------------------------------

    def noted(self, change: Change, *, late: Key = None, unknown: Key = None, rejected: Key = None) -> Change:
        """Enter into a change what is beside the rows under a key now."""
        if late is not None:
            row = self.late.get(late)
            change.late[late] = dict(row) if row else None
        if unknown is not None:
            change.unknown[unknown] = self.unknown.entries.get(unknown)
        if rejected is not None:
            change.rejected[rejected] = self.rejected.entries.get(rejected)
        return change

    # --- taking in --------------------------------------------------------------------------------------------

    def add_late(self, key: Key, deltas: Mapping[str, int], *, must: bool = False) -> None:
        """Accept deltas without a row; ``must``: or raise ``JournalError`` with nothing accepted."""
        if must:
            row = self.late.get(key, {})
            self.ledger.tell(
                Change(late={key: {name: row.get(name, 0) + deltas.get(name, 0) for name in {**row, **deltas}}})
            )
            self.put_late(key, deltas)
        else:
            self.put_late(key, deltas)
            self.ledger.tell_later(self.noted(Change(), late=key))
        self.ledger.made()

    def put_late(self, key: Key, deltas: Mapping[str, int]) -> None:
        row = self.late.setdefault(key, {})
        for name, delta in deltas.items():
            row[name] = row.get(name, 0) + delta

    def place_late(self, room: int) -> None:
        """Give rows to what was accepted without one: known rows always, at most ``room`` new ones."""
        for key in list(self.late):
            slot = self.totals.slot_of(key)
            if slot is None:
                if room <= 0 or (slot := self._mapped(key)) is None:
                    continue
                room -= 1
            self._place_row(key, slot)

    def _mapped(self, key: Key) -> int | None:
        try:
            return self.totals.map(key)
        except JournalError:  # it stays where it is, which the ledger knows
            return None

    def _place_row(self, key: Key, slot: int) -> None:
        # Sums of several requests can leave 64 bits: what fits goes now, the rest when the watermark has moved.
        row = self.late[key]
        part = {name: max(INT64_MIN, min(delta, INT64_MAX)) for name, delta in row.items()}
        rest = {name: delta - part[name] for name, delta in row.items() if delta != part[name]}

        def placed() -> None:
            if rest:
                self.late[key] = rest
            else:
                self.late.pop(key, None)

        if rewriting.place(self.totals, slot, part, Change(late={key: rest or None}), placed):
            return
        if not self.is_exact and slot // CHUNK * CHUNK not in self.totals.in_flight:
            rewriting.make_room(self.totals, slot)

    def add_dropped(self, deltas: Mapping[str, int]) -> None:
        """Count deltas that were refused at the door as accepted and dropped."""
        for name, delta in deltas.items():
            self.units[name].beside += delta
            self.units[name].dropped += delta

    # --- what is on its way -----------------------------------------------------------------------------------

    def take(
        self, start: int, now_us: int, most: int | None = None, mark: tuple[int, int] | None = None
    ) -> Taken | None:
        """
        Put what a chunk has pending (of ``most`` rows) in flight; None where it has nothing.

        ``mark``: what it is written under in the database, and the index of its first row there.
        """
        self.ledger.shorten()
        # The timestamp comes with the totals, and before them: a pair of the two is never seen with another total.
        stamp = self.ledger.stamp(now_us) if self.is_exact else 0
        taken = self.totals.take(start, most, mark)
        if taken is not None:
            taken.timestamp = stamp
            for name, total in taken.sums().items():
                self.units[name].in_flight += total
        return taken

    def settle_applied(self, taken: Taken) -> int:
        """Account a chunk all of whose rows were applied; return its units."""
        sums = taken.sums()
        for name, total in sums.items():
            self.units[name].in_flight -= total
            self.units[name].applied += total
        marked = doubtful(self.totals.bases[taken.start : taken.start + CHUNK])
        settled = [taken.start + at for at in set(marked).intersection(taken.offsets)] if marked else []
        if settled:
            self.ledger.tell_later(Change(bases=dict.fromkeys(settled, int(Base.KNOWN))))
        self.totals.settle_all(taken)
        for slot in settled:
            self.totals.bases[slot] = Base.KNOWN
        if settled:
            self.ledger.made()
        return sum(sums.values())

    def begin_direct(self, deltas: Mapping[str, int]) -> None:
        """Account deltas that are written through, beside the rows."""
        for name, delta in deltas.items():
            units = self.units[name]
            units.beside += delta
            units.in_flight += delta
            units.direct += delta

    def end_direct(self, deltas: Mapping[str, int], fate: str) -> None:
        """Account the end of a write-through: ``applied``, ``dropped``, ``refused`` (never accepted) or ``parked``."""
        for name, delta in deltas.items():
            units = self.units[name]
            units.in_flight -= delta
            units.direct -= delta
            if fate == "applied":
                units.applied += delta
            elif fate == "dropped":
                units.dropped += delta
            elif fate == "refused":
                units.beside -= delta

    # --- the account ------------------------------------------------------------------------------------------

    def account(self, name: str) -> ColumnStats:
        """Return the account of one column."""
        if self.hands_on:
            return handed.account(self, name)
        units = self.units[name]
        total, settled = self.totals.sums(name)
        late = sum(row.get(name, 0) for row in self.late.values())
        return ColumnStats(
            accepted=units.beside + self.totals.columns[name].evicted + total + late,
            applied=units.applied,
            pending=total - settled - (units.in_flight - units.direct) + late,
            in_flight=units.in_flight,
            unknown=units.unknown_positive + units.unknown_negative,
            dropped=units.dropped,
            unknown_positive=units.unknown_positive,
            unknown_negative=units.unknown_negative,
        )

    def pending_of(self, key: Key) -> dict[str, int]:
        """Return what one row has pending or in flight."""
        slot = self.totals.slot_of(key)
        found = self.totals.pending_of(slot) if slot is not None else {}
        for name, delta in self.late.get(key, {}).items():
            found[name] = found.get(name, 0) + delta
        return found

    # --- the writer of an exact table -------------------------------------------------------------------------

    def begin_writer(self) -> None:
        """Write under a new id from now on: what the old one stored stays, and is not ours any more."""
        self.writer = self.ledger.new_writer()
        for name, units in rewriting.begin_anew(self.totals, Change(writer=self.writer)).items():
            self.units[name].dropped += units

    def forget(self, *, retire: bool = False) -> None:
        """
        Forget every row, and count what was pending as dropped; nothing is in flight.

        The table was emptied, or (``retire``) all is written and the writer given up, so that its rows can be folded.
        """
        change = Change()
        if retire and self.writer:
            self.retired.append(self.writer)
            change.retired = self.retired
        if self.is_exact:
            change.writer = self.writer = self.ledger.new_writer()
        for key, row in self.late.items():
            change.late[key] = None
            for name, delta in row.items():
                self.units[name].dropped += delta
                self.units[name].beside += delta
        self.late.clear()
        for taken in self.totals.in_flight.values():  # its answers come too late, and change nothing any more
            for name, units in taken.sums().items():
                self.units[name].in_flight -= units
        self.totals.in_flight.clear()
        for name, units in eviction.forget(self.totals, change).items():
            self.units[name].dropped += units


def increments(held: Held, accounts: Mapping[str, ColumnStats]) -> int:
    """Return how many calls a table accepted, from the accounts of all its columns; see ``compiled``."""
    in_rows = sum(account.accepted - held.units[name].beside for name, account in accounts.items())
    late = sum(sum(row.values()) for row in held.late.values())
    return held.totals.calls[0] + in_rows - late - held.totals.calls[1]


def is_clean(held: Held) -> bool:
    """Return whether everything of a table is written and nothing is set apart."""
    apart = held.late or held.resumed or len(held.unknown) or len(held.rejected)
    begun = held.totals.in_flight or held.totals.folds
    return not (apart or begun) and not any(True for _ in held.totals.dirty_chunks())
