"""
Merging the rows of one retired writer into ours, some at a time.

Rules that live here:

* Our own row is read first, whatever is known of it: a deletion that rests on an old journal could not be taken back.
* Then one change of the journal marks the rows; sending them is the flush's work (``flusher.folds``), now as after a
  crash.
* A row that cannot be merged stays as it is; both rows of it are right.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from aggregator.core import eviction, folds
from aggregator.core.taken import Base, Fold, Key
from aggregator.flusher.bases import Bases
from coodie.exceptions import InvalidQueryError
from coodie.plans import exact

if TYPE_CHECKING:
    from aggregator.config import Options
    from aggregator.core.held import Held
    from aggregator.slots import OpenSlot

ROWS = 128
"""Rows marked with one change of the journal."""

Row: TypeAlias = tuple[tuple[Any, ...], exact.Own]
"""The key values of a row, and what a writer has there."""


class Merging:
    """Merge rows into those of one held table of a slot. On one thread."""

    def __init__(self, slot: OpenSlot, held: Held, driver: Any, options: Options) -> None:
        self.rows = 0
        self.left: dict[str, int] = {}  # why rows were left as they are -> how many
        self._slot = slot
        self._held = held
        self._bases = Bases(slot.buffer, driver, options, lambda: False)
        self._most = min(ROWS, options.max_keys)

    def merge(self, writer: str, rows: Sequence[Row], last_stamp: int) -> str | None:
        """
        Merge every row of a writer; ``last_stamp`` (us): the latest its journal gave out, 0 where that is not known.

        Returns:
            Why it stopped before the end; what was marked then is finished by the next owner of the slot.
        """
        for start in range(0, len(rows), self._most):
            some = ((self._key(values), own) for values, own in rows[start : start + self._most])
            found = {key: own for key, own in some if key is not None}
            begun = self._begin(writer, found, last_stamp)
            self._slot.write()
            self.rows += begun - len(self._held.totals.folds)
            if self._held.totals.folds:
                return "; ".join(self._slot.errors) or "the database did not take all of it"
        return None

    def _key(self, values: tuple[Any, ...]) -> Key | None:
        """Return key values as the buffer knows them."""
        columns = self._held.table.primary_key
        try:
            key = tuple(map(self._held.table.key_value, columns, values))
        except InvalidQueryError as error:
            self._leave(str(error))
            return None
        return key if len(key) > 1 else key[0]

    def _leave(self, why: str) -> None:
        self.left[why] = self.left.get(why, 0) + 1

    def _begin(self, writer: str, found: dict[Key, exact.Own], last_stamp: int) -> int:
        """Mark the rows that can be, and return how many those are."""
        totals = self._held.totals
        slots = self._mapped(list(found))
        while not self._bases.read_rows(self._held, [(slot, key) for key, slot in slots.items()]):
            pass  # another writer has begun, which has no rows yet
        rows = {}
        with self._slot.buffer.lock:
            for key, slot in slots.items():
                amounts = {name: total for name, (total, _written) in found[key].items()}
                if totals.bases[slot] != Base.KNOWN or not folds.fits(totals, slot, amounts):
                    self._leave("the sum of both rows would leave 64 bits")
                else:
                    newest = max((written for _total, written in found[key].values()), default=0)
                    rows[slot] = (Fold(writer, max(newest, last_stamp) + 1), amounts)
            if rows:
                folds.begin(totals, rows)
        return len(rows)

    def _mapped(self, keys: list[Key]) -> dict[Key, int]:
        totals = self._held.totals
        slots = {}
        with self._slot.buffer.lock:
            excess = len(totals) + len(keys) - min(self._slot.buffer.max_keys, totals.capacity)
            if excess > 0:
                eviction.evict(totals, excess)
            for key in keys:
                slot = totals.map(key)
                if slot is None:
                    self._leave("the slot's buffer has no room for it (max_keys)")
                else:
                    slots[key] = slot
        return slots
