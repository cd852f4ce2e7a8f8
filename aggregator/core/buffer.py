"""
All tables of one process under one lock and one bound.

Rules that live here:

* ``max_keys`` bounds the rows that are held: dirty, in flight, parked, and clean ones kept as a cache. A row already
  held always merges; a new one makes room by evicting clean rows, and only when there are none is the buffer full.
* The lock is re-entrant and handed in with a way to ask whether this thread holds it. An increment raised inside a
  locked section of its own thread (a signal handler, a finalizer, a log handler) goes to a side entrance, a deque, and
  is merged by whoever takes the lock next: nothing deadlocks and nothing is lost.
* Readers of the account merge the side entrance first, so what was accepted is always seen.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from enum import Enum
from typing import Any

from aggregator.core import eviction, rewriting
from aggregator.core.held import Held
from aggregator.core.ledger import OpenLedger
from aggregator.core.taken import Key
from aggregator.core.totals import Gain
from aggregator.exceptions import JournalError


class Added(Enum):
    """What became of deltas offered to the buffer."""

    ADDED = "added"
    FULL = "no room for a new row"
    OVERFLOW = "the pending sum would leave 64 bits"
    CLOSED = "the buffer was closed"
    UNJOURNALED = "the journal cannot take a new row"


class Buffer:
    """Hold every table; see the module's rules. Safe from any thread."""

    def __init__(
        self,
        max_keys: int,
        lock: AbstractContextManager[Any],
        is_owned: Callable[[], bool],
        open_ledger: OpenLedger,
    ) -> None:
        self.max_keys = max_keys
        self.batch = max_keys  # rows, new or held, at which ``on_batch`` is called once
        self.on_batch: Callable[[], None] = lambda: None  # must not block: it is called under the lock
        self.lock = lock
        self.closed = False
        self.ended = False  # nothing is taken any more, by no road
        self.new_rows = 0  # since the last flush began
        self.journal_error: JournalError | None = None  # why the journal could not take a row last time
        self.tables: dict[tuple[str, str], Held] = {}
        self._is_owned = is_owned
        self._open_ledger = open_ledger
        self._side: deque[tuple[Held, Key, Mapping[str, int]]] = deque()

    def table(self, connection: str, table: Any, columns: tuple[str, ...]) -> Held:
        """Return the held table of a connection, made at first use; columns it does not have yet are added."""
        with self.lock:
            held = self.tables.get((connection, table.full_name))
            if held is None:
                ledger = self._open_ledger(connection, table, self.max_keys)
                held = Held(connection, table, columns, self.max_keys, ledger)
                ledger.attach(held)
                if held.is_exact:
                    held.begin_writer()
                # A signal handler may have counted in it meanwhile: what that one made, and the log says last, is it.
                held = self.tables.setdefault((connection, table.full_name), held)
            for name in columns:
                held.add_column(name)
            return held

    # --- taking in --------------------------------------------------------------------------------------------

    def add(self, held: Held, key: Key, deltas: Mapping[str, int]) -> Added:
        """Add checked deltas to a row, all or none."""
        if self._is_owned():
            self._side.append((held, key, deltas))
            return Added.ADDED
        with self.lock:
            added = self._add_locked(held, key, deltas)
            if self._side:
                self._merge_side()
            return added

    def join(self, held: Held, key: Key, deltas: Mapping[str, int], calls: int) -> bool:
        """Add what a request collected, whether there is room or not; False: the buffer was closed."""
        if self._is_owned():
            self._side.append((held, key, deltas))
            return True
        with self.opened():
            if self.closed:
                return False
            if self._add_locked(held, key, deltas) is not Added.ADDED:
                held.add_late(key, deltas)
                held.totals.calls[0] += 1
            held.totals.calls[0] += calls - 1
            return True

    def join_closed(self, held: Held, key: Key, deltas: Mapping[str, int], calls: int) -> None:
        """Add what a request collected after the buffer was closed; the caller flushes it."""
        with self.opened():
            held.add_late(key, deltas)
            held.totals.calls[0] += calls

    def _add_locked(self, held: Held, key: Key, deltas: Mapping[str, int]) -> Added:
        if self.closed:
            return Added.CLOSED
        slot = held.totals.slots.get(key)
        if slot is None and key not in held.late:
            if not self.has_room():
                return Added.FULL
            try:
                slot = held.totals.map(key)
            except JournalError as error:
                self.journal_error = error
                return Added.UNJOURNALED
            if slot is None:
                return Added.FULL
            self.new_rows += 1
            if self.batch in (self.new_rows, self.rows()):
                self.on_batch()
        gained = rewriting.gain(held.totals, slot, deltas) if slot is not None else Gain.LATER
        if gained is Gain.OVERFLOW:
            return Added.OVERFLOW
        if gained is Gain.LATER and not self._accepted_late(held, key, deltas):
            return Added.UNJOURNALED
        held.totals.calls[0] += 1
        return Added.ADDED

    def _accepted_late(self, held: Held, key: Key, deltas: Mapping[str, int]) -> bool:
        try:
            held.add_late(key, deltas, must=True)
        except JournalError as error:
            self.journal_error = error
            return False
        return True

    def add_anyway(self, held: Held, key: Key, deltas: Mapping[str, int], calls: int = 1) -> Added:
        """Add deltas of an exact row whether there is room or not, also once the buffer is closed."""
        if self._is_owned():
            self._side.append((held, key, deltas))
            return Added.ADDED
        with self.opened():
            if self.ended:
                return Added.CLOSED
            slot = None if key in held.late else held.totals.slot_of(key)
            gained = rewriting.gain(held.totals, slot, deltas) if slot is not None else Gain.LATER
            if gained is Gain.OVERFLOW:
                return Added.OVERFLOW
            if gained is Gain.LATER and not self._accepted_late(held, key, deltas):
                return Added.UNJOURNALED
            held.totals.calls[0] += calls
            return Added.ADDED

    def add_dropped(self, held: Held, deltas: Mapping[str, int], calls: int = 1) -> None:
        """Count deltas as accepted and dropped at the door."""
        with self.opened():
            held.add_dropped(deltas)
            held.totals.calls[0] += calls

    # --- room -------------------------------------------------------------------------------------------------

    def rows(self) -> int:
        """Return how many rows count towards ``max_keys``."""
        return sum(held.rows() for held in list(self.tables.values()))

    def has_room(self) -> bool:
        """Return whether one more row fits, evicting clean rows where that is needed. The caller holds the lock."""
        if self.rows() < self.max_keys:
            return True
        wanted = self.rows() - self.max_keys + max(1, min(1024, self.max_keys // 8))
        for held in list(self.tables.values()):
            wanted -= eviction.evict(held.totals, wanted)
            if wanted <= 0:
                break
        return self.rows() < self.max_keys

    def _room_of_need(self) -> int:
        """Return 1 where nothing but parked rows takes all the room: else what waits for some would wait for ever."""
        return 0 if any(len(held.totals) for held in list(self.tables.values())) else 1

    # --- looking ----------------------------------------------------------------------------------------------

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Hold the lock, with the side entrance merged and late rows placed where there is room."""
        with self.lock:
            self._merge_side()
            for held in list(self.tables.values()):
                if held.late:
                    held.place_late(self.max_keys - self.rows() if self.has_room() else self._room_of_need())
            yield
            self._merge_side()

    def _merge_side(self) -> None:
        while self._side:
            held, key, deltas = item = self._side.popleft()
            try:
                if self._add_locked(held, key, deltas) is not Added.ADDED:
                    held.add_late(key, deltas)
                    held.totals.calls[0] += 1
            except BaseException:  # of a signal handler: what it cut short was accepted before
                self._side.appendleft(item)
                raise

    def dirty_rows(self, enough: int) -> int:
        """Count rows with something pending, stopping somewhere beyond ``enough``."""
        count = 0
        with self.opened():
            for held in list(self.tables.values()):
                count += len(held.late) + held.totals.dirty_rows(enough - count)
                if count >= enough:
                    break
        return count

    def keep_copies(self) -> None:
        """Go on with copies of the rows in plain memory: what held them is about to be closed."""
        with self.opened():
            self.ended = True
            for held in list(self.tables.values()):
                rewriting.keep_copies(held.totals)

    def close(self) -> None:
        """Refuse every further increment: writers miss, and find the buffer closed. What is pending can be taken."""
        with self.opened():
            self.closed = True
            for held in list(self.tables.values()):
                held.totals.close()
