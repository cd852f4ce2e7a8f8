"""
Deltas set apart, one entry a row: unknown outcomes and dead letters.

Rules that live here: entries of one row merge; an entry is resolved once, and only for what the caller was shown:
what was merged in since stays parked. Positive and negative deltas are kept apart, because the bounds on what the
database may hold need both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

Sides: TypeAlias = tuple[dict[str, int], dict[str, int]]
"""Positive and negative deltas per column."""


@dataclass(slots=True)
class Entry:
    """The parked deltas of one row."""

    at: datetime
    reason: str
    version: int
    times: int = 0
    resolved: int = 0  # the version up to which resolve() was called
    positive: dict[str, int] = field(default_factory=dict)
    negative: dict[str, int] = field(default_factory=dict)

    @property
    def deltas(self) -> dict[str, int]:
        """Return the net delta per column."""
        names = dict.fromkeys([*self.positive, *self.negative])
        return {name: self.positive.get(name, 0) + self.negative.get(name, 0) for name in names}

    def add(self, deltas: Mapping[str, int]) -> None:
        """Merge deltas in, each to its side."""
        for name, delta in deltas.items():
            side = self.positive if delta > 0 else self.negative
            side[name] = side.get(name, 0) + delta

    def subtract(self, other: Entry) -> None:
        """Take another entry's deltas out, each from its side."""
        for mine, theirs in ((self.positive, other.positive), (self.negative, other.negative)):
            for name, delta in theirs.items():
                mine[name] = mine.get(name, 0) - delta


class Parked:
    """Hold entries by row. Every method is called under the buffer's lock."""

    def __init__(self, most: int | None = None) -> None:
        self.most = most  # entries kept: beyond it the oldest goes; None: whoever adds keeps the bound
        self.entries: dict[Any, Entry] = {}
        self._versions = 0

    def __len__(self) -> int:
        return len(self.entries)

    def add(self, key: Any, deltas: Mapping[str, int], at: datetime, reason: str) -> None:
        """Set deltas of a row apart, merging them into what the row has."""
        entry = self.entries.get(key)
        if entry is None:
            if self.most is not None and len(self.entries) >= self.most:
                del self.entries[next(iter(self.entries))]
            entry = self.entries[key] = Entry(at, reason, self._versions, resolved=self._versions)
        self._versions += 1
        entry.add(deltas)
        entry.times += 1
        entry.reason = reason
        entry.version = self._versions

    def restore(self, entries: Mapping[Any, Entry]) -> None:
        """Take entries over that another process left; each is as it was."""
        for key, entry in entries.items():
            self._versions += 1
            entry.version, entry.resolved = self._versions, self._versions - 1
            self.entries[key] = entry

    def remove(self, key: Any, deltas: Mapping[str, int], version: int) -> Sides | None:
        """Take out what was shown at a version, and return it by side; None: it was resolved before."""
        entry = self.entries.get(key)
        if entry is None or not entry.resolved < version <= entry.version:
            return None
        entry.resolved = version
        if version == entry.version:
            del self.entries[key]
            return entry.positive, entry.negative
        shown = Entry(entry.at, entry.reason, version)
        shown.add(deltas)
        entry.subtract(shown)
        return shown.positive, shown.negative
