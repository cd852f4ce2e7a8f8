"""
The rows of one table: cumulative totals, and beside each the watermark up to which it is settled.

Rules that live here:

* A total only grows by what was accepted; nothing is ever swapped out or reset under a writer. What is pending is
  ``total - settled``. On an exact table the total is what this writer has ever added to the row, and is what is
  written; on a native one the difference is.
* A writer does ``total[slots[key]] += n`` (see ``compiled``): from the look-up of the slot to the store nothing else
  of this process can run in between (with the lock-free form because no bytecode there lets another thread in, with
  the locked form because everything here runs under the same lock). Hence the one rule that makes slots safe to take
  away or to rewrite: **unmap first** (see ``rewriting``).
* A key enters ``slots`` only once the ledger has it: what a writer adds to a slot is then as safe as the ledger is.
* A row of a chunk in flight is never evicted, so settling a whole chunk is one copy per column.
* Only canonical keys are in ``slots``. A key of another type finds its row where Python calls the two equal (1 and
  True); any other that is not canonical misses, and is checked on the slow road.
* Every method is called under the buffer's lock, but for the writers' fast path.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from functools import partial

from aggregator.core.ledger import Change, Ledger
from aggregator.core.steps import to_its_end
from aggregator.core.taken import CHUNK, INT64_MAX, INT64_MIN, Base, Fold, Key, Taken, doubtful, gained, packed, rounded
from aggregator.exceptions import JournalError

WRITABLE = (Base.KNOWN, Base.DOUBTFUL)
"""Rows of exact tables that an ordinary flush writes."""


class Gain(Enum):
    """What became of deltas offered to a row."""

    ADDED = "added"
    OVERFLOW = "the pending sum, or an exact writer's total, would leave 64 bits"
    LATER = "the watermark must move first, and the row's chunk is in flight"
    ROOM = "the total must be shifted first: see rewriting.make_room"


class ColumnTotals:
    """One counter column: a total and a settled watermark per slot, and what was sent where a journal asks for it."""

    __slots__ = ("evicted", "name", "sent", "settled", "total")

    def __init__(self, name: str, ledger: Ledger) -> None:
        arrays = ledger.column(name)
        self.name = name
        self.total = arrays.total
        self.settled = arrays.settled
        self.sent = arrays.sent
        self.evicted = (
            0  # accepted units that the totals do not show: of evicted rows, less what was found at the start
        )

    def put(self, slot: int, total: int | None, settled: int) -> None:
        """Store a slot's values; no total: leave it to its writers."""
        if total is not None:
            self.total[slot] = total
        self.settled[slot] = settled
        if self.sent is not None:
            self.sent[slot] = settled


class Totals:
    """Hold the rows of one table; see the module's rules for who may call what."""

    def __init__(
        self, name: str, columns: Iterable[str], capacity: int, ledger: Ledger, *, is_exact: bool = False
    ) -> None:
        self.name = name
        self.capacity = rounded(capacity)
        self.ledger = ledger
        self.is_exact = is_exact
        self.slots: dict[Key, int] = {}
        self.keys: list[Key | None] = []  # slot -> key; None where a slot is free
        self.bases = bytearray()  # slot -> Base, of an exact table
        self.forgets = False  # exact: rows were let go, so what a new row has in the database is not known
        self.doubts: dict[int, dict[str, int]] = {}  # exact: slot -> what a journal that may be old had pending
        self.folds: dict[Key, Fold] = {}  # exact: rows that only a fold may write, see ``folds``
        self.free: list[int] = []
        self.columns: dict[str, ColumnTotals] = {}
        self.calls = [0, 0]  # calls, and units stored, but for those of the first road: see ``compiled``
        self.in_flight: dict[int, Taken] = {}  # start of chunk -> what is in flight
        self.hand = 0  # where eviction looks next
        self._unmapped: dict[Key, int] | None = None  # after close(): where the rows were
        for column in columns:
            self.add_column(column)

    def add_column(self, name: str) -> ColumnTotals:
        """Give the table one more counter column, or return the one it has."""
        found = self.columns.get(name)
        if found is None:
            found = self.columns[name] = ColumnTotals(name, self.ledger)
        return found

    def __len__(self) -> int:
        return len(self.keys) - len(self.free)

    # --- writing ----------------------------------------------------------------------------------------------

    def map(self, key: Key) -> int | None:
        """
        Return the slot of a key, giving it one if there is space; None: the table is at its capacity.

        Raises ``JournalError`` where the ledger cannot keep the key; then it has no slot.
        """
        slot = self.slot_of(key)
        if slot is None:
            slot = self.free[-1] if self.free else len(self.keys)
            if slot >= self.capacity:
                return None
            base = Base.UNREAD if self.forgets else Base.KNOWN
            self.ledger.reserve(slot)
            if self.ledger.keeps:
                self.ledger.tell(Change(keys={slot: key}, bases={slot: base} if self.is_exact else {}))
            to_its_end(partial(self._enter, slot, key, base))
        return slot

    def _enter(self, slot: int, key: Key, base: int) -> None:
        """Give a slot to a key; may be made twice."""
        if slot == len(self.bases):
            self.bases.append(base)
        self.bases[slot] = base
        if slot == len(self.keys):
            self.keys.append(key)
        self.keys[slot] = key
        if self.free and self.free[-1] == slot:
            self.free.pop()
        self.mapped[key] = slot

    @property
    def mapped(self) -> dict[Key, int]:
        """Where keys have their slots: once closed, where no writer looks."""
        return self.slots if self._unmapped is None else self._unmapped

    def gain(self, slot: int, deltas: Mapping[str, int]) -> Gain:
        """Add deltas to a row, all or none, and say whether they were added."""
        for name, delta in deltas.items():
            column = self.columns[name]
            if not INT64_MIN <= column.total[slot] - column.settled[slot] + delta <= INT64_MAX:
                return Gain.OVERFLOW
            if not INT64_MIN <= column.total[slot] + delta <= INT64_MAX:
                if self.is_exact:
                    return Gain.OVERFLOW
                return Gain.LATER if slot // CHUNK * CHUNK in self.in_flight else Gain.ROOM
        for name, delta in deltas.items():
            self.columns[name].total[slot] += delta
        self.calls[1] += sum(deltas.values())
        return Gain.ADDED

    # --- reading ----------------------------------------------------------------------------------------------

    def slot_of(self, key: Key) -> int | None:
        """Return the slot of a key that has one, also after :meth:`close`."""
        return self.mapped.get(key)

    def pending_of(self, slot: int) -> dict[str, int]:
        """Return what a row has pending or in flight, without the columns that have nothing."""
        found = {name: column.total[slot] - column.settled[slot] for name, column in self.columns.items()}
        return {name: delta for name, delta in found.items() if delta}

    def sums(self, name: str) -> tuple[int, int]:
        """Return the sums of a column over all rows: total, settled."""
        column = self.columns[name]
        starts = range(0, len(self.keys), CHUNK)
        total = sum(sum(column.total[start : start + CHUNK]) for start in starts)
        settled = sum(sum(column.settled[start : start + CHUNK]) for start in starts)
        return total, settled

    def dirty_chunks(self) -> Iterator[int]:
        """Yield the start of each chunk in which a total differs from its watermark."""
        return (start for start in range(0, len(self.keys), CHUNK) if self.is_dirty(start))

    def is_dirty(self, start: int) -> bool:
        """Return whether a row of a chunk has something pending or in flight."""
        chunk = slice(start, start + CHUNK)
        differs = any(c.total[chunk].tobytes() != c.settled[chunk].tobytes() for c in self.columns.values())
        return differs or Base.DOUBTFUL in self.bases[chunk]

    def dirty_rows(self, enough: int) -> int:
        """Count rows with something pending, stopping at ``enough``."""
        count = 0
        for start in self.dirty_chunks():
            count += len(self.gained(start))
            if count >= enough:
                break
        return count

    def gained(self, start: int) -> Taken:
        """Return what the rows of a chunk have pending now, without putting it in flight."""
        end = start + CHUNK
        copies = {name: memoryview(bytearray(c.total[start:end])).cast("q") for name, c in self.columns.items()}
        settled = {name: column.settled[start:end].tolist() for name, column in self.columns.items()}
        return gained(start, self.keys[start:end], copies, settled, doubtful(self.bases[start:end]))

    # --- taking and settling ----------------------------------------------------------------------------------

    def take(self, start: int, most: int | None = None, mark: tuple[int, int] | None = None) -> Taken | None:
        """
        Put what a chunk has pending (of ``most`` rows) in flight and return it; None: nothing, or in flight.

        ``mark``: what it is written under in the database, and the index of its first row there; where the ledger
        cannot keep that, ``JournalError`` is raised with nothing in flight.
        """
        if start in self.in_flight or not self.is_dirty(start):
            return None
        taken = self.gained(start)
        if most is not None and most < len(taken):
            taken = taken.only(range(most))
        if self.is_exact and self.bases[start : start + CHUNK].strip(bytes(WRITABLE)):
            known = [at for at, offset in enumerate(taken.offsets) if self.bases[start + offset] in WRITABLE]
            taken = taken.only(known)
        if not len(taken):
            return None
        if mark is not None:
            # With its rows: when some of them are settled and the process dies, the others' indexes must be known. And
            # not later: an older intent of this chunk would be taken for this one's.
            self.ledger.tell(Change(intent=(start, *mark, packed(taken.offsets))))
            self.ledger.made()
        self._intend(taken)
        self.in_flight[start] = taken
        return taken

    def _intend(self, taken: Taken) -> None:
        """Have the ledger know what may be stored from now on, before any of it is sent."""
        end = taken.start + CHUNK
        for name, copy in taken.copies.items():
            sent = self.columns[name].sent
            if sent is None:
                continue
            if taken.is_partial:
                for offset in taken.offsets:
                    sent[taken.start + offset] = copy[offset]
            else:
                sent[taken.start : end] = copy
        try:
            self.ledger.intend()
        except JournalError:  # nothing is sent: the next process must not take it for what was
            for column in self.columns.values():
                if column.sent is not None:
                    column.sent[taken.start : end] = column.settled[taken.start : end]
            raise

    def settle_all(self, taken: Taken) -> None:
        """Move the watermark of all that was taken: every row of it was told a fate that settles."""
        if taken.is_partial:
            self.settle_rows(taken, set())
            return
        end = taken.start + CHUNK
        for name, copy in taken.copies.items():
            self.columns[name].settled[taken.start : end] = copy
        del self.in_flight[taken.start]

    def settle_rows(self, taken: Taken, keep_pending: set[int]) -> None:
        """
        Move the watermark of the taken rows, but for those at the offsets that stay pending.

        Of these, what was sent is surely not stored (native), or will be written over (exact): there it stays noted.
        """
        for name, copy in taken.copies.items():
            settled = self.columns[name].settled
            for offset in taken.offsets:
                if offset not in keep_pending:
                    settled[taken.start + offset] = copy[offset]
        unsend(self, taken, keep_pending)
        del self.in_flight[taken.start]

    def close(self) -> None:
        """Unmap every row, so that every writer misses from now on; what is pending stays and can still be taken."""
        if self._unmapped is None:
            self._unmapped = dict(self.slots)
            self.slots.clear()  # in place: compiled writers hold this very dict


def pending_rows(totals: Totals) -> Iterator[tuple[Key, dict[str, int]]]:
    """Yield every row that has something pending or in flight."""
    for start in totals.dirty_chunks():
        for slot in range(start, min(start + CHUNK, len(totals.keys))):
            deltas = totals.pending_of(slot)
            if deltas:
                yield totals.keys[slot], deltas


def unsend(totals: Totals, taken: Taken, offsets: Iterable[int]) -> None:
    """Note of taken rows of a native table that they are surely not stored: a process after us need not ask."""
    sent = [(totals.columns[name].sent, totals.columns[name].settled) for name in taken.copies]
    for offset in offsets if not totals.is_exact else ():
        slot = taken.start + offset
        for array, settled in sent:
            if array is not None:
                array[slot] = settled[slot]
