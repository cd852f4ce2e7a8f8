"""
Who may be folded: writers of an exact table that nobody will write as again.

Rules that live here:

* A writer is retired for sure when its slot is leased here and the slot's journal says that it was given up with all it
  had written.
* Any other writer may live on in a copy of the journal, or on another host: it must have written nothing for an hour,
  and, where its slot is not held here, be named by whoever knows better.
* A row that another slot has marked is that slot's to finish: its writer is left for later.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from aggregator.journal.reading import read_slot
from aggregator.journal.replay import read
from aggregator.merging import Row

if TYPE_CHECKING:
    from aggregator.core.held import Held
    from aggregator.journal.directory import Directory
    from aggregator.slots import OpenSlot

QUIET_US = 3_600_000_000
"""How long a writer must have written nothing where no journal says that it is retired."""

Tables: TypeAlias = "list[tuple[OpenSlot, Held]]"
"""The table, in each slot held here that counted in it."""


class Retired:
    """Judge the writers of one table, once the slots held here have given up theirs."""

    def __init__(self, directory: Directory, slots: list[OpenSlot], tables: Tables, dead: Sequence[str]) -> None:
        self._host = directory.host
        self._numbers = {slot.number for slot in slots}
        self._all_numbers = set(directory.slots())
        self._tables = tables
        self._dead = dead
        self._marked: dict[str, int] = {}  # writer -> the slot that has to finish
        for slot, held in tables:
            self._marked.update((fold.writer, slot.number) for fold in held.totals.folds.values())
        for number in self._all_numbers - self._numbers:
            found, _last = read(read_slot(directory.path / f"slot-{number:04}"), 0)
            self._marked.update((fold.writer, number) for table in found for fold in table.folds.values())

    def is_present(self, writer: str) -> bool:
        """Return whether a slot held here writes as this writer."""
        return any(held.writer == writer for _slot, held in self._tables)

    def last_stamp(self, writer: str) -> int:
        """Return the latest timestamp the journal of a retired writer gave out, in us; 0 where that is not known."""
        return max((held.ledger.last_stamp() for _slot, held in self._tables if writer in held.retired), default=0)

    def why_not(self, writer: str, rows: Sequence[Row], now_us: int) -> str | None:
        """Return why a writer with these rows must be left alone; None: it may be folded."""
        if writer in self._marked:
            return f"slot {self._marked[writer]} has to finish rows of it that an earlier fold began"
        if any(writer in held.retired for _slot, held in self._tables):
            return None
        host, number = host_and_slot(writer)
        if host == self._host and number in self._all_numbers - self._numbers:
            return "a live process has its slot"
        if (host != self._host or number not in self._numbers) and writer not in self._dead:
            return "its slot is not in this journal: --dead names a writer as which nobody will write again"
        quiet = now_us - newest_write(rows)
        if quiet < QUIET_US:
            return f"it wrote {quiet / 60e6:.0f} minutes ago and may live on; an hour must have passed"
        return None


def host_and_slot(writer: str) -> tuple[str, int | None]:
    """Return whose writer an id is; an id of another form is of no slot."""
    host, _, rest = writer.partition("/")
    number = rest.partition("/")[0]
    return host, int(number) if number.isdecimal() else None


def newest_write(rows: Sequence[Row]) -> int:
    """Return the latest timestamp in rows of a writer, in us; 0 where there is none."""
    return max((written for _key, own in rows for _total, written in own.values()), default=0)
