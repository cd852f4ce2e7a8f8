"""
One table as the buffer holds it: its rows, what found no room, what is set apart, and the account of its columns.

Rules that live here:

* The account: ``accepted = applied + pending + in_flight + unknown + dropped`` for each column at every instant at
  which the lock is free. ``accepted`` is not kept, it is what the rows hold plus ``beside``; the right side is kept,
  each term where it changes, so that the identity can fail and is worth a test.
* Every method is called under the buffer's lock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aggregator.core.parked import Parked
from aggregator.core.records import ColumnStats
from aggregator.core.taken import INT64_MAX, INT64_MIN, Key, Taken
from aggregator.core.totals import Allocate, Gain, Totals


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


class Held:
    """Hold one table of one connection."""

    def __init__(
        self, connection: str, table: Any, columns: tuple[str, ...], capacity: int, allocate: Allocate
    ) -> None:
        self.connection = connection
        self.table = table  # the mapper's Table: opaque here but for full_name and primary_key
        self.name: str = table.full_name
        self.totals = Totals(self.name, columns, capacity, allocate)
        self.units = {name: Units() for name in columns}
        self.late: dict[Key, dict[str, int]] = {}  # accepted beyond the bound: placed as rows are freed
        self.unknown = Parked()
        self.rejected = Parked(most=capacity)  # their units stay counted as dropped
        self.error: str | None = None  # why the table is suspended

    def add_column(self, name: str) -> None:
        """Give the table one more counter column."""
        self.totals.add_column(name)
        self.units.setdefault(name, Units())

    def rows(self) -> int:
        """Return how many rows count towards ``max_keys``."""
        return len(self.totals) + len(self.unknown)

    # --- taking in --------------------------------------------------------------------------------------------

    def add_late(self, key: Key, deltas: Mapping[str, int]) -> None:
        """Accept deltas without a row."""
        row = self.late.setdefault(key, {})
        for name, delta in deltas.items():
            row[name] = row.get(name, 0) + delta

    def place_late(self, room: int) -> None:
        """Give rows to what was accepted without one: known rows always, at most ``room`` new ones."""
        for key in list(self.late):
            slot = self.totals.slot_of(key)
            if slot is None:
                if room <= 0 or (slot := self.totals.map(key)) is None:
                    continue
                room -= 1
            self._place_row(key, slot)

    def _place_row(self, key: Key, slot: int) -> None:
        # Sums of several requests can leave 64 bits: what fits goes now, the rest when the watermark has moved.
        row = self.late[key]
        part = {name: max(INT64_MIN, min(delta, INT64_MAX)) for name, delta in row.items()}
        if self.totals.gain(slot, part) is Gain.ADDED:
            rest = {name: delta - part[name] for name, delta in row.items() if delta != part[name]}
            if rest:
                self.late[key] = rest
            else:
                del self.late[key]

    def add_dropped(self, deltas: Mapping[str, int]) -> None:
        """Count deltas that were refused at the door as accepted and dropped."""
        for name, delta in deltas.items():
            self.units[name].beside += delta
            self.units[name].dropped += delta

    # --- what is on its way -----------------------------------------------------------------------------------

    def take(self, start: int) -> Taken | None:
        """Put what a chunk has pending in flight; None where it has nothing."""
        taken = self.totals.take(start)
        if taken is not None:
            for name, total in taken.sums().items():
                self.units[name].in_flight += total
        return taken

    def settle_applied(self, taken: Taken) -> int:
        """Account a chunk all of whose rows were applied; return its units."""
        sums = taken.sums()
        for name, total in sums.items():
            self.units[name].in_flight -= total
            self.units[name].applied += total
        self.totals.settle_all(taken)
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

    def park(self, key: Key, deltas: Mapping[str, int], at: datetime, reason: str) -> None:
        """Set deltas whose fate is unknown apart."""
        self.unknown.add(key, deltas, at, reason)
        for name, delta in deltas.items():
            self.units[name].add_unknown(delta)

    # --- resolving --------------------------------------------------------------------------------------------

    def unpark(self, key: Key, deltas: Mapping[str, int], version: int) -> bool:
        """Take shown deltas out of the unknown ones; the caller accounts for them next. False: resolved before."""
        sides = self.unknown.remove(key, deltas, version)
        if sides is None:
            return False
        for name, delta in sides[0].items():
            self.units[name].unknown_positive -= delta
        for name, delta in sides[1].items():
            self.units[name].unknown_negative -= delta
        return True

    def unreject(self, key: Key, deltas: Mapping[str, int], version: int) -> bool:
        """Take shown deltas out of the dead letters; the caller accounts for them next. False: resolved before."""
        if self.rejected.remove(key, deltas, version) is None:
            return False
        for name, delta in deltas.items():
            self.units[name].dropped -= delta
        return True

    def requeue(self, key: Key, deltas: Mapping[str, int]) -> None:
        """Make resolved deltas pending again: they were accepted once already."""
        self.add_late(key, deltas)
        for name, delta in deltas.items():
            self.units[name].beside -= delta


def increments(held: Held, accounts: Mapping[str, ColumnStats]) -> int:
    """Return how many calls a table accepted, from the accounts of all its columns; see ``compiled``."""
    in_rows = sum(account.accepted - held.units[name].beside for name, account in accounts.items())
    late = sum(sum(row.values()) for row in held.late.values())
    return held.totals.calls[0] + in_rows - late - held.totals.calls[1]
