"""
The hottest rows of the last minutes: a Space-Saving sketch in its batch form, in two windows.

Rules that live here: at most twice ``capacity`` counters a window. When a window is full the lower half goes, and the
largest count that went becomes the floor at which a new row starts: a count is never too low by more than nothing,
and too high by at most the floor (Metwally, Agrawal, El Abbadi 2005). Windows turn when the caller says so, so that a
row that went cold is forgotten after two of them.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from itertools import compress, islice
from typing import Any

MOST_OF_A_CHUNK = 256
"""Rows of one chunk that are looked at: where more are about as hot as its hottest, none of them stands out."""


class HotRows:
    """Count gains by row. Every method is called under the buffer's lock."""

    def __init__(self, capacity: int = 1000) -> None:
        self._capacity = capacity
        self._now: dict[Any, int] = {}
        self._before: dict[Any, int] = {}
        self._floor = 0

    def feed_chunk(self, owner: Any, keys: Sequence[Any], gains: Sequence[Sequence[int]]) -> None:
        """Add the rows of a chunk under ``(owner, key)``: those near its hottest; cold ones cost next to nothing."""
        heat = max(gains, key=max)
        least = max(heat) >> 4
        hottest = compress(zip(keys, heat, strict=True), map(least.__lt__, heat))
        self.feed(((owner, key), gain) for key, gain in islice(hottest, MOST_OF_A_CHUNK))

    def feed(self, rows: Iterable[tuple[Any, int]]) -> None:
        """Add the gain of each row."""
        counts = self._now
        for row, gain in rows:
            if row in counts:
                counts[row] += gain
            else:
                counts[row] = self._floor + gain
                if len(counts) >= 2 * self._capacity:
                    self._prune()

    def _prune(self) -> None:
        kept = heapq.nlargest(self._capacity + 1, self._now.items(), key=lambda item: item[1])
        self._floor = kept.pop()[1]
        self._now.clear()
        self._now.update(kept)

    def turn(self) -> None:
        """Begin a new window and forget the one before the last."""
        self._before, self._now, self._floor = self._now, {}, 0

    def top(self) -> list[tuple[Any, int]]:
        """Return every row counted, the hottest first."""
        merged = dict(self._before)
        for row, gain in self._now.items():
            merged[row] = merged.get(row, 0) + gain
        return sorted(merged.items(), key=lambda item: item[1], reverse=True)
