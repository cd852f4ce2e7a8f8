"""
Folding: the rows of retired writers of an exact table are merged into those of a live one, each exactly once.

Rules that live here:

* One fold of a journal runs at a time, and it writes as a writer itself, from a slot of its own.
* Every slot that can be leased is leased, to the end. What it holds is written first; then it begins a new writer, and
  its journal keeps the name of the one it gave up. From there on a crash at any step is mended by running again.
* Who else may be folded, says ``retired``; how a row is merged, ``merging``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from aggregator.core.ledger import Change
from aggregator.exceptions import JournalError
from aggregator.journal.directory import Directory, open_directory
from aggregator.journal.lease import Lease
from aggregator.machine import now_us
from aggregator.merging import Merging, Row
from aggregator.retired import Retired
from aggregator.slots import OpenSlot, own_slot, take_slot, what_is_left
from coodie.plans import exact
from coodie.run import run

if TYPE_CHECKING:
    from aggregator.config import Options
    from aggregator.core.held import Held
    from coodie.schema import Table


@dataclass
class Folded:
    """
    What a fold did: rows merged, writers without a row left, and whom (or what slot) it left alone, and why.

    ``absent``: writers that were named as dead and have no row.
    """

    rows: int = 0
    gone: list[str] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    failure: str | None = None  # why it stopped before its end; the next fold goes on from there


class Folding:
    """One fold of one table. Made for one run, on one thread."""

    def __init__(self, options: Options, driver: Any, connection: str, table: Table, dead: Sequence[str] = ()) -> None:
        self.done = Folded()
        self._options = options
        self._driver = driver
        self._connection = connection
        self._table = table
        self._dead = dead
        self._slots: list[OpenSlot] = []  # the first is our own

    def run(self) -> Folded:
        """
        Fold every writer that may be, and say what was done.

        Raises:
            CoodieError: the database did not answer; what was begun is finished by the next fold, or by the next
                process of the slot.
            JournalError: the journal cannot be used, or another fold of it is running.
        """
        directory = open_directory(self._options.journal or "")
        with _alone(directory):
            try:
                self._open_slots(directory)
                held = self._own_table()
                for slot in self._slots:
                    slot.write()
                self._fold_all(directory, held)
            finally:
                for slot in self._slots:
                    slot.close()
        return self.done

    # --- slots ------------------------------------------------------------------------------------------------

    def _open_slots(self, directory: Directory) -> None:
        self._slots.append(own_slot(self._options))
        for number in directory.slots():
            if number != self._slots[0].number:
                found = take_slot(directory, number, self._options)
                if isinstance(found, str):
                    self._skip(f"slot {number}", found)
                else:
                    self._slots.append(found)

    def _own_table(self) -> Held:
        columns = tuple(column.name for column in self._table.counter_columns)
        held = self._slots[0].buffer.table(self._connection, self._table, columns)
        if not held.is_exact:
            raise JournalError(
                f"slot {self._slots[0].number} of the journal counted for {held.name} when its counters were "
                f"{held.table.counters!r}: that was another table; nothing was done"
            )
        missing = [column for column in self._table.columns if column.name not in held.table.by_name]
        if missing:
            held.table = replace(held.table, columns=(*held.table.columns, *missing), _in_keyspace={})
        return held

    def _tables(self) -> Iterator[tuple[OpenSlot, Held]]:
        """Yield what each slot holds of the table, over whatever connection."""
        for slot in self._slots:
            for held in slot.buffer.tables.values():
                if held.is_exact and held.name == self._table.full_name:
                    yield slot, held

    def _retire(self, present: list[str]) -> None:
        """Give up the writers of the other slots that have rows, and nothing left to write."""
        for slot, held in self._tables():
            name, left = f"slot {slot.number}", what_is_left(held)
            if slot is self._slots[0] or held.writer not in present:
                continue
            if held.connection != self._connection:
                self._skip(name, f"it counted over the connection {held.connection!r}; give --connection")
            elif left:
                self._skip(name, f"{left:,} rows of it are not written yet: {_why(slot)}")
            else:
                with slot.buffer.lock:
                    held.forget(retire=True)

    def _skip(self, what: str, why: str) -> None:
        self.done.skipped.append((what, why))

    # --- writers ----------------------------------------------------------------------------------------------

    def _fold_all(self, directory: Directory, own: Held) -> None:
        if what_is_left(own):
            why = _why(self._slots[0])
            self.done.failure = f"what slot {self._slots[0].number} holds must be written first, and was not: {why}"
            return
        present = self._writers()
        self._retire(present)
        retired = Retired(directory, self._slots, list(self._tables()), self._dead)
        merging = Merging(self._slots[0], own, self._driver, self._options)
        for writer in present:
            if not retired.is_present(writer):
                self._fold(writer, retired, merging)
            if self.done.failure is not None:
                return
        self.done.absent = sorted(set(self._dead).difference(present))
        self._forget_gone(set(present))
        for why, count in merging.left.items():
            self._skip(f"{count:,} rows", why)

    def _fold(self, writer: str, retired: Retired, merging: Merging) -> None:
        rows: list[Row] = run(exact.rows_of(self._table, writer), self._driver)
        why = retired.why_not(writer, rows, now_us())
        if why is not None:
            self._skip(writer, why)
            return
        self.done.failure = merging.merge(writer, rows, retired.last_stamp(writer))
        self.done.rows = merging.rows

    def _forget_gone(self, present: set[str]) -> None:
        """Forget retired writers that have no row any more."""
        after = set(self._writers())
        self.done.gone = sorted(present - after)
        for slot, held in self._tables():
            left = [writer for writer in held.retired if writer in after]
            if left != held.retired:
                with slot.buffer.lock:
                    held.retired = left
                    held.ledger.tell_later(Change(retired=left))
                    held.ledger.made()

    def _writers(self) -> list[str]:
        found: list[str] = run(exact.writers(self._table), self._driver)
        return found


@contextmanager
def _alone(directory: Directory) -> Iterator[None]:
    """Keep every other fold of this journal away: two of them could merge the same row of a lost host."""
    place = directory.path / "fold"
    place.mkdir(mode=0o700, exist_ok=True)
    lease = Lease.take(place, -1)
    if lease is None:
        raise JournalError(f"another fold of the journal {directory.path} is running; nothing was done")
    try:
        yield
    finally:
        lease.close()


def _why(slot: OpenSlot) -> str:
    return "; ".join(slot.errors) or "the database did not take it"
