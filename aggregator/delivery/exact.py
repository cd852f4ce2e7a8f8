"""
Exact counter tables: one ``INSERT`` of this writer's totals per touched row.

Rules that live here:

* A write says what this writer has added to a row in all, with a timestamp that only rises: sending it twice, late or
  next to its successor changes nothing.
* All counter columns are written, so there is one statement for all rows; rows of one partition stand together,
  because a driver may send them in one batch.
* A consistency level below a quorum is refused: a total that only one replica has can be read back as an older one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import repeat
from operator import itemgetter
from typing import Any

from aggregator.core.taken import Taken
from coodie.exceptions import ConfigurationError
from coodie.plans import exact
from coodie.schema import Table
from coodie.statement import Statement

QUORUMS = ("LOCAL_QUORUM", "QUORUM", "EACH_QUORUM", "ALL")


def check_consistency(table: Table, consistency: str) -> None:
    """Refuse a consistency level that exact tables cannot be written with."""
    if consistency not in QUORUMS:
        raise ConfigurationError(
            f"consistency={consistency!r} with the exact table {table.full_name}: its totals must reach a quorum of "
            f"replicas; one of {', '.join(map(repr, QUORUMS))} is allowed; nothing was accepted"
        )


class ExactDelivery:
    """Turn the totals of a chunk into statements of one table, for one writer."""

    def __init__(self, table: Table, consistency: str, writer: str) -> None:
        self.table = table
        self.writer = writer
        self._consistency = consistency
        self._templates: dict[tuple[str, ...], Statement] = {}
        clustered = len(table.primary_key) > len(table.partition_key)
        self._partition = itemgetter(slice(0, len(table.partition_key))) if clustered else None

    def template(self, columns: tuple[str, ...]) -> Statement:
        """Return the statement that writes these columns: one object per set of columns."""
        found = self._templates.get(columns)
        if found is None:
            found = replace(exact.write(self.table, columns), consistency=self._consistency)
            self._templates[columns] = found
        return found

    def arranged(self, taken: Taken) -> Taken:
        """Return the rows with those of one partition next to each other."""
        if self._partition is None:
            return taken
        partitions: dict[Any, list[int]] = {}
        for position, partition in enumerate(map(self._partition, taken.keys)):
            partitions.setdefault(partition, []).append(position)
        if len(partitions) == len(taken):
            return taken
        return taken.only([position for positions in partitions.values() for position in positions])

    def work(self, taken: Taken) -> Iterator[tuple[Statement, tuple[Any, ...]]]:
        """Return (template, values) for each row taken, in their order."""
        columns = tuple(column.name for column in self.table.counter_columns if column.name in taken.copies)
        totals = (_picked(taken.copies, name, taken.offsets) for name in columns)
        keys = [taken.keys] if len(self.table.primary_key) == 1 else list(zip(*taken.keys, strict=True))
        count = len(taken)
        values = zip(*keys, repeat(self.writer, count), *totals, repeat(taken.timestamp, count), strict=True)
        return zip(repeat(self.template(columns)), values, strict=False)


def _picked(copies: Mapping[str, memoryview[int]], name: str, offsets: Any) -> list[int]:
    copy = copies[name].tolist()
    return copy[: len(offsets)] if isinstance(offsets, range) else [copy[offset] for offset in offsets]
