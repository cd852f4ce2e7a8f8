"""
What a chunk of rows gained since its watermark.

Rules that live here: column by column, in lists that run side by side, worked on in C: a flush passes every dirty row
through here, beside threads that want the interpreter.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import compress
from operator import sub
from typing import Any, NamedTuple, TypeAlias

CHUNK = 4096
"""Slots that are compared, taken and settled at once: 32 KiB a column, a few microseconds."""

INT64_MAX = 2**63 - 1
INT64_MIN = -(2**63)


def rounded(slots: int) -> int:
    """Return a number of slots as whole chunks."""
    return -(-slots // CHUNK) * CHUNK


Key: TypeAlias = Any
"""The value of a one-column primary key itself, else the tuple of its values: a bare string saves 64 bytes a row."""


class Base(IntEnum):
    """What is known of what this writer has stored in a row of an exact table."""

    UNREAD = 0  # nothing: it is read, once, and laid under what the row has collected
    KNOWN = 1
    CHECK = 2  # the totals should be right, but what holds them may be old: the row is read and compared
    FOLDING = 3  # a retired writer's row was laid under it: only the fold writes it, until that is applied
    DOUBTFUL = 4  # a write's outcome is unknown: it is written again, even where the total is back at its watermark


def doubtful(bases: bytearray) -> list[int]:
    """Return the offsets of rows in which the database may hold what a write of unknown outcome left there."""
    return [at for at, base in enumerate(bases) if base == Base.DOUBTFUL] if Base.DOUBTFUL in bases else []


class Fold(NamedTuple):
    """A row of a retired writer on its way into ours: whose, and the timestamp (us) its row is deleted with."""

    writer: str
    timestamp: int


@dataclass(slots=True)
class Taken:
    """
    The rows of one chunk that gained something: in flight until each is told a fate.

    ``copies`` are the totals as they were taken, ``offsets`` the rows' places in the chunk, ``keys`` and each list of
    ``gains`` run beside them.
    """

    start: int
    copies: dict[str, memoryview[int]]
    offsets: Sequence[int]
    keys: list[Key]
    gains: dict[str, list[int]]
    is_partial: bool = False  # not every dirty row of the chunk is among them
    timestamp: int = 0  # us, of an exact table: with the totals it makes the write

    def __len__(self) -> int:
        return len(self.keys)

    def sums(self) -> dict[str, int]:
        """Return the units taken, by column."""
        return {name: sum(gains) for name, gains in self.gains.items()}

    def only(self, positions: Sequence[int]) -> Taken:
        """Return some of the rows, or all in another order."""
        return Taken(
            self.start,
            self.copies,
            [self.offsets[at] for at in positions],
            [self.keys[at] for at in positions],
            {name: [gains[at] for at in positions] for name, gains in self.gains.items()},
            self.is_partial or len(positions) < len(self.keys),
            self.timestamp,
        )

    def deltas(self, position: int) -> dict[str, int]:
        """Return what one row gained, without the columns that gained nothing."""
        return {name: gains[position] for name, gains in self.gains.items() if gains[position]}


def gained(
    start: int,
    keys: list[Key],
    copies: dict[str, memoryview[int]],
    settled: Mapping[str, list[int]],
    also: Sequence[int] = (),
) -> Taken:
    """
    Return what each row of a chunk gained; the copies are cut down where a gain would leave 64 bits.

    ``also``: offsets of rows that are among them whether they gained or not.
    """
    gains: dict[str, list[int]] = {}
    for name, copy in copies.items():
        gain = list(map(sub, copy.tolist(), settled[name]))
        if max(gain) > INT64_MAX or min(gain) < INT64_MIN:
            _clamp(copy, settled[name], gain)
        gains[name] = gain[: len(keys)]
    chosen = list(map(any, zip(*gains.values(), strict=True)))
    for offset in also:
        chosen[offset] = True
    if all(chosen):
        return Taken(start, copies, range(len(keys)), keys, gains)
    dirty = {name: list(compress(gain, chosen)) for name, gain in gains.items()}
    return Taken(start, copies, list(compress(range(len(keys)), chosen)), list(compress(keys, chosen)), dirty)


def _clamp(copy: memoryview[int], settled: list[int], gains: list[int]) -> None:
    """Take no more than 64 bits of a row at a time; the rest stays pending, and goes with the next flush."""
    for at, gain in enumerate(gains):
        if not INT64_MIN < gain < INT64_MAX:
            gains[at] = max(-INT64_MAX, min(gain, INT64_MAX))
            copy[at] = settled[at] + gains[at]


def packed(offsets: Sequence[int]) -> bytes:
    """Return offsets in a chunk as bytes; none at all stand for the first ones without a gap."""
    return b"" if isinstance(offsets, range) else array("H", offsets).tobytes()


def indexes_of(rows: bytes, first: int) -> dict[int, int]:
    """Return offset -> index of packed rows, the first of which has the index ``first``."""
    return {offset: index for index, offset in enumerate(array("H", rows) if rows else range(CHUNK), first)}
