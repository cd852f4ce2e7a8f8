"""
The arrays of a worker's slot, mapped by the agent.

Rules that live here: an array is never made or enlarged here, that is its owner's to do; one that was enlarged is
mapped anew. What is looked at is copied first: the worker goes on counting.
"""

from __future__ import annotations

import os
from pathlib import Path

from aggregator.core.taken import CHUNK
from aggregator.journal.arrays import MappedArray
from aggregator.journal.opening import saying


class Columns:
    """The arrays of one slot, by name; ``JournalError`` where one cannot be opened."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._arrays: dict[str, MappedArray] = {}

    def words(self, name: str) -> memoryview[int]:
        """Return the view of an array that never grows."""
        return self._opened(name).view

    def of(self, table: int, column: int, kind: str, slot: int) -> memoryview[int]:
        """Return the view of a column's array (``total``, ``sent``, ``settled``), with at least that slot."""
        name = f"t{table}.c{column}.{kind}"
        array = self._opened(name)
        if len(array.view) <= slot:
            self._arrays.pop(name).close()
            array = self._opened(name)
        return array.view

    def chunk(self, table: int, column: int, kind: str, start: int) -> bytes:
        """Return a copy of the numbers of a chunk."""
        return self.of(table, column, kind, start)[start : start + CHUNK].tobytes()

    def sync(self, *names: str) -> None:
        """Make what was stored into these arrays durable."""
        for name in names:
            self._opened(name).sync()

    def _opened(self, name: str) -> MappedArray:
        array = self._arrays.get(name)
        if array is None:
            path = self._folder / f"{name}.array"
            with saying(f"cannot open {path}"):
                os.lstat(path)
            array = self._arrays[name] = MappedArray.open(path, name, 0)
        return array

    def close(self) -> None:
        """Close every array."""
        for array in self._arrays.values():
            array.close()
        self._arrays.clear()
