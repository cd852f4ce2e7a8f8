"""
How files of a journal are opened, made and made durable, and how a failure of the system is told.

Rules that live here:

* Nothing is followed, inherited by a program that is executed, or waited for: a symlink, a FIFO or a directory in place
  of a file is an error at once.
* A new file is made beside its place under ``<name>.new`` and renamed when it is complete.
* Every error of the system becomes a :class:`JournalError` that says what was tried and what helps (``saying``).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aggregator.exceptions import JournalError
from aggregator.journal.format import Corrupt

_FLAGS = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # O_NONBLOCK: opening a FIFO must not wait for its other end

_HELP = {
    errno.ENOSPC: "free space on its file system",
    errno.EDQUOT: "free space within the user's quota",
    errno.EFBIG: "raise the limit of the size of files (ulimit -f)",
    errno.EROFS: "give a directory on a file system that can be written",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "raise the machine's limit of open files (fs.file-max)",
    errno.EACCES: "give a directory of the user that runs this process",
    errno.EIO: "check the disk",
    errno.ENOENT: "make its parent directory first",
}


@contextmanager
def saying(what: str) -> Iterator[None]:
    """Turn an ``OSError`` of the block into a :class:`JournalError` that begins with ``what``."""
    try:
        yield
    except JournalError:
        raise
    except OSError as error:
        raise told(what, error) from error


def told(what: str, error: OSError) -> JournalError:
    """Return the :class:`JournalError` that says what failed, why, and what helps."""
    advice = _HELP.get(error.errno or 0)
    failure = JournalError(f"{what}: {error.strerror or error}" + (f"; {advice}" if advice else ""))
    failure.errno = error.errno
    return failure


def open_file(path: Path, flags: int) -> int:
    """Open a file of the journal, 0600 if it is made; :class:`Corrupt` when something else stands in its place."""
    try:
        fd = os.open(path, flags | _FLAGS, 0o600)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise Corrupt(path, f"it is no regular file ({error.strerror})") from error
        raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise Corrupt(path, "it is no regular file")
    return fd


@contextmanager
def new_file(path: Path) -> Iterator[int]:
    """
    Give the descriptor of a new file; when the block ends, the file is synced and renamed to ``path``.

    It stays open. If anything fails, it is closed and gone, and what was at ``path`` is still there. That the name is
    durable takes the sync of the directory.
    """
    beside = path.with_name(f"{path.name}.new")
    beside.unlink(missing_ok=True)  # what an earlier attempt left
    fd = open_file(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    try:
        yield fd
        os.fsync(fd)
        beside.rename(path)
    except BaseException:
        os.close(fd)
        beside.unlink(missing_ok=True)
        raise


def write_all(fd: int, data: bytes | bytearray, offset: int) -> None:
    """Write everything at an offset, however many calls the system needs."""
    rest = memoryview(data)
    while rest:
        written = os.pwrite(fd, rest, offset)
        rest, offset = rest[written:], offset + written


@contextmanager
def directory_of(path: Path) -> Iterator[int]:
    """Give a descriptor of the directory a file is in, for its sync."""
    fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def sync_name(path: Path) -> None:
    """Make durable that a file has its name."""
    with directory_of(path) as directory:
        os.fsync(directory)
