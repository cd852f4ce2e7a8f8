"""
The workers of a host: the slots of processes that only journal, found as they come, finished when they are gone.

Rules that live here:

* A slot is moved from whoever owns it, also when nobody does.
* What only an owner may do (finish a change that death cut short, place what found no room, say that all is written) is
  done under the slot's lease, when nobody has it and nothing is left to be moved: by the same recovery as at a restart.
* A slot that cannot be read now is looked at again; one that cannot be trusted is set aside when it is leased.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aggregator import keeping, lifecycle
from aggregator.agent.worker import Worker
from aggregator.core.buffer import Buffer
from aggregator.core.held import is_clean
from aggregator.exceptions import JournalError
from aggregator.journal.directory import quarantine
from aggregator.journal.format import Corrupt
from aggregator.journal.state import CLEAN

if TYPE_CHECKING:
    from aggregator.agent.tables import Tables
    from aggregator.config import Options
    from aggregator.journal.directory import Directory

log = logging.getLogger("aggregator")

LOOK_S = 5.0
"""Seconds between two looks for slots that nobody owns."""


class Workers:
    """Every worker's slot of one journal. On the agent's thread alone."""

    def __init__(self, directory: Directory, options: Options, tables: Tables) -> None:
        self._directory = directory
        self._options = replace(options, mode="agent")
        self._tables = tables
        self._known: dict[int, tuple[int, Worker]] = {}  # slot -> inode of its lease
        self._left: dict[int, tuple[float, bool]] = {}  # slot -> as it was when it was last finished
        self._next_look = 0.0

    def look(self, now: float) -> list[Worker]:
        """Return the workers there are now, as far as they can be read; see to orphans if a look is due."""
        if now >= self._next_look:
            self._next_look = now + LOOK_S
            for slot in self._directory.slots():
                self._see_to(slot)
        for slot in self._directory.slots():
            inode = self._directory.inode(slot)
            known = self._known.get(slot)
            if known is not None and known[0] != inode:
                known[1].close()
                del self._known[slot]
            if slot not in self._known and inode:
                self._open(slot, inode)
        return [worker for _inode, worker in self._known.values()]

    def _open(self, slot: int, inode: int) -> None:
        try:
            worker = Worker(self._directory.folder(slot), self._tables.target, syncs=self._options.durability == "disk")
        except JournalError as error:  # its owner is just making it
            log.debug("the worker's slot %d cannot be read yet: %s", slot, error)
            return
        self._known[slot] = inode, worker

    # --- without an owner -------------------------------------------------------------------------------------

    def _see_to(self, slot: int) -> None:
        with lifecycle.OPENING:
            known = self._known.get(slot)
            is_idle = known is not None and known[1].is_idle()
            if self._left.get(slot) == (self._directory.changed(slot), is_idle):
                return
            lease = self._directory.lease(slot)
            if lease is None:
                return
            found = keeping.opened(self._directory, lease, self._options)
            if found is None:
                return
            try:
                self._finish(found)
            except Corrupt as error:
                found.files.close()
                quarantine(found.lease, str(error))
                return
            self._left[slot] = self._directory.changed(slot), is_idle

    def _finish(self, found: keeping.Keeping) -> None:
        """Do what an owner would do at its start, and give the slot back."""
        if found.journal.state[CLEAN]:
            found.close(is_clean=True)
            return
        lock: Any = threading.RLock()
        buffer = Buffer(self._options.max_keys, lock, lock._is_owned, found.open_ledger)
        all_clean = False
        try:
            found.restore(buffer)
            with buffer.opened():  # what found no room is placed
                all_clean = all(map(is_clean, buffer.tables.values()))
            parked = sum(len(held.unknown) for held in buffer.tables.values())
            if parked:
                log.warning(
                    "the worker's slot %d holds %d row(s) of unknown fate: `aggregator journal inspect` lists them, "
                    "and the next process of that slot has them in unknown()",
                    found.lease.slot,
                    parked,
                )
        except Corrupt:
            raise
        except BaseException:
            found.close(is_clean=False)
            raise
        found.close(is_clean=all_clean)

    def close(self) -> None:
        """Let go of every slot."""
        for _inode, worker in self._known.values():
            worker.close()
        self._known.clear()
