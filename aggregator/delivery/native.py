"""
Native counter tables: one ``UPDATE t SET a = a + ?`` per touched row.

Rules that live here: one row a statement (a batch over partitions has one error for all of them); only the columns
that gained, in the table's order; never a zero delta.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import repeat
from operator import itemgetter
from typing import Any

from aggregator.core.taken import Taken
from coodie.plans.counters import update
from coodie.schema import Table
from coodie.statement import Statement


class NativeDelivery:
    """Turn what a chunk gained into statements of one table."""

    writer = None

    def __init__(self, table: Table, consistency: str) -> None:
        self.table = table
        self._consistency = consistency
        self._templates: dict[tuple[str, ...], Statement] = {}

    def template(self, columns: tuple[str, ...]) -> Statement:
        """Return the statement that adds to these columns: one object per set of columns."""
        found = self._templates.get(columns)
        if found is None:
            found = replace(update(self.table, columns), consistency=self._consistency)
            self._templates[columns] = found
        return found

    def ordered(self, columns: tuple[str, ...]) -> tuple[str, ...]:
        """Return columns in the table's order, which is the order of a template's values."""
        ordered = tuple(column.name for column in self.table.counter_columns if column.name in columns)
        if len(ordered) != len(columns):
            raise AssertionError(
                f"{self.table.full_name} has no counters {set(columns) - set(ordered)}: nothing is sent"
            )
        return ordered

    def statement(self, deltas: Mapping[str, int], key: tuple[Any, ...]) -> Statement:
        """Return the statement that adds to one row."""
        columns = self.ordered(tuple(deltas))
        return self.template(columns).with_values((*(deltas[name] for name in columns), *key))

    def arranged(self, taken: Taken) -> Taken:
        """Return the rows as they are: each is a statement of its own."""
        return taken

    def work(self, taken: Taken) -> Iterator[tuple[Statement, tuple[Any, ...]]]:
        """Return (template, values) for each row taken, in their order."""
        gained = tuple(name for name, gains in taken.gains.items() if any(gains))
        if all(all(taken.gains[name]) for name in gained):
            return self._alike(taken, gained)
        return self._one_by_one(taken)

    def _alike(self, taken: Taken, columns: tuple[str, ...]) -> Iterator[tuple[Statement, tuple[Any, ...]]]:
        """Return the work where every row gained in the same columns: put together in C, as a large flush needs it."""
        keys = [taken.keys] if len(self.table.primary_key) == 1 else list(zip(*taken.keys, strict=True))
        gains = (taken.gains[name] for name in self.ordered(columns))
        return zip(repeat(self.template(columns)), zip(*gains, *keys, strict=True), strict=False)

    def _one_by_one(self, taken: Taken) -> Iterator[tuple[Statement, tuple[Any, ...]]]:
        names = tuple(taken.gains)
        single = len(self.table.primary_key) == 1
        known: dict[tuple[bool, ...], tuple[Statement, Any]] = {}
        for key, gains in zip(taken.keys, zip(*taken.gains.values(), strict=True), strict=True):
            mask = tuple(map(bool, gains))
            found = known.get(mask)
            if found is None:
                found = known[mask] = self._plan(names, mask)
            template, ordered = found
            yield template, (*ordered(gains), key) if single else (*ordered(gains), *key)

    def _plan(self, names: tuple[str, ...], mask: tuple[bool, ...]) -> tuple[Statement, Any]:
        """Return the template of the columns that gained, and what picks their gains in the template's order."""
        columns = tuple(name for name, gained in zip(names, mask, strict=True) if gained)
        positions = [names.index(name) for name in self.ordered(columns)]
        picked = slice(positions[0], positions[0] + 1) if len(positions) == 1 else None
        return self.template(columns), itemgetter(picked) if picked else itemgetter(*positions)
