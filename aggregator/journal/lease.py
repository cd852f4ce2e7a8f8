"""
The right to a slot: an exclusive flock on its ``lease`` file.

Rules that live here:

* The kernel frees a lease when its last descriptor is closed: at the death of its owner, however it dies, and never
  before; an owner that is stopped keeps it.
* A forked child inherits the descriptor. It closes it (``close_in_child``) and never unlocks: LOCK_UN in the child
  would take the parent's lease away, a close does not.
* What was locked must still be what stands under the name: the folder may have been set aside in between.
* flock is of one machine; a journal on a network file system is not supported.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from aggregator.journal.opening import open_file, saying


class Lease:
    """A slot this process owns: its folder ``path``, its number ``slot``. One thread opens and closes it."""

    def __init__(self, path: Path, slot: int, fd: int) -> None:
        self.path = path
        self.slot = slot
        self._fd = fd

    @classmethod
    def take(cls, path: Path, slot: int) -> Lease | None:
        """Lease an existing slot's folder without waiting; None: another process has it, or it has just gone."""
        with saying(f"cannot lease {path}"):
            try:
                fd = open_file(path / "lease", os.O_RDWR | os.O_CREAT)
            except FileNotFoundError:
                return None
            try:
                if _is_locked(fd, path / "lease"):
                    return cls(path, slot, fd)
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)
            return None

    def fds(self) -> tuple[int, ...]:
        """Return the descriptors that hold the lease."""
        return (self._fd,) if self._fd >= 0 else ()

    def close(self) -> None:
        """Give the slot back; twice does no harm."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def close_in_child(self) -> None:
        """Close what a forked child inherited, first thing in the child; the parent keeps its lease."""
        self.close()


def _is_locked(fd: int, path: Path) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        named = path.lstat()
    except (BlockingIOError, FileNotFoundError):
        return False
    locked = os.fstat(fd)
    return (locked.st_dev, locked.st_ino, locked.st_nlink) == (named.st_dev, named.st_ino, 1)
