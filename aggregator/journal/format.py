"""
What the bytes of a journal mean; the one description of the format.

    DIR/host                        the host's random uuid, text          DIR/machine    only without /etc/machine-id
    DIR/slot-0000/lease             empty; whoever holds its flock owns the slot
    DIR/slot-0000/log               header block of 512 bytes, then records
    DIR/slot-0000/<name>.array      header block of 4,096 bytes, then int64 slots, mapped by the owner
    DIR/slot-0000.corrupt-1/        a slot set aside; nothing here ever opens it again

Integers are little-endian; an array's slots are in the machine's own order, as a journal never leaves its machine.

    header block    8 magic | u32 version | u32 crc | u32 length | JSON of that length | zeros
    record          u32 length | u32 crc | u64 seq | payload of that length, 1 byte to 1 MiB

The crc is ``zlib.crc32`` (not crc32c, which the standard library lacks): of a header over its JSON, of a record over
seq and payload, begun with the log's random salt. So nothing that an increment can put into a key looks like a record.
The JSON of a log: ``first_seq``, ``salt``, ``identity`` (who wrote it, see ``identity.py``); of an array: ``name``,
``slots``.

Rules that live here:

* seq is contiguous from the header's ``first_seq``. A length is checked before anything of that length is read.
* Reading stops at the first record that is not whole. **Nothing whole after it: a torn tail**, a write that death cut
  short: it never returned to its caller, and it is cut off. **Something whole after it, or a whole record out of its
  order: corruption**: what was lost is unknown, so nothing is used, and the slot is set aside (:class:`Corrupt`).
* A slot of an array has no checksum: a store of 8 bytes is whole or absent, and the log's checkpoints bound what it may
  plausibly hold.
* A file appears under its name when it is complete and synced; a log is replaced in the same way.
* Death of the process loses nothing: what was written is in the page cache. **A reboot** (another boot id) may lose
  what was not synced, of each page apart: intents are synced before they are sent with durability ``disk``; with
  ``process`` the stored rows decide. **A copied directory** (another machine id or inode) has an owner elsewhere: it is
  not replayed, and its writer's name not used again. **A rolled-back volume** looks like a reboot, or like nothing at
  all: only a stored write time above the journal's own last one gives it away, for the reader of the rows to see.
"""

from __future__ import annotations

import json
import mmap
import re
import struct
from typing import Any, TypeAlias
from zlib import crc32

from aggregator.exceptions import JournalError

VERSION = 1
LOG_MAGIC, LOG_HEADER = b"AGGRLOG\n", 512  # one disk sector: rewritten in place, whole or not at all
ARRAY_MAGIC, ARRAY_HEADER = b"AGGRARR\n", 4096  # one page: the slots begin on the next
PAYLOAD_LIMIT = 1 << 20

Data: TypeAlias = "bytes | mmap.mmap"

_BLOCK = struct.Struct("<8sIII")
_FRAME = struct.Struct("<IIQ")
_LEAD = struct.Struct("<II")
_SEQ = struct.Struct("<Q")

# Where a record may begin: a length of 1 byte to 1 MiB, and a seq far below 2**48.
_CANDIDATE = re.compile(rb"(?=(?!\0{4})..[\x00-\x10]\0.{10}\0\0)", re.DOTALL)


class Corrupt(JournalError):
    """A file of a slot cannot be trusted; nothing of it was used. The slot is set aside, and a fresh one taken."""

    def __init__(self, path: object, reason: str, offset: int = 0) -> None:
        super().__init__(f"{path} is damaged at byte {offset:,}: {reason}; nothing of it was used")
        self.reason = reason
        self.offset = offset


def header(magic: bytes, size: int, facts: dict[str, Any]) -> bytes:
    """Return a header block of ``size`` bytes."""
    body = json.dumps(facts, separators=(",", ":")).encode()
    assert _BLOCK.size + len(body) <= size, f"{len(body)} bytes of facts in a header of {size}"
    return (_BLOCK.pack(magic, VERSION, crc32(body), len(body)) + body).ljust(size, b"\0")


def read_header(magic: bytes, size: int, block: bytes, path: object) -> dict[str, Any]:
    """Return what a header block says; ``path`` is for the error. Raises :class:`Corrupt`."""
    if len(block) < size:
        raise Corrupt(path, f"it has {len(block)} bytes, fewer than the {size} of its header", len(block))
    found, version, crc, length = _BLOCK.unpack_from(block)
    if found != magic:
        raise Corrupt(path, f"it begins with {found!r} and not with {magic!r}")
    if version != VERSION:
        raise Corrupt(
            path,
            f"its format is version {version} and this release reads {VERSION}; the release that wrote it can read it",
            8,
        )
    body = block[_BLOCK.size : _BLOCK.size + length]
    if len(body) != length or crc32(body) != crc:
        raise Corrupt(path, "the checksum of its header does not match", 12)
    facts: dict[str, Any] = json.loads(body)
    return facts


def frame(seq: int, payload: bytes, salt: int) -> bytes:
    """Return one record."""
    if not 0 < len(payload) <= PAYLOAD_LIMIT:
        raise ValueError(f"a record holds 1 to {PAYLOAD_LIMIT:,} bytes, not {len(payload):,}; nothing was written")
    body = _SEQ.pack(seq) + payload
    return _LEAD.pack(len(payload), crc32(body, salt)) + body


def read_frames(data: Data, offset: int, seq: int, salt: int) -> tuple[list[bytes], int]:
    """Return the payloads of the whole records from ``offset`` on, the first numbered ``seq``, and where they end."""
    payloads: list[bytes] = []
    size = len(data)
    while offset + _FRAME.size <= size:
        length, crc, found = _FRAME.unpack_from(data, offset)
        end = offset + _FRAME.size + length
        if found != seq or not 0 < length <= PAYLOAD_LIMIT or end > size:
            break
        body = data[offset + _LEAD.size : end]
        if crc32(body, salt) != crc:
            break
        payloads.append(body[_SEQ.size :])
        offset = end
        seq += 1
    return payloads, offset


def whole_frame_after(data: Data, offset: int, salt: int) -> int | None:
    """Return where, at ``offset`` or behind it, a record with a good checksum begins; its seq may be any."""
    size = len(data)
    for match in _CANDIDATE.finditer(data, offset):
        start = match.start()
        length, crc, _ = _FRAME.unpack_from(data, start)
        end = start + _FRAME.size + length
        if length <= PAYLOAD_LIMIT and end <= size and crc32(data[start + _LEAD.size : end], salt) == crc:
            return start
    return None
