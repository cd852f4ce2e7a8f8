"""
What one started aggregator is made of, put together in one place: buffer, journal, engine, flusher thread and intake.

Rules that live here: this is where the real clock, chance, lock and memory are handed to the parts that have none. A
machine is made at ``start()`` and made anew after a fork; it is never taken apart.
"""

from __future__ import annotations

import random
import threading
import time
import uuid
from typing import TYPE_CHECKING, Any

from aggregator.core.buffer import Buffer
from aggregator.core.held import is_clean as is_clean_table
from aggregator.core.ledger import Ledger, Volatile
from aggregator.core.taken import rounded
from aggregator.flusher.background import Background, refuse_threads_patched_late
from aggregator.flusher.engine import Engine
from aggregator.handing import Handing
from aggregator.intake import Intake
from aggregator.journal.directory import quarantine
from aggregator.journal.format import Corrupt
from aggregator.keeping import Keeping, open_slot
from aggregator.memory import anonymous
from aggregator.orphans import Orphans
from aggregator.waiting import Waiting

if TYPE_CHECKING:
    from aggregator.config import Options


class Machine:
    """
    The parts of a running aggregator.

    Raises ``JournalError`` where there is to be a journal and it cannot be opened; ``LifecycleError`` where its thread
    cannot be one.
    """

    def __init__(self, options: Options) -> None:
        refuse_threads_patched_late()
        self.clock = time.monotonic
        self._is_abandoned = False
        self.keeping: Keeping | None = None
        self.buffer = self._buffer(options)
        self.engine = self._engine(options)
        own = self.keeping if options.mode != "agent" else None  # the agent sees to what workers leave
        self.orphans = Orphans(own, lambda buffer: Engine(buffer, options, self.clock, now_us, random.random))
        self.background = Background(self.engine, self.clock, random.random)
        self.waiting = Waiting(self.buffer, self.engine, self.background, self.clock)
        self.intake = Intake(
            self.buffer, options, self.waiting.write_through, self.waiting.find_room, self.waiting.flushed
        )
        self.buffer.batch = options.max_batch_size
        self.buffer.on_batch = self.background.wake
        if self.keeping is not None:
            self.engine.after = self.keeping.journal.sync  # flush() returning means synced
            self.background.rounds, self.background.next_round = self.orphans.look, self.orphans.next_look
            self.keeping.start_syncing()

    def _buffer(self, options: Options) -> Buffer:
        if options.journal is None:
            return _new_buffer(options.max_keys, _volatile)
        while True:
            keeping = self._open_slot(options)
            buffer = _new_buffer(options.max_keys, keeping.open_ledger)
            try:
                keeping.restore(buffer)
            except Corrupt as error:
                keeping.files.close()
                quarantine(keeping.lease, str(error))
                continue
            except BaseException:
                keeping.close(is_clean=False)
                raise
            self.keeping = keeping
            return buffer

    def _open_slot(self, options: Options) -> Keeping:
        return open_slot(options)

    def _engine(self, options: Options) -> Engine:
        if self.keeping is not None and self.keeping.turn is not None:
            return Handing(self.buffer, options, self.keeping.turn, self.clock, now_us, random.random)
        return Engine(self.buffer, options, self.clock, now_us, random.random)

    def journal_bytes(self) -> int:
        """Return how many bytes the journal's log takes; 0 without a journal."""
        return self.keeping.files.log_bytes if self.keeping is not None else 0

    def dirty_rows(self) -> int:
        """Return how many rows are to be written still."""
        return self.buffer.dirty_rows(self.buffer.max_keys + 1)

    def last_error(self) -> str | None:
        """Return what went wrong last: of a journal that cannot be written now, else of a flush."""
        journal = self.keeping.journal.error if self.keeping is not None else None
        return journal or self.engine.last_error

    def is_clean(self) -> bool:
        """Return whether everything accepted is written, and nothing is set apart."""
        with self.buffer.opened():
            return all(map(is_clean_table, self.buffer.tables.values()))

    def close(self) -> None:
        """Give the journal's slot back; the buffer was closed before."""
        if self.keeping is not None:
            self.orphans.close()
            is_clean = self.is_clean()
            self.buffer.keep_copies()  # stats() and unknown() may still be asked
            self.keeping.close(is_clean=is_clean)

    def abandon(self) -> None:
        """Let go of everything in a forked child: it is the parent's, and nothing of it is written here."""
        if self._is_abandoned:
            return
        self._is_abandoned = True
        self.background.abandon()
        for held in self.buffer.tables.values():
            held.is_halted = True
            held.totals.slots.clear()  # compiled writers of the parent miss in the child
        if self.keeping is not None:
            self.orphans.close_in_child()
            self.keeping.close_in_child()


def _new_buffer(max_keys: int, open_ledger: Any) -> Buffer:
    lock: Any = threading.RLock()
    return Buffer(max_keys, lock, lock._is_owned, open_ledger)


def _volatile(_connection: str, _table: Any, slots: int) -> Ledger:
    return Volatile(rounded(slots), anonymous, lambda: f"{uuid.uuid4()}/0/{uuid.uuid4().hex[:12]}")


def now_us() -> int:
    """Return the wall clock in microseconds since 1970."""
    return time.time_ns() // 1000
