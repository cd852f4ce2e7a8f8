"""
Slots of the journal that nobody owns any more: what they hold is written by a live sibling.

Rules that live here:

* Whoever can lease a slot may write what it holds; the lease makes that one process at a time, and a process that is
  merely stopped keeps its own.
* An orphan is opened in place, flushed as its owner would have flushed it, under its writer's name, and given back.
  What the database does not take stays there for the next look; what is of unknown fate stays set apart in its slot.
* Looks are made on the flusher's thread, one every :data:`LOOK_S` seconds, and at the start.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

from aggregator import keeping, lifecycle
from aggregator.core.buffer import Buffer
from aggregator.exceptions import JournalError
from aggregator.journal.directory import quarantine
from aggregator.journal.format import Corrupt
from aggregator.journal.state import CLEAN

if TYPE_CHECKING:
    from aggregator.flusher.engine import Engine
    from aggregator.keeping import Keeping

log = logging.getLogger("aggregator")

LOOK_S = 10.0
"""Seconds between two looks for orphans."""


class Orphans:
    """Adopt what dead siblings left. On the flusher's thread alone."""

    def __init__(self, own: Keeping | None, engine: Callable[[Buffer], Engine]) -> None:
        self._own = own
        self._engine = engine
        self._adopted: dict[int, tuple[Keeping, Buffer, Engine]] = {}
        self._left: dict[int, float] = {}  # slot -> when its log was last changed, where nothing can be done for it
        self._next = 0.0

    def look(self, now: float) -> None:
        """Adopt orphans if a look is due, and write what they hold; a journal or database that fails is no error."""
        if self._own is None or now < self._next:
            return
        self._next = now + LOOK_S
        try:
            for slot in self._own.directory.slots():
                if slot != self._own.lease.slot and slot not in self._adopted:
                    self._adopt(slot)
        except JournalError as error:
            log.warning("no look for orphans of the journal: %s", error)
        for slot in list(self._adopted):
            self._write(slot)

    def next_look(self) -> float | None:
        """Return the clock's time of the next look; None: never."""
        return None if self._own is None else self._next

    def _adopt(self, slot: int) -> None:
        with lifecycle.OPENING:  # to the end: a child that is forked meanwhile must know what to let go of
            assert self._own is not None
            lease = self._own.directory.lease(slot)
            if lease is None:
                return
            if self._left.get(slot) == _changed(lease.path):
                lease.close()
                return
            found = keeping.opened(self._own.directory, lease, self._own.options)
            if found is not None:
                self._take_up(slot, found, self._own.options.max_keys)

    def _take_up(self, slot: int, found: Keeping, max_keys: int) -> None:
        lock: Any = RLock()
        buffer = Buffer(max_keys, lock, lock._is_owned, found.open_ledger)
        if found.journal.state[CLEAN]:
            self._give_back(slot, found, is_clean=True)
            return
        try:
            found.restore(buffer)
        except Corrupt as error:
            found.files.close()
            quarantine(found.lease, str(error))
            return
        except BaseException:
            found.close(is_clean=False)  # or nobody could take it up before this process ends
            raise
        buffer.close()
        engine = self._engine(buffer)
        engine.after = found.journal.sync  # or nobody would see that one failed, which is final for an open slot
        self._adopted[slot] = (found, buffer, engine)
        log.info("adopted the journal slot %d of a process that is gone", slot)

    def _write(self, slot: int) -> None:
        found, buffer, engine = self._adopted[slot]
        result = engine.flush(asked=False, timeout=self._own.options.flush_timeout if self._own else 0.0)
        if result.applied or result.statements:
            log.info("wrote %d unit(s) that the journal slot %d held", result.applied, slot)
        if any(isinstance(error, JournalError) for error in engine.raised):  # opened anew, it may be well again
            found.close(is_clean=False)
            del self._adopted[slot]
            return
        if buffer.dirty_rows(1) or any(held.totals.folds or held.resumed for held in buffer.tables.values()):
            return
        parked = sum(len(held.unknown) + len(held.rejected) for held in buffer.tables.values())
        if parked:
            log.warning(
                "the journal slot %d holds %d row(s) of unknown fate or refused: `aggregator journal inspect` lists "
                "them, and the next process of that slot has them in unknown() and rejected()",
                slot,
                parked,
            )
        self._give_back(slot, found, is_clean=not parked)
        del self._adopted[slot]

    def _give_back(self, slot: int, found: Keeping, *, is_clean: bool) -> None:
        found.close(is_clean=is_clean)
        self._left[slot] = _changed(found.lease.path)

    def close(self) -> None:
        """Give back what is adopted, as it is."""
        for found, _buffer, _engine in self._adopted.values():
            found.close(is_clean=False)
        self._adopted.clear()

    def close_in_child(self) -> None:
        """Let go of what the parent adopted."""
        for found, _buffer, _engine in self._adopted.values():
            found.close_in_child()
        self._adopted.clear()


def _changed(path: Path) -> float:
    try:
        return (path / "state.array").stat().st_mtime + (path / "log").stat().st_mtime
    except OSError:
        return 0.0
