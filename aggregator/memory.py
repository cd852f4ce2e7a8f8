"""
Anonymous memory for totals: zeroed int64 slots, reserved at once and paid for page by page as they are touched.

Rules that live here: the map is private (a forked child gets its own copy, never shared counters) and is not charged
before it is written to, so a bound of millions of rows costs nothing until rows come.
"""

from __future__ import annotations

import mmap


def anonymous(slots: int) -> memoryview[int]:
    """Return that many zeroed int64 slots."""
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
    return memoryview(mmap.mmap(-1, max(slots, 1) * 8, flags=flags)).cast("q")
