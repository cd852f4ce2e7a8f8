"""
The log of a slot: records, appended one by one, read once when the slot is opened.

Rules that live here:

* One thread at a time appends, rewrites and closes: the caller's lock sees to it. ``sync`` may run beside ``append``.
* A signal handler or a ``__del__`` may append in the middle of an append or a rewrite of its own thread, under the same
  lock. So the place of a record is taken before it is written, with nothing in between that could call anything, and
  records are written to their place (``pwrite``), never "at the end". What is appended in the middle of a rewrite is
  written to the new file too.
* An append that fails leaves the log as it was. After a failed sync nothing is accepted any more: the kernel forgets
  what it could not write, and the next sync would say that all is well.
"""

from __future__ import annotations

import mmap
import os
import secrets
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from aggregator.exceptions import JournalError
from aggregator.journal.format import (
    LOG_HEADER,
    LOG_MAGIC,
    Corrupt,
    frame,
    header,
    read_frames,
    read_header,
    whole_frame_after,
)
from aggregator.journal.identity import Identity
from aggregator.journal.opening import (
    directory_of,
    new_file,
    open_file,
    saying,
    sync_name,
    told,
    write_all,
)

_GROUP = 1 << 20  # bytes written at a time by a rewrite


class _End(NamedTuple):
    """Where the next record goes, and its number."""

    offset: int
    seq: int


class Log:
    """See the module's rules for who may call what."""

    def __init__(self, path: Path, fd: int, salt: int, first_seq: int, end: _End) -> None:
        self._path = path
        self._fd = fd
        self._salt = salt
        self.first_seq = first_seq
        self._end = end
        self._meanwhile: list[bytes] | None = None  # appended in the middle of a rewrite
        self._broken = ""

    # --- opening ----------------------------------------------------------------------------------------------

    @classmethod
    def create(cls, path: Path, identity: Identity) -> Log:
        """Make an empty log; its first record has seq 1."""
        with saying(f"cannot make {path}"):
            salt = secrets.randbits(32)
            with new_file(path) as fd:
                write_all(fd, _header(1, salt, identity), 0)
            try:
                sync_name(path)
            except BaseException:
                os.close(fd)
                raise
            return cls(path, fd, salt, 1, _End(LOG_HEADER, 1))

    @classmethod
    def open(
        cls, path: Path, surely_synced: Callable[[Identity], int | None] = lambda written: None
    ) -> tuple[Log, Identity, list[bytes]]:
        """
        Open a log, cut off a torn tail, and return it with its writer's identity and its payloads in order.

        ``surely_synced``: asked of a hole with something whole behind it, the last seq that was synced: a hole above it
        is what power loss leaves of pages that were not, and cut off too. None: the machine did not lose its power.

        Raises:
            Corrupt: it is damaged; nothing was changed.
            JournalError: the system could not open or read it.
        """
        with saying(f"cannot read {path}"):
            fd = open_file(path, os.O_RDWR)
            try:
                return cls._read(path, fd, surely_synced)
            except BaseException:
                os.close(fd)
                raise

    @classmethod
    def _read(
        cls, path: Path, fd: int, surely_synced: Callable[[Identity], int | None]
    ) -> tuple[Log, Identity, list[bytes]]:
        facts = read_header(LOG_MAGIC, LOG_HEADER, os.pread(fd, LOG_HEADER, 0), path)
        first_seq, salt = facts["first_seq"], facts["salt"]
        with mmap.mmap(fd, 0, access=mmap.ACCESS_READ) as data:
            payloads, offset = read_frames(data, LOG_HEADER, first_seq, salt)
            if offset < len(data):
                later = whole_frame_after(data, offset, salt)
                synced = surely_synced(Identity.read(facts["identity"])) if later is not None else None
                if later is not None and (synced is None or first_seq + len(payloads) <= synced):
                    reason = f"no record {first_seq + len(payloads):,} there, but a whole one at byte {later:,}"
                    raise Corrupt(path, reason, offset)
                os.ftruncate(fd, offset)
                os.fsync(fd)
        log = cls(path, fd, salt, first_seq, _End(offset, first_seq + len(payloads)))
        return log, Identity.read(facts["identity"]), payloads

    # --- writing ----------------------------------------------------------------------------------------------

    def append(self, payload: bytes) -> int:
        """Write one record and return its seq; see ``JournalFiles.append``."""
        self._check()
        end = None
        while self._end is not end:  # again, when an append in the middle of this one has taken the place
            end = self._end
            data = frame(end.seq, payload, self._salt)
            after = _End(end.offset + len(data), end.seq + 1)
        self._end = after
        try:
            written = os.pwrite(self._fd, data, end.offset)
            if written < len(data):
                write_all(self._fd, data[written:], end.offset + written)
        except OSError as error:
            self._take_back(end, after)
            raise told(f"cannot write record {end.seq:,} of {self._path}, which is as before", error) from error
        if self._meanwhile is not None:
            self._meanwhile.append(payload)
        return end.seq

    def _take_back(self, end: _End, after: _End) -> None:
        if self._end is not after:
            self.fail(f"record {end.seq:,} could not be written, and one behind it was")
            return
        self._end = end
        # What may stay there is no whole record: it does no harm, and the next one overwrites it.
        with suppress(OSError):
            os.ftruncate(self._fd, end.offset)

    def rewrite(self, payloads: Iterable[bytes], identity: Identity) -> int:
        """Replace all records by these and return the seq of the first; see ``JournalFiles.rewrite``."""
        self._check()
        first_seq, salt = self._end.seq, secrets.randbits(32)
        end = _End(LOG_HEADER, first_seq)
        with (
            saying(f"cannot rewrite {self._path}, which is as before"),
            directory_of(self._path) as directory,  # opened first: from the rename on, failing is final
        ):
            try:
                with new_file(self._path) as fd:
                    write_all(fd, _header(first_seq, salt, identity), 0)
                    self._meanwhile = []
                    while payloads:
                        end = _write_frames(fd, payloads, end, salt)
                        payloads, self._meanwhile = self._meanwhile, []
            except BaseException:
                self._meanwhile = None
                raise
            self._exchange(fd, salt, first_seq, end)
            self._finish(lambda: os.fsync(directory))
        return first_seq

    def _exchange(self, fd: int, salt: int, first_seq: int, end: _End) -> None:
        old, late = self._fd, self._meanwhile or ()
        self._fd, self._salt, self.first_seq, self._end, self._meanwhile = fd, salt, first_seq, end, None
        os.close(old)
        try:
            for payload in late:
                self.append(payload)
        except JournalError:
            self.fail("what was appended in the middle of a rewrite is not in the new log")
            raise

    def claim(self, identity: Identity) -> None:
        """Write a new identity into the header; see ``JournalFiles.claim``."""
        self._check()
        with saying(f"cannot write the header of {self._path}"):
            write_all(self._fd, _header(self.first_seq, self._salt, identity), 0)
        self.sync()

    # --- the rest ---------------------------------------------------------------------------------------------

    @property
    def size(self) -> int:
        """Bytes written."""
        return self._end.offset

    def sync(self) -> None:
        """Make every record appended before durable."""
        self._check()
        self._finish(lambda: os.fdatasync(self._fd))

    def _finish(self, sync: Callable[[], None]) -> None:
        try:
            sync()
        except OSError as error:
            self.fail(f"a sync failed ({error.strerror})")
            raise told(f"cannot sync {self._path}", error) from error

    def _check(self) -> None:
        if self._broken:
            raise JournalError(self._broken)

    def fail(self, reason: str) -> None:
        """Refuse every append, rewrite and sync from now on."""
        self._broken = f"the log {self._path} takes nothing any more, nothing was written: {reason}; start anew"

    def close(self) -> None:
        """Close the descriptor; twice does no harm."""
        fd, self._fd = self._fd, -1
        self.fail("it is closed")
        if fd >= 0:
            os.close(fd)


def _header(first_seq: int, salt: int, identity: Identity) -> bytes:
    facts = {"first_seq": first_seq, "salt": salt, "identity": identity.facts()}
    return header(LOG_MAGIC, LOG_HEADER, facts)


def _write_frames(fd: int, payloads: Iterable[bytes], end: _End, salt: int) -> _End:
    offset, seq = end
    group = bytearray()
    for payload in payloads:
        group += frame(seq, payload, salt)
        seq += 1
        if len(group) >= _GROUP:
            write_all(fd, group, offset)
            offset += len(group)
            group = bytearray()
    write_all(fd, group, offset)
    return _End(offset + len(group), seq)
