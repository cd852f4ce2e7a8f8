"""
What was counted, kept beside the product: the oracle.

Rules that live here:

* An increment whose call returned is certain. One that was on its way when its process was killed may count or not; so
  may those that a power loss can take: with ``durability="disk"`` what was not synced, with ``"process"`` everything.
* Where nothing is uncertain and nothing is of unknown fate, what is stored equals what was counted.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

Counted = tuple[type[Any], tuple[Any, ...], dict[str, int]]
"""Model, key, deltas of one call."""


class Line:
    """One column of one row."""

    def __init__(self) -> None:
        self.certain = 0
        self.perhaps = [0, 0]  # negative, positive
        self.ever = [0, 0]  # negative, positive: all that may ever have been accepted

    def doubt(self) -> None:
        self.certain, self.perhaps = 0, list(self.ever)

    def add_perhaps(self, delta: int) -> None:
        self.perhaps[delta > 0] += delta


class Books:
    """Every column of every row."""

    def __init__(self) -> None:
        self.lines: dict[tuple[type[Any], tuple[Any, ...], str], Line] = defaultdict(Line)

    def accepted(self, counted: Counted) -> None:
        model, key, deltas = counted
        for name, delta in deltas.items():
            line = self.lines[model, key, name]
            line.certain += delta
            line.ever[delta > 0] += delta

    def uncertain(self, counted: Counted) -> None:
        """Take note of a call that was on its way when its process died."""
        model, key, deltas = counted
        for name, delta in deltas.items():
            line = self.lines[model, key, name]
            line.add_perhaps(delta)
            line.ever[delta > 0] += delta

    def doubted(self, counted: Counted) -> None:
        """Take note that an accepted call may be lost after all."""
        model, key, deltas = counted
        for name, delta in deltas.items():
            line = self.lines[model, key, name]
            line.certain -= delta
            line.add_perhaps(delta)

    def doubt_row(self, model: type[Any], key: tuple[Any, ...]) -> None:
        """Take note that anything of a row may be lost."""
        for place, line in self.lines.items():
            if place[:2] == (model, key):
                line.doubt()

    def doubt_everything(self) -> None:
        for line in self.lines.values():
            line.doubt()
