"""
The rows of a flush, grouped by template.

Rules that live here: counter updates of one template are one group, for adding commutes; any other statement keeps its
place among its neighbours. A flush passes here row by row, beside busy threads: what is done per row is as little as
can be.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from coodie.statement import CounterUpdate, Statement


@dataclass(frozen=True, slots=True)
class Group:
    """Rows of one template, and their indices in the work."""

    template: Statement
    indices: list[int]
    rows: list[tuple[Any, ...]]

    def part(self, which: slice) -> Group:
        """Return some of its rows."""
        return Group(self.template, self.indices[which], self.rows[which])


class Taking:
    """Takes items from the work into groups; what was taken before an error of the work stays taken."""

    def __init__(self, start: int) -> None:
        self.groups: list[Group] = []
        self._start = start
        self._open: dict[int, Group] = {}

    def take(self, items: Iterable[tuple[Statement, tuple[Any, ...]]]) -> None:
        """Take items in their order."""
        current: Statement | None = None
        for index, (template, values) in enumerate(items, self._start):
            if template is not current:
                group = self._group_of(template)
                current, add_index, add_row = template, group.indices.append, group.rows.append
            add_index(index)
            add_row(values)

    def next_index(self) -> int:
        """Return the index of the item after those taken."""
        return self._start + sum(len(group.rows) for group in self.groups)

    def _group_of(self, template: Statement) -> Group:
        found = self._open.get(id(template))
        if found is None:
            found = Group(template, [], [])
            self.groups.append(found)
            if isinstance(template.shape, CounterUpdate):
                self._open[id(template)] = found
            else:
                self._open.clear()  # nothing that follows may come before this statement
        return found


def parted(chunk: Sequence[Group], *, whole_groups: bool) -> list[Sequence[Group]]:
    """Return the parts of a refused chunk to be tried by themselves: its groups, or (else) its two halves."""
    if whole_groups:
        return [[group] for group in chunk]
    if len(chunk) > 1:
        middle = len(chunk) // 2
        return [chunk[:middle], chunk[middle:]]
    middle = len(chunk[0].rows) // 2
    halves = (slice(None, middle), slice(middle, None)) if middle else (slice(None),)
    return [[chunk[0].part(which)] for which in halves]
