"""
Arrays of a slot: int64 numbers in a mapped file, which outlive the process that stored them.

Rules that live here:

* A store into an array is a store into the page cache: no call, and nothing that death could cut in half.
* The file is sparse. Storing into a part that was never reserved kills the process (SIGBUS) where the disk is full, so
  whoever stores reserves first.
* Syncing goes through the file: the kernel writes mapped pages then too, and ``mmap.flush`` would hold the GIL for it.
"""

from __future__ import annotations

import mmap
import os
from contextlib import suppress
from pathlib import Path

from aggregator.journal.format import ARRAY_HEADER, ARRAY_MAGIC, Corrupt, header, read_header
from aggregator.journal.opening import new_file, open_file, saying, sync_name, write_all

_WIDTH = 8  # bytes of a slot


class MappedArray:
    """One array; ``view`` has at least the slots that were asked for last. One thread opens, grows and closes it."""

    def __init__(self, path: Path, name: str, fd: int, slots: int) -> None:
        self._path = path
        self._name = name
        self._fd = fd
        self._views: list[memoryview[int]] = []  # a view that was handed out stays good when the array grows
        self._map(slots)

    @classmethod
    def open(cls, path: Path, name: str, slots: int) -> MappedArray:
        """
        Open the array, made at this size or grown to it; what it holds stays.

        Raises:
            Corrupt: the file is not this array, or is shorter than it was made.
            JournalError: the system could not open, make, grow or map it.
        """
        with saying(f"cannot open {path} for {slots:,} slots"):
            if not os.path.lexists(path):
                _make(path, name, slots)
            fd = open_file(path, os.O_RDWR)
            try:
                array = cls(path, name, fd, _slots(path, name, fd))
                array.grow(slots)
            except BaseException:
                os.close(fd)
                raise
            return array

    @property
    def view(self) -> memoryview[int]:
        """Every slot, as 8-byte integers."""
        return self._views[-1]

    def grow(self, slots: int) -> None:
        """Give the array at least so many slots."""
        if slots <= len(self.view):
            return
        with saying(f"cannot grow {self._path} to {slots:,} slots, it is as before"):
            os.ftruncate(self._fd, ARRAY_HEADER + slots * _WIDTH)
            write_all(self._fd, _header(self._name, slots), 0)
            self._map(slots)

    def _map(self, slots: int) -> None:
        mapped = mmap.mmap(self._fd, ARRAY_HEADER + slots * _WIDTH, flags=mmap.MAP_SHARED)
        self._views.append(memoryview(mapped)[ARRAY_HEADER:].cast("q"))

    def reserve(self, start: int, count: int) -> None:
        """Make sure that the disk has room for these slots; ``JournalError`` where it has not."""
        with saying(f"cannot reserve slots {start:,} to {start + count - 1:,} of {self._path}"):
            os.posix_fallocate(self._fd, ARRAY_HEADER + start * _WIDTH, count * _WIDTH)

    def sync(self) -> None:
        """Make everything stored before durable."""
        with saying(f"cannot sync {self._path}"):
            os.fdatasync(self._fd)

    def close(self) -> None:
        """Close the file; whoever still stores into a view gets a ``ValueError``."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
        for view in self._views:
            # One that is being copied at this moment stays mapped until the copy is made.
            with suppress(BufferError):
                view.release()


def _make(path: Path, name: str, slots: int) -> None:
    with new_file(path) as fd:
        write_all(fd, _header(name, slots), 0)
        os.ftruncate(fd, ARRAY_HEADER + slots * _WIDTH)
    os.close(fd)
    sync_name(path)


def _header(name: str, slots: int) -> bytes:
    return header(ARRAY_MAGIC, ARRAY_HEADER, {"name": name, "slots": slots})


def _slots(path: Path, name: str, fd: int) -> int:
    facts = read_header(ARRAY_MAGIC, ARRAY_HEADER, os.pread(fd, ARRAY_HEADER, 0), path)
    if facts["name"] != name:
        raise Corrupt(path, f"it is the array {facts['name']!r} and not {name!r}")
    slots: int = facts["slots"]
    size, needed = os.fstat(fd).st_size, ARRAY_HEADER + slots * _WIDTH
    if size < needed:
        raise Corrupt(path, f"it has {size:,} bytes, fewer than the {needed:,} of its {slots:,} slots", size)
    return slots
