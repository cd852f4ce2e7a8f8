"""
Everything one slot of a journal keeps, as the rest of the aggregator uses it.

Rules that live here:

* ``JournalFiles`` is the door; ``Files`` is what stands behind it on a real disk.
* A slot is opened under its lease, and closed before the lease is.
* The log comes first: a slot with arrays and no log has lost the names of what it counted.
* Syncing may go on while others append; it excludes only what exchanges files.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from typing import Protocol

from aggregator.exceptions import JournalError
from aggregator.journal.arrays import MappedArray
from aggregator.journal.format import Corrupt
from aggregator.journal.identity import Identity
from aggregator.journal.lease import Lease
from aggregator.journal.log import Log
from aggregator.journal.state import DURABLE, STATE, STATE_SLOTS, SYNCED

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


class JournalFiles(Protocol):
    """
    The files of one slot.

    One thread at a time calls ``append``, ``rewrite``, ``claim``, ``array``, ``close``: the caller's lock sees to it.
    A signal handler may append in the middle of these. ``reserve`` and ``sync`` are safe from any thread.
    Every failure is a ``JournalError`` that carries the system's ``errno``.
    """

    identity: Identity
    """Who this process is as the owner of the slot."""

    written_by: Identity
    """Whom the log named as its writer when it was opened; a new log names this process."""

    @property
    def is_copy(self) -> bool:
        """Whether the slot was written on another machine or in another place: it must not be replayed."""

    @property
    def is_other_boot(self) -> bool:
        """Whether the machine was started since the slot was written: what was not synced may be missing."""

    @property
    def first_seq(self) -> int:
        """The seq of the first record in the log; the others follow without a gap."""

    @property
    def log_bytes(self) -> int:
        """The size of the log."""

    def records(self) -> list[bytes]:
        """Hand over the payloads the log held when it was opened, in order; a second call finds none."""

    def append(self, payload: bytes) -> int:
        """
        Write one record and return its seq. Once it returned, the record survives the process.

        Args:
            payload: 1 byte to 1 MiB, else ``ValueError``.

        Raises:
            JournalError: nothing of the record was kept; may be tried again where the reason has gone, but after a
                failed sync, which is final.
        """

    def rewrite(self, payloads: Iterable[bytes]) -> int:
        """
        Replace the log, all or nothing and durable, by one of these records; return the seq of the first.

        Seqs go on where they were. The new log names this process as its writer, as :meth:`claim` does.

        Raises:
            JournalError: the log is as before.
        """

    def claim(self) -> None:
        """Name this process as the writer, durably. Call it when recovery is done: until then it would start again."""

    def array(self, name: str, slots: int) -> memoryview[int]:
        """
        Return a view of at least so many int64 slots, shared with the file: zeros where it is new, else what it held.

        Args:
            name: letters, digits, ``_``, ``.`` and ``-``, up to 100; else ``ValueError``.
            slots: the array grows to it if it has fewer. A view handed out before stays good.

        Raises:
            Corrupt: the file is damaged, or another's.
            JournalError: the system could not make or map it.
        """

    def reserve(self, name: str, start: int, count: int) -> None:
        """Make sure that storing into these slots cannot fail; ``JournalError`` where the disk is full."""

    def sync(self, last: Callable[[], None] = lambda: None) -> None:
        """
        Make durable what was appended and stored before the call.

        Args:
            last: called when all is durable but the array named ``state``, which comes last.

        Raises:
            JournalError: a sync failed. That is final: from now on every append, rewrite and sync raises.
        """

    def close(self) -> None:
        """Close everything; a later append or a store into a view fails. Nothing is synced by it."""

    def close_in_child(self) -> None:
        """Close what a forked child inherited, first thing in the child; the parent's files are not touched."""


class Files:
    """The files of a leased slot on disk."""

    def __init__(self, lease: Lease, log: Log, identity: Identity, written_by: Identity, records: list[bytes]) -> None:
        self.identity = identity
        self.written_by = written_by
        self._path = lease.path
        self._log = log
        self._records = records
        self._arrays: dict[str, MappedArray] = {}
        self._exchanging = threading.Lock()
        self.append = log.append

    @classmethod
    def open(cls, lease: Lease) -> Files:
        """
        Open the files of a slot, made if there are none; a torn tail of the log is cut off.

        Raises:
            Corrupt: they cannot be trusted; nothing was changed. Set the slot aside (``directory.quarantine``).
            JournalError: the system could not open them.
        """
        identity = Identity.here(lease.path)
        path = lease.path / "log"
        if path.is_symlink() or path.exists():
            log, written_by, records = Log.open(path, lambda written: _synced(lease, identity, written))
            return cls(lease, log, identity, written_by, records)
        if any(lease.path.glob("*.array")):
            raise Corrupt(path, "it is missing, and there are arrays")
        return cls(lease, Log.create(path, identity), identity, identity, [])

    @property
    def is_copy(self) -> bool:
        return self.identity.is_copy_of(self.written_by)

    @property
    def is_other_boot(self) -> bool:
        return self.identity.is_other_boot(self.written_by)

    @property
    def first_seq(self) -> int:
        return self._log.first_seq

    @property
    def log_bytes(self) -> int:
        return self._log.size

    def records(self) -> list[bytes]:
        records, self._records = self._records, []
        return records

    def rewrite(self, payloads: Iterable[bytes]) -> int:
        with self._exchanging:
            return self._log.rewrite(payloads, self.identity)

    def claim(self) -> None:
        self._log.claim(self.identity)

    def array(self, name: str, slots: int) -> memoryview[int]:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} cannot name an array: letters, digits, '_', '.' and '-', up to 100")
        found = self._arrays.get(name)
        if found is None:
            found = self._arrays[name] = MappedArray.open(self._path / f"{name}.array", name, slots)
        else:
            found.grow(slots)
        return found.view

    def reserve(self, name: str, start: int, count: int) -> None:
        self._arrays[name].reserve(start, count)

    def sync(self, last: Callable[[], None] = lambda: None) -> None:
        with self._exchanging:
            self._log.sync()  # first: what the arrays count has its name there
            try:
                for name, array in list(self._arrays.items()):
                    if name != STATE:
                        array.sync()
                last()
                if STATE in self._arrays:
                    self._arrays[STATE].sync()
            except JournalError as error:
                self._log.fail(str(error))
                raise

    def close(self) -> None:
        with self._exchanging:
            self._close()

    def close_in_child(self) -> None:
        self._close()  # without the lock: it may have been held by a thread that the child does not have

    def _close(self) -> None:
        self._log.close()
        for array in self._arrays.values():
            array.close()


def _synced(lease: Lease, identity: Identity, written: Identity) -> int | None:
    """Return the last seq of the log that was synced, as its owner noted it; None: it did not lose its power."""
    if not identity.is_other_boot(written):
        return None
    state = MappedArray.open(lease.path / f"{STATE}.array", STATE, STATE_SLOTS)
    try:
        return state.view[DURABLE] if state.view[SYNCED] else 0
    finally:
        state.close()
