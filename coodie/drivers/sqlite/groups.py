"""
The rows of a flush, grouped by template.

Rules that live here: counter updates of one template are one group, for adding commutes, and so are writes of totals,
of which the latest counts; any other statement keeps its place among its neighbours. A flush passes here row by row,
beside busy threads: what is done per row is as little as can be.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any, TypeAlias

from coodie.drivers.sqlite.exact_rows import is_exact
from coodie.statement import CounterUpdate, Statement

Run: TypeAlias = tuple[int, int]
"""Items in a row of the work: the index of the first, and how many."""


@dataclass(frozen=True, slots=True)
class Group:
    """Rows of one template, and where they stand in the work, run by run."""

    template: Statement
    runs: list[Run]
    rows: list[tuple[Any, ...]]

    def halves(self) -> list[Group]:
        """Return its first and second half; itself where there is one row."""
        middle = len(self.rows) // 2
        if not middle:
            return [self]
        first, second = cut(self.runs, middle)
        return [Group(self.template, first, self.rows[:middle]), Group(self.template, second, self.rows[middle:])]


def cut(runs: Sequence[Run], size: int) -> tuple[list[Run], list[Run]]:
    """Return runs as two: those of the first ``size`` items, and the rest."""
    first: list[Run] = []
    second: list[Run] = []
    for start, count in runs:
        here = max(0, min(count, size))
        size -= here
        if here:
            first.append((start, here))
        if count - here:
            second.append((start + here, count - here))
    return first, second


class Taking:
    """Takes items from the work into groups; what was taken before an error of the work stays taken."""

    def __init__(self, start: int) -> None:
        self.groups: list[Group] = []
        self._next = start
        self._open: dict[int, Group] = {}

    def take(self, items: Iterable[tuple[Statement, tuple[Any, ...]]]) -> None:
        """Take items in their order: run by run of one template, in C."""
        for template, run in groupby(items, key=_template):
            group = self._group_of(template)
            before = len(group.rows)
            try:
                group.rows.extend(map(_values, run))
            finally:
                count = len(group.rows) - before
                group.runs.append((self._next, count))
                self._next += count

    def next_index(self) -> int:
        """Return the index of the item after those taken."""
        return self._next

    def _group_of(self, template: Statement) -> Group:
        found = self._open.get(id(template))
        if found is None:
            found = Group(template, [], [])
            self.groups.append(found)
            if isinstance(template.shape, CounterUpdate) or is_exact(template.shape):
                self._open[id(template)] = found
            else:
                self._open.clear()  # nothing that follows may come before this statement
        return found


_template, _values = itemgetter(0), itemgetter(1)


def parted(chunk: Sequence[Group], *, whole_groups: bool) -> list[Sequence[Group]]:
    """Return the parts of a refused chunk to be tried by themselves: its groups, or (else) its two halves."""
    if whole_groups:
        return [[group] for group in chunk]
    if len(chunk) > 1:
        middle = len(chunk) // 2
        return [chunk[:middle], chunk[middle:]]
    return [[half] for half in chunk[0].halves()]
