"""
The journal's directory: whose it is, which slots it has, and which of them is free.

Rules that live here:

* A directory that another user could change, or read, is refused with the command that helps; nothing is changed in it.
* The lowest slot that can be leased is taken, so that the number of slots is that of the most processes there ever were
  at a time.
* A slot that cannot be trusted is renamed and stays for a person to look at; the process goes on with a fresh one.
"""

from __future__ import annotations

import itertools
import logging
import os
import re
import stat
import uuid
from pathlib import Path

from aggregator.exceptions import JournalError
from aggregator.journal.identity import once
from aggregator.journal.lease import Lease
from aggregator.journal.opening import saying, sync_name

logger = logging.getLogger("aggregator.journal")

WORKERS = "workers"
"""The folder of the slots of processes that leave writing to the host's agent."""

_SLOT = re.compile(r"slot-(\d{4,})")


class Directory:
    """A directory that was checked; ``host`` is the random uuid of this journal, as text."""

    def __init__(self, path: Path, host: str) -> None:
        self.path = path
        self.host = host

    def within(self, name: str) -> Directory:
        """Return a folder of this journal, made if there is none, as a directory of slots of its own."""
        place = self.path / name
        with saying(f"cannot open {place}"):
            if not os.path.lexists(place):
                place.mkdir(mode=0o700, exist_ok=True)
                sync_name(place)
            _check(place)
        return Directory(place, f"{self.host}/{name}")

    def make(self, slot: int) -> None:
        """Make a slot's folder if there is none."""
        with saying(f"cannot make {self.folder(slot)}"):
            if not self.folder(slot).is_dir():
                self.folder(slot).mkdir(mode=0o700, exist_ok=True)
                sync_name(self.folder(slot))

    def slots(self) -> list[int]:
        """Return the numbers of the slots there are, leased or not."""
        with saying(f"cannot list {self.path}"):
            found = (_SLOT.fullmatch(entry.name) for entry in self.path.iterdir())
            return sorted(int(match[1]) for match in found if match)

    def lease(self, slot: int) -> Lease | None:
        """Lease a slot without waiting; None where another process holds it or there is none."""
        return Lease.take(self.folder(slot), slot)

    def inode(self, slot: int) -> int:
        """Return what tells a slot from another that stood in its place before; 0 where there is none."""
        try:
            return (self.folder(slot) / "lease").stat().st_ino
        except OSError:
            return 0

    def changed(self, slot: int) -> float:
        """Return when a slot was last written to; 0.0 where that is not known."""
        try:
            return (self.folder(slot) / "state.array").stat().st_mtime + (self.folder(slot) / "log").stat().st_mtime
        except OSError:
            return 0.0

    def free_slot(self) -> Lease:
        """Lease the lowest slot that is free, made if there is none."""
        for slot in itertools.count():
            self.make(slot)
            lease = self.lease(slot)
            if lease is not None:
                return lease
        raise AssertionError("itertools.count ended")

    def folder(self, slot: int) -> Path:
        """Return where a slot is, or would be."""
        return self.path / f"slot-{slot:04}"


def open_directory(path: str | os.PathLike[str]) -> Directory:
    """
    Open a journal's directory, made (0700) if there is none; its parent must be there.

    Raises:
        JournalError: it is no directory, or of another user, or open to others, or the system refused it; says which,
            and what helps. Nothing was changed.
    """
    if not hasattr(os, "posix_fallocate"):
        raise JournalError("a journal needs Linux or a system like it: this one has no posix_fallocate")
    place = Path(path).absolute()
    with saying(f"cannot open the journal's directory {place}"):
        _check_parents(place)
        if not os.path.lexists(place):
            place.mkdir(mode=0o700, exist_ok=True)
            sync_name(place)
        _check(place)
        host = once(place / "host", str(uuid.uuid4()))
    try:
        uuid.UUID(host)
    except ValueError:
        raise JournalError(
            f"{place / 'host'} holds {host!r} and no uuid; move {place} away to begin a new journal"
        ) from None
    return Directory(place, host)


def _check(place: Path) -> None:
    found = place.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise JournalError(f"the journal {place} is no directory (a symlink is not followed); give one of its own")
    if found.st_uid != os.geteuid():
        raise JournalError(
            f"the journal {place} belongs to user {found.st_uid} and this process runs as {os.geteuid()}; "
            "give each user a directory of its own"
        )
    if found.st_mode & 0o077 and not os.path.lexists(place / "host"):
        raise JournalError(
            f"{place} is no journal, and open to others (mode {stat.S_IMODE(found.st_mode):o}); give the journal a "
            "directory of its own: it is made if its parent is there"
        )
    if found.st_mode & 0o077:
        raise JournalError(
            f"the journal {place} is open to others (mode {stat.S_IMODE(found.st_mode):o}); chmod 700 {place}"
        )


def _check_parents(place: Path) -> None:
    for parent in place.resolve().parents:
        mode = parent.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise JournalError(
                f"the journal {place} could be exchanged by anyone: {parent} is writable for all and not sticky; "
                f"chmod +t {parent}, or give a place elsewhere"
            )


def quarantine(lease: Lease, reason: str) -> Path:
    """
    Set a slot aside under another name, say so at ERROR, give its lease back and return where it is now.

    Args:
        reason: why, for the log line: the text of the :class:`Corrupt` that was caught.
    """
    with saying(f"cannot set {lease.path} aside"):
        number = next(n for n in itertools.count(1) if not os.path.lexists(_aside(lease.path, n)))
        aside = lease.path.rename(_aside(lease.path, number))
        sync_name(aside)
    lease.close()
    logger.error(
        "the journal slot %s was set aside as %s, and this process goes on with another: %s. What it held is not "
        "counted; keep the folder and look at it with `aggregator journal inspect`",
        lease.path.name,
        aside,
        reason,
    )
    return aside


def _aside(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.corrupt-{number}")
