"""
Who wrote a slot, and whether a journal that is opened is still the one that was written.

Rules that live here:

* A copy is known by its machine, or by the inode of the slot's ``lease`` file: a file that is copied gets another one.
  Device numbers change from boot to boot, so they count within one boot alone, where they tell a cloned volume.
* The machine is ``/etc/machine-id``; where there is none (many containers) a random id in the journal's directory.
* The process id is for people; nothing is decided by it.
"""

from __future__ import annotations

import os
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aggregator.journal.opening import open_file, saying, sync_name

_MACHINE = Path("/etc/machine-id")
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_LIMIT = 64  # characters of an id


@dataclass(frozen=True)
class Identity:
    """Machine, boot and place of a slot; ``created`` is in seconds since 1970."""

    machine: str
    boot: str
    device: int
    inode: int
    pid: int
    created: float

    @classmethod
    def here(cls, slot: Path) -> Identity:
        """Return the identity this process has as the owner of a slot's folder."""
        with saying(f"cannot tell who writes {slot}"):
            place = (slot / "lease").lstat()
            machine = _read(_MACHINE)
            if machine in ("", "uninitialized"):
                machine = once(slot.parent / "machine", uuid.uuid4().hex)
            return cls(machine, _read(_BOOT), place.st_dev, place.st_ino, os.getpid(), time.time())

    @classmethod
    def read(cls, facts: dict[str, Any]) -> Identity:
        """Return the identity that :meth:`facts` described."""
        return cls(**facts)

    def facts(self) -> dict[str, Any]:
        """Return what a header stores."""
        return asdict(self)

    def is_copy_of(self, written: Identity) -> bool:
        """Return whether what ``written`` wrote stands elsewhere now: there may be two of it."""
        moved = self.inode != written.inode or (self.boot == written.boot and self.device != written.device)
        return moved or self.machine != written.machine

    def is_other_boot(self, written: Identity) -> bool:
        """Return whether the machine was started since; False where the system does not say."""
        return self.boot != written.boot


def once(path: Path, text: str) -> str:
    """Return the text of a small file, made with this text if there is none; racing processes agree on one."""
    if not path.exists():
        new = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
        fd = open_file(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            os.write(fd, text.encode())
            os.fsync(fd)
            _link(new, path)
        finally:
            os.close(fd)
            new.unlink()
        sync_name(path)
    fd = open_file(path, os.O_RDONLY)
    try:
        return os.read(fd, _LIMIT + 1).decode(errors="replace").strip()
    finally:
        os.close(fd)


def _link(new: Path, path: Path) -> None:
    # A link, not a rename: the first one stays, whoever comes second reads it.
    try:
        os.link(new, path)
    except FileExistsError:
        return


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()[:_LIMIT]
    except OSError:
        return ""
