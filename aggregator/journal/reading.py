"""
Looking into a slot without owning it: nothing is leased, repaired, made or changed.

Rules that live here: a slot that is alive goes on being written, so what is read is of about one moment; a record that
is only half there is one that is being written, or a torn tail.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from aggregator.journal.format import (
    ARRAY_HEADER,
    ARRAY_MAGIC,
    LOG_HEADER,
    LOG_MAGIC,
    Corrupt,
    read_frames,
    read_header,
    whole_frame_after,
)
from aggregator.journal.identity import Identity
from aggregator.journal.opening import open_file, saying
from aggregator.journal.turn import TURN

_WIDTH = 8  # bytes of a slot of an array


@dataclass(frozen=True)
class Reading:
    """What a slot's log held when it was read; ``array`` reads an array of it."""

    path: Path
    written_by: Identity
    first_seq: int
    log_bytes: int
    payloads: list[bytes]

    def records(self) -> list[bytes]:
        """Return the payloads of the log, in order."""
        return self.payloads

    @property
    def is_workers(self) -> bool:
        """Whether the host's agent moves what the slot holds: what was sent, the agent's own slot tells of."""
        return (self.path / f"{TURN}.array").exists()

    def watermarks(self, prefix: str) -> tuple[memoryview[int], memoryview[int]]:
        """Return the arrays ``settled`` and ``sent`` of a column; what a worker sent is settled as far as it goes."""
        sent = self.array(f"{prefix}.sent")
        return sent if self.is_workers else self.array(f"{prefix}.settled"), sent

    def array(self, name: str) -> memoryview[int]:
        """Return what an array holds now; without any slot where there is none."""
        path = self.path / f"{name}.array"
        with saying(f"cannot read {path}"):
            if not path.exists():
                return memoryview(b"").cast("q")
            content = _content(path)
            slots = read_header(ARRAY_MAGIC, ARRAY_HEADER, content[:ARRAY_HEADER], path)["slots"]
            found = content[ARRAY_HEADER : ARRAY_HEADER + slots * _WIDTH]
            return memoryview(found[: len(found) // _WIDTH * _WIDTH]).cast("q")


def read_slot(path: Path) -> Reading:
    """
    Read the log of a slot's folder.

    Raises:
        Corrupt: it cannot be trusted.
        JournalError: the system refused to read it, or there is none.
    """
    place = path / "log"
    with saying(f"cannot read {place}"):
        data = _content(place)
        facts = read_header(LOG_MAGIC, LOG_HEADER, data[:LOG_HEADER], place)
        payloads, offset = read_frames(data, LOG_HEADER, facts["first_seq"], facts["salt"])
        later = whole_frame_after(data, offset, facts["salt"]) if offset < len(data) else None
        if later is not None:
            raise Corrupt(place, f"no record there, but a whole one at byte {later:,}", offset)
        return Reading(path, Identity.read(facts["identity"]), facts["first_seq"], len(data), payloads)


def _content(path: Path) -> bytes:
    fd = open_file(path, os.O_RDONLY)
    try:
        # Not mapped: reading a hole of a mapped file needs a page, and on a full tmpfs there is none (SIGBUS).
        with os.fdopen(os.dup(fd), "rb") as file:
            return file.read()
    finally:
        os.close(fd)
