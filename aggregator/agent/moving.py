"""
The move: units out of a source and into the agent's own slot, once.

Rules that live here:

* One record holds the new totals of the agent's rows and the source's mark. Both are absolute: applied again after a
  crash they change nothing. Before it is in the log nothing has happened, once it is there all of it has.
* Then the arrays follow, and then the source is told. A source that does not know yet is told before it is asked again.
* While a portion is moved, its rows are out of reach of every other writer, and nothing of them is in flight.
* Nothing is dropped for want of room: rows that find none stay in their source. What would take a total beyond 64 bits
  is a dead letter.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from aggregator.agent.source import LONGEST_MARK, Portion
from aggregator.core.ledger import Change
from aggregator.core.parked import Parked
from aggregator.core.rewriting import announce, make_room
from aggregator.core.taken import INT64_MAX, INT64_MIN, Key
from aggregator.journal.ledger import JournalLedger

if TYPE_CHECKING:
    from aggregator.agent.source import Source
    from aggregator.agent.tables import Tables
    from aggregator.core.buffer import Buffer
    from aggregator.core.held import Held
    from aggregator.journal.ledger import Journal

log = logging.getLogger("aggregator")

BEYOND = "moved by the agent: the row's total, or its pending sum, would leave 64 bits"


@dataclass(slots=True)
class Part:
    """What a portion does to one table: by slot what is added, and what cannot be."""

    held: Held
    sums: dict[Key, dict[str, int]] = field(default_factory=dict)
    slots: dict[Key, int] = field(default_factory=dict)
    dead: dict[Key, dict[str, int]] = field(default_factory=dict)
    change: Change = field(default_factory=Change)


class Mover:
    """Move portions, on the agent's thread; ``JournalError`` where the agent's own journal cannot be written."""

    def __init__(self, buffer: Buffer, journal: Journal, tables: Tables) -> None:
        self._buffer = buffer
        self._journal = journal
        self._tables = tables

    def is_told(self, source: Source) -> bool:
        """Tell a source what was moved out of it, where it may not know yet; return whether it knows."""
        mark = self._journal.marks.get(source.name)
        if mark is not None and source.settle(mark):
            del self._journal.marks[source.name]
        return source.name not in self._journal.marks

    def move(self, source: Source, most: int) -> int:
        """Move one portion of at most ``most`` rows; return how many rows it had."""
        if not self.is_told(source):
            return 0
        portion = source.take(most)
        if portion is None:
            return 0
        try:
            self._enter(source.name, portion)
        except BaseException:
            if self._journal.marks.get(source.name) != portion.mark:
                source.release()  # it was not recorded
            raise
        self._journal.sync()  # with durability "disk": the source must not forget what power loss could take from us
        self.is_told(source)
        return len(portion.rows)

    def _enter(self, name: str, portion: Portion) -> None:
        """Record a portion, and have the agent's rows hold it."""
        assert len(portion.mark) <= LONGEST_MARK, f"{name}: a mark of {len(portion.mark):,} bytes"
        with self._buffer.lock, _apart(self._parts(portion)) as parts:
            for part in parts:
                self._work_out(part)
            changes = {_number(part.held): part.change for part in parts}
            self._journal.move(name, portion.mark, changes)
            for part in parts:
                _store(part)
            self._journal.made()

    def _parts(self, portion: Portion) -> list[Part]:
        """Return what is added to each row, with a slot for each."""
        parts: dict[int, Part] = {}
        for target, key, deltas in portion.rows:
            held = self._tables.held(target)
            part = parts.get(id(held))
            if part is None:
                part = parts[id(held)] = Part(held)
            sums = part.sums.setdefault(key[0] if len(key) == 1 else key, {})
            for column, delta in deltas.items():
                sums[column] = sums.get(column, 0) + delta
        for part in parts.values():
            for key in part.sums:
                slot = part.held.totals.map(key)
                assert slot is not None, f"{part.held.name} has no slot left: the bound was not kept"
                part.slots[key] = slot
        return list(parts.values())

    @staticmethod
    def _work_out(part: Part) -> None:
        """Enter into the change what the rows hold afterwards."""
        held, totals = part.held, part.held.totals
        for key, sums in part.sums.items():
            slot = part.slots[key]
            if not _fits(part, slot, sums) and not held.is_exact:
                make_room(totals, slot)
            if not _fits(part, slot, sums):
                part.dead[key] = sums
                letters = Parked()
                if key in held.rejected.entries:
                    letters.add(key, held.rejected.entries[key].deltas, datetime.now(UTC), BEYOND)
                letters.add(key, sums, datetime.now(UTC), BEYOND)
                part.change.rejected[key] = letters.entries[key]
                continue
            announce(totals, sums)
            for name, delta in sums.items():
                column = totals.columns[name]
                part.change.values.append((slot, name, column.total[slot] + delta, column.settled[slot]))


def _fits(part: Part, slot: int, sums: Mapping[str, int]) -> bool:
    for name, delta in sums.items():
        column = part.held.totals.columns[name]
        total = column.total[slot] + delta
        if not (INT64_MIN <= total <= INT64_MAX and INT64_MIN <= total - column.settled[slot] <= INT64_MAX):
            return False
    return True


def _number(held: Held) -> int:
    assert isinstance(held.ledger, JournalLedger)
    return held.ledger.record.number


@contextmanager
def _apart(parts: list[Part]) -> Iterator[Iterable[Part]]:
    """Keep every other writer away from the rows."""
    try:
        for part in parts:
            for key in part.slots:
                part.held.totals.mapped.pop(key, None)
        yield parts
    finally:
        for part in parts:
            part.held.totals.mapped.update(part.slots)


def _store(part: Part) -> None:
    held, totals = part.held, part.held.totals
    for slot, name, total, settled in part.change.values:
        totals.columns[name].put(slot, total, settled)
    for key, sums in part.dead.items():
        log.error("%s: a row's total would leave 64 bits: what was counted beyond it is a dead letter", held.name)
        held.rejected.add(key, sums, datetime.now(UTC), BEYOND)
        held.add_dropped(sums)
    totals.calls[0] += len(part.sums) - len(part.dead)
    totals.calls[1] += sum(sum(sums.values()) for key, sums in part.sums.items() if key not in part.dead)
