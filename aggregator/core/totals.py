"""
The rows of one table in memory: cumulative totals, and beside each the watermark up to which it is settled.

Rules that live here:

* A total only grows by what was accepted; nothing is ever swapped out or reset under a writer. What is pending is
  ``total - settled``.
* A writer does ``total[slots[key]] += n`` (see ``compiled``): from the look-up of the slot to the store nothing else
  of this process can run in between (with the lock-free form because no bytecode there lets another thread in, with
  the locked form because everything here runs under the same lock). Hence the one rule that makes slots safe to take
  away: **unmap first**. Once a key is out of ``slots`` no writer can reach its slot, and what the slot holds is final.
* A row of a chunk in flight is never evicted, so settling a whole chunk is one copy per column.
* Only canonical keys are in ``slots``. A key of another type finds its row where Python calls the two equal (1 and
  True); any other that is not canonical misses, and is checked on the slow road.
* Every method is called under the buffer's lock, but for the writers' fast path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import TypeAlias

from aggregator.core.taken import CHUNK, INT64_MAX, INT64_MIN, Key, Taken, gained

Allocate: TypeAlias = Callable[[int], "memoryview[int]"]
"""Gives a zeroed ``memoryview`` of that many int64 slots: anonymous memory, or a journal's file."""


class Gain(Enum):
    """What became of deltas offered to a row."""

    ADDED = "added"
    OVERFLOW = "the pending sum would leave 64 bits"
    LATER = "the watermark must move first, and the row's chunk is in flight"


class ColumnTotals:
    """One counter column: a total and a settled watermark per slot."""

    __slots__ = ("evicted", "name", "settled", "total")

    def __init__(self, name: str, capacity: int, allocate: Allocate) -> None:
        self.name = name
        self.total = allocate(capacity)
        self.settled = allocate(capacity)
        self.evicted = 0  # what evicted rows had accepted, so that nothing leaves the books


class Totals:
    """Hold the rows of one table; see the module's rules for who may call what."""

    def __init__(self, name: str, columns: tuple[str, ...], capacity: int, allocate: Allocate) -> None:
        self.name = name
        self.capacity = -(-capacity // CHUNK) * CHUNK
        self._allocate = allocate
        self.slots: dict[Key, int] = {}
        self.keys: list[Key | None] = []  # slot -> key; None where a slot is free
        self._unmapped: dict[Key, int] | None = None  # after close(): where the rows were
        self._free: list[int] = []
        self.columns: dict[str, ColumnTotals] = {}
        self.calls = [0, 0]  # calls, and units stored, but for those of the first road: see ``compiled``
        self.in_flight: dict[int, Taken] = {}  # start of chunk -> what is in flight
        self._hand = 0  # where eviction looks next
        for column in columns:
            self.add_column(column)

    def add_column(self, name: str) -> ColumnTotals:
        """Give the table one more counter column, or return the one it has."""
        found = self.columns.get(name)
        if found is None:
            found = self.columns[name] = ColumnTotals(name, self.capacity, self._allocate)
        return found

    def __len__(self) -> int:
        return len(self.keys) - len(self._free)

    # --- writing ----------------------------------------------------------------------------------------------

    def map(self, key: Key) -> int | None:
        """Return the slot of a key, giving it one if there is space; None: the table is at its capacity."""
        slot = self.slot_of(key)
        if slot is None:
            slot = self._free.pop() if self._free else len(self.keys)
            if slot >= self.capacity:
                return None
            if slot == len(self.keys):
                self.keys.append(key)
            else:
                self.keys[slot] = key
            self._map[key] = slot
        return slot

    @property
    def _map(self) -> dict[Key, int]:
        # Once closed, rows are mapped where no writer looks.
        return self.slots if self._unmapped is None else self._unmapped

    def gain(self, slot: int, deltas: Mapping[str, int]) -> Gain:
        """Add deltas to a row, all or none, and say whether they were added."""
        for name, delta in deltas.items():
            column = self.columns[name]
            if not INT64_MIN <= column.total[slot] - column.settled[slot] + delta <= INT64_MAX:
                return Gain.OVERFLOW
            if not INT64_MIN <= column.total[slot] + delta <= INT64_MAX:
                if slot // CHUNK * CHUNK in self.in_flight:
                    return Gain.LATER
                self._rebase(slot, column)
        for name, delta in deltas.items():
            self.columns[name].total[slot] += delta
        units = sum(deltas.values())
        self.calls[1] += units
        return Gain.ADDED

    def _rebase(self, slot: int, column: ColumnTotals) -> None:
        """Shift a total and its watermark by the same amount, so that the total has room for 64 bits of pending."""
        shift = column.settled[slot]
        column.total[slot] -= shift
        column.settled[slot] -= shift
        column.evicted += shift

    # --- reading ----------------------------------------------------------------------------------------------

    def slot_of(self, key: Key) -> int | None:
        """Return the slot of a key that has one, also after :meth:`close`."""
        return self._map.get(key)

    def pending_of(self, slot: int) -> dict[str, int]:
        """Return what a row has pending or in flight, without the columns that have nothing."""
        found = {name: column.total[slot] - column.settled[slot] for name, column in self.columns.items()}
        return {name: delta for name, delta in found.items() if delta}

    def pending_rows(self) -> Iterator[tuple[Key, dict[str, int]]]:
        """Yield every row that has something pending or in flight."""
        for start in self.dirty_chunks():
            for slot in range(start, min(start + CHUNK, len(self.keys))):
                deltas = self.pending_of(slot)
                if deltas:
                    yield self.keys[slot], deltas

    def sums(self, name: str) -> tuple[int, int]:
        """Return the sums of a column over all rows: total, settled."""
        column = self.columns[name]
        starts = range(0, len(self.keys), CHUNK)
        total = sum(sum(column.total[start : start + CHUNK]) for start in starts)
        settled = sum(sum(column.settled[start : start + CHUNK]) for start in starts)
        return total, settled

    def dirty_chunks(self) -> Iterator[int]:
        """Yield the start of each chunk in which a total differs from its watermark."""
        return (start for start in range(0, len(self.keys), CHUNK) if self._is_dirty(start))

    def _is_dirty(self, start: int) -> bool:
        chunk = slice(start, start + CHUNK)
        return any(c.total[chunk].tobytes() != c.settled[chunk].tobytes() for c in self.columns.values())

    def dirty_rows(self, enough: int) -> int:
        """Count rows with something pending, stopping at ``enough``."""
        count = 0
        for start in self.dirty_chunks():
            count += len(self._gained(start, self._copies(start)))
            if count >= enough:
                break
        return count

    # --- taking and settling ----------------------------------------------------------------------------------

    def take(self, start: int) -> Taken | None:
        """Put what a chunk has pending in flight and return it; None where there is nothing or it is in flight."""
        if start in self.in_flight:
            return None
        if not self._is_dirty(start):
            return None
        taken = self._gained(start, self._copies(start))
        self.in_flight[start] = taken
        return taken

    def _copies(self, start: int) -> dict[str, memoryview[int]]:
        end = start + CHUNK
        return {name: memoryview(bytearray(c.total[start:end])).cast("q") for name, c in self.columns.items()}

    def _gained(self, start: int, copies: dict[str, memoryview[int]]) -> Taken:
        end = start + CHUNK
        settled = {name: column.settled[start:end].tolist() for name, column in self.columns.items()}
        return gained(start, self.keys[start:end], copies, settled)

    def settle_all(self, taken: Taken) -> None:
        """Move the watermark of a whole chunk to what was taken: every row of it was told a fate that settles."""
        end = taken.start + CHUNK
        for name, copy in taken.copies.items():
            self.columns[name].settled[taken.start : end] = copy
        del self.in_flight[taken.start]

    def settle_rows(self, taken: Taken, keep_pending: set[int]) -> None:
        """Move the watermark of the taken rows, but for those at the offsets that stay pending."""
        for offset in taken.offsets:
            if offset not in keep_pending:
                for name, copy in taken.copies.items():
                    self.columns[name].settled[taken.start + offset] = copy[offset]
        del self.in_flight[taken.start]

    # --- letting go -------------------------------------------------------------------------------------------

    def evict(self, wanted: int) -> int:
        """Free up to ``wanted`` clean rows, going round the chunks; return how many."""
        freed = 0
        chunks = -(-len(self.keys) // CHUNK)
        for _ in range(chunks):
            start = self._hand % chunks * CHUNK
            if start not in self.in_flight:
                freed += self._evict_chunk(start, wanted - freed)
            if freed >= wanted:
                break
            self._hand += 1
        return freed

    def _evict_chunk(self, start: int, wanted: int) -> int:
        freed = 0
        for slot in range(start, min(start + CHUNK, len(self.keys))):
            if freed >= wanted:
                break
            key = self.keys[slot]
            if key is not None and self._is_clean(slot) and self._evict_row(key, slot):
                freed += 1
        return freed

    def _evict_row(self, key: Key, slot: int) -> bool:
        # Unmap first: only then is "clean" a fact that no writer can overtake.
        self._map.pop(key, None)
        if not self._is_clean(slot):
            self._map[key] = slot
            return False
        for column in self.columns.values():
            column.evicted += column.total[slot]
            column.total[slot] = 0
            column.settled[slot] = 0
        self.keys[slot] = None
        self._free.append(slot)
        return True

    def _is_clean(self, slot: int) -> bool:
        return all(column.total[slot] == column.settled[slot] for column in self.columns.values())

    def close(self) -> None:
        """Unmap every row, so that every writer misses from now on; what is pending stays and can still be taken."""
        if self._unmapped is None:
            self._unmapped = dict(self.slots)
            self.slots.clear()  # in place: compiled writers hold this very dict
