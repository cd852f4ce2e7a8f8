"""
Slots of a journal in the hands of a command: opened in place, written as their owners would have, and given back.

Rules that live here:

* A slot whose owner lives is left alone: its lease cannot be taken.
* What a slot holds is written under its own writer's name. What the database does not take stays in the slot.
* A table is written to a store of the kind it was counted for: one without a keyspace belongs to the embedded store.
"""

from __future__ import annotations

import random
import threading
import time
from typing import Any

from aggregator.config import Options, read_options
from aggregator.core.buffer import Buffer
from aggregator.core.held import Held, is_clean
from aggregator.flusher.engine import Engine
from aggregator.journal.directory import Directory, quarantine
from aggregator.journal.format import Corrupt
from aggregator.keeping import Keeping, open_slot, opened
from aggregator.machine import now_us
from coodie.connections import driver_of
from coodie.exceptions import CoodieError

ALIVE = "a live process has it"
SET_ASIDE = "it cannot be trusted and was set aside"


def options_of(journal: str) -> Options:
    """Return the options of a command on a journal: synced before anything is sent, and not by a clock."""
    return read_options({"journal": journal, "durability": "disk", "journal_sync_interval": 3600.0})


class OpenSlot:
    """A leased slot, what it held in a buffer, and the engine that writes it. On one thread."""

    def __init__(self, keeping: Keeping, options: Options) -> None:
        lock: Any = threading.RLock()
        self.keeping = keeping
        self.number = keeping.lease.slot
        self.buffer = Buffer(options.max_keys, lock, lock._is_owned, keeping.open_ledger)
        self.engine = Engine(self.buffer, options, time.monotonic, now_us, random.random)
        self.engine.after = keeping.journal.sync
        self.applied = 0
        self.errors: list[str] = []
        self._options = options

    def write(self) -> None:
        """Write what it holds, until nothing is left or a flush brings it no further; ``errors`` says why."""
        with self.buffer.lock:
            tables = list(self.buffer.tables.values())
        mismatches = [why for held in tables if (why := _mismatch(held))]
        while True:
            before = self._left()
            result = self.engine.flush(asked=True, timeout=self._options.flush_timeout)
            self.applied += result.applied
            self.errors = list(dict.fromkeys([*mismatches, *result.errors]))
            if not self._left() or self._left() == before:
                return

    def _left(self) -> tuple[int, ...]:
        """Return how much of each kind of work is left; empty: none."""
        with self.buffer.opened():
            left = [what_is_left(held) for held in self.buffer.tables.values()]
        return tuple(left) if any(left) else ()

    def close(self) -> None:
        """Give the slot back, saying whether everything in it is written."""
        with self.buffer.lock:
            all_clean = all(map(is_clean, self.buffer.tables.values()))
        self.keeping.close(is_clean=all_clean)


def what_is_left(held: Held) -> int:
    """Return how many rows of a table are not written: pending, waiting for room, in flight at a death, or marked."""
    resumed = sum(len(taken) for taken, _mark, _first in held.resumed)
    return held.totals.dirty_rows(2**62) + len(held.late) + len(held.totals.folds) + resumed


def _mismatch(held: Held) -> str | None:
    """Halt a table that the store given cannot be the one of; return why, None where it can."""
    try:
        driver = driver_of(held.connection)
    except CoodieError:  # the engine tells
        return None
    if driver.needs_keyspace == (held.table.keyspace is not None):
        return None
    held.is_halted = True
    kind = "a server" if held.table.keyspace is not None else "the embedded store"
    return f"{held.name} was counted for {kind}, and another store was given: nothing of it was sent"


def own_slot(options: Options) -> OpenSlot:
    """Lease the lowest free slot and open it; ``JournalError`` where the journal cannot be used."""
    while True:
        found = _restored(open_slot(options), options)
        if found is not None:
            return found


def take_slot(directory: Directory, slot: int, options: Options) -> OpenSlot | str:
    """Lease a slot and open it; :data:`ALIVE` or :data:`SET_ASIDE` where that cannot be."""
    lease = directory.lease(slot)
    if lease is None:
        return ALIVE
    keeping = opened(directory, lease, options)
    if keeping is None:
        return SET_ASIDE
    return _restored(keeping, options) or SET_ASIDE


def _restored(keeping: Keeping, options: Options) -> OpenSlot | None:
    found = OpenSlot(keeping, options)
    try:
        keeping.restore(found.buffer)
    except Corrupt as error:
        keeping.files.close()
        quarantine(keeping.lease, str(error))
        return None
    except BaseException:
        keeping.close(is_clean=False)
        raise
    return found
