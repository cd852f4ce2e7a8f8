"""
Going on where a dead process stopped: from the records of a log and the arrays beside it to tables in memory.

Rules that live here:

* Recovery happens in place: the same slot, the same arrays. Nothing is copied from one journal to another, so nothing
  can be there twice; dying in the middle of it leaves all as it was.
* What was in flight at the death is found where what was sent differs from what is settled. With a mark in the embedded
  store it is asked for there; otherwise its outcome is unknown. On an exact table it is pending: written once more.
* A journal that may be old (the machine was started since, and nothing was synced) is not believed: what native tables
  had pending is unknown, and what exact tables hold is compared with the stored rows first.
* A slot of an array that holds more than can have been added is not believed either: it is left out, and said so.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from aggregator.core.held import Held
from aggregator.core.ledger import Change
from aggregator.core.parked import Entry
from aggregator.core.settlement import DIED, Failure, RowFate, Tally, settle
from aggregator.core.taken import CHUNK, Base, Fold, Key, Taken, gained, rounded
from aggregator.journal.format import Corrupt
from aggregator.journal.ledger import APPLIED, CLEAN, EXPECTED, PLAUSIBLE, SYNCED, Journal, clear
from aggregator.journal.records import ChangeRecord, TableRecord, decode, entry_of, units_of, value_of

if TYPE_CHECKING:
    from aggregator.journal.files import JournalFiles
    from aggregator.journal.reading import Reading

log = logging.getLogger("aggregator")

RESTARTED = "the machine was restarted while the journal held this unsynced (durability='process')"


@dataclass
class Recovered:
    """What the log says of one table."""

    record: TableRecord
    keys: dict[int, Key] = field(default_factory=dict)
    bases: dict[int, int] = field(default_factory=dict)
    late: dict[Key, dict[str, int]] = field(default_factory=dict)
    unknown: dict[Key, Entry] = field(default_factory=dict)
    rejected: dict[Key, Entry] = field(default_factory=dict)
    intents: dict[int, tuple[int, int]] = field(default_factory=dict)
    values: list[tuple[int, str, int | None, int]] = field(default_factory=list)  # not yet stored
    forgets: bool = False
    writer: str | None = None
    folds: dict[Key, Fold] = field(default_factory=dict)
    retired: list[str] = field(default_factory=list)

    def replay(self, change: ChangeRecord, *, is_stored: bool) -> None:
        """Take what a record says over what the records before it said."""
        if change.writer is not None:
            self.writer, self.forgets = change.writer, False
            self.folds.clear()
        if change.retired is not None:
            self.retired = change.retired
        self.forgets = self.forgets or bool(change.forgets)
        for slot, key in change.keys:
            if key is None:
                self.keys.pop(slot, None)
            else:
                self.keys[slot] = value_of(key)
        self.bases.update(change.bases)
        self._replay_beside(change)
        if change.intent is not None:
            self.intents[change.intent[0]] = change.intent[1:]
        if not is_stored:
            self.values += change.values

    def _replay_beside(self, change: ChangeRecord) -> None:
        for content, row in change.late:
            _put(self.late, value_of(content), None if row is None else units_of(row))
        for entries, told in ((self.unknown, change.unknown), (self.rejected, change.rejected)):
            for content, found in told:
                _put(entries, value_of(content), None if found is None else entry_of(found, 1))
        for content, fold in change.folds:
            _put(self.folds, value_of(content), fold)


def _put(where: dict[Any, Any], key: Key, found: Any) -> None:
    if found is None:
        where.pop(key, None)
    else:
        where[key] = found


def read(files: JournalFiles | Reading, applied: int) -> tuple[list[Recovered], int]:
    """Return what a log tells of its tables, by number, and its last seq; ``Corrupt`` where that makes no sense."""
    tables: dict[int, Recovered] = {}
    seq = files.first_seq - 1
    try:
        for seq, payload in enumerate(files.records(), files.first_seq):
            record = decode(payload)
            if isinstance(record, TableRecord):
                tables.setdefault(record.number, Recovered(record)).record = record
            else:
                tables[record.table].replay(record, is_stored=seq <= applied)
        return [tables[number] for number in sorted(tables)], seq  # one that could not be told left its number out
    except (KeyError, TypeError, ValueError) as error:
        raise Corrupt("the log", f"its record {seq} makes no sense ({type(error).__name__}: {error})") from error


class Recovery:
    """Bring what a slot holds back, into the tables of a buffer. Used once, before the first increment."""

    def __init__(self, journal: Journal, max_keys: int, on_unknown: str, now: datetime) -> None:
        self.tally = Tally()
        self._journal = journal
        self._max_keys = max_keys
        self._on_unknown = on_unknown
        self._now = now
        state = journal.state
        self._tables, self._last = read(journal.files, state[APPLIED])
        self._is_old = journal.files.is_other_boot and not state[SYNCED] and not state[CLEAN]
        self._most = min(2**63 - 1, PLAUSIBLE + state[EXPECTED])

    def tables(self, table_of: Callable[[TableRecord], Any]) -> list[Held]:
        """Return every table as it is held from now on; ``table_of`` makes the mapper's Table of a record."""
        restored = [self._restored(recovered, table_of(recovered.record)) for recovered in self._tables]
        self._journal.replayed(self._last)  # the arrays of all of them are stored: from here on records are added
        for held, recovered in zip(restored, self._tables, strict=True):
            if held.is_exact:
                if held.writer is None:  # the process died between telling of the table and naming its writer
                    held.begin_writer()
                self._doubt(held)
            else:
                self._resume(held, recovered)
        self._journal.take_over()
        return restored

    def _restored(self, recovered: Recovered, table: Any) -> Held:
        count = max(recovered.keys, default=-1) + 1
        slots = rounded(max(self._max_keys, count))
        ledger = self._journal.ledger(recovered.record, slots)
        held = Held(recovered.record.connection, table, tuple(recovered.record.arrays), slots, ledger)
        ledger.attach(held)
        ledger.intents = recovered.intents
        held.writer, held.retired = recovered.writer, recovered.retired
        held.is_recovered = True
        for start in range(0, count, CHUNK):
            ledger.keep(start)
        self._restore_rows(held, recovered, count)
        self._restore_beside(held, recovered)
        for slot in recovered.keys:
            self._check_plausible(held, slot)
        for column in held.totals.columns.values():
            column.evicted = -held.totals.sums(column.name)[1]
        return held

    def _restore_rows(self, held: Held, recovered: Recovered, count: int) -> None:
        totals = held.totals
        totals.keys = [recovered.keys.get(slot) for slot in range(count)]
        totals.bases = bytearray(recovered.bases.get(slot, Base.KNOWN) for slot in range(count))
        totals.free = [slot for slot in range(count) if slot not in recovered.keys]
        totals.slots.update((key, slot) for slot, key in recovered.keys.items())
        totals.folds.update(recovered.folds)
        totals.forgets = recovered.forgets
        for slot, name, total, settled in recovered.values:
            if slot in recovered.keys or total == 0:
                totals.columns[name].put(slot, total, settled)
        self._clear_free(held, count)

    def _clear_free(self, held: Held, count: int) -> None:
        """Empty what has no key, up to the end of the last chunk; later chunks are emptied when they are first used."""
        for column in held.totals.columns.values():
            for array in filter(None, (column.total, column.settled, column.sent)):
                for slot in held.totals.free:
                    clear(array, slot, slot + 1)
                clear(array, count, rounded(count))

    def _restore_beside(self, held: Held, recovered: Recovered) -> None:
        held.late.update(recovered.late)
        held.unknown.restore(recovered.unknown)
        held.rejected.restore(recovered.rejected)
        for entry in recovered.unknown.values():
            for name, delta in entry.deltas.items():
                held.units[name].beside += delta
            for side in (entry.positive, entry.negative):
                for name, delta in side.items():
                    held.units[name].add_unknown(delta)
        for entry in recovered.rejected.values():
            for name, delta in entry.deltas.items():
                held.units[name].beside += delta
                held.units[name].dropped += delta

    def _check_plausible(self, held: Held, slot: int) -> None:
        for column in held.totals.columns.values():
            settled = column.settled[slot]
            sent = settled if column.sent is None else column.sent[slot]
            if abs(column.total[slot] - settled) > self._most or abs(sent - settled) > self._most:
                log.error(
                    "%s: slot %d of column %s holds %d units more than were ever added in the journal's time: it is "
                    "damaged, and left out",
                    held.name,
                    slot,
                    column.name,
                    column.total[slot] - settled,
                )
                column.put(slot, settled, settled)

    # --- what was on its way ----------------------------------------------------------------------------------

    def _resume(self, held: Held, recovered: Recovered) -> None:
        """Take up what was in flight, to be settled by its mark; without one its outcome is unknown."""
        for start in range(0, len(held.totals.keys), CHUNK):
            taken = _sent(held, start)
            if taken is not None:
                self._take_up(held, taken, recovered.intents.get(start))
            if self._is_old:
                self._give_up(held, start)

    def _take_up(self, held: Held, taken: Taken, intent: tuple[int, int] | None) -> None:
        held.totals.in_flight[taken.start] = taken
        for name, units in taken.sums().items():
            held.units[name].in_flight += units
        if intent is not None and not self._is_old:
            held.resumed.append((taken, *intent))
            return
        failures = [Failure(position, RowFate.UNKNOWN, DIED) for position in range(len(taken))]
        settle(held, taken, failures, self._on_unknown, self._now, self.tally)

    def _give_up(self, held: Held, start: int) -> None:
        """Set apart what a chunk had pending in a journal that may be old."""
        taken = held.totals.take(start)
        if taken is not None:
            for name, units in taken.sums().items():
                held.units[name].in_flight += units
            failures = [Failure(position, RowFate.UNKNOWN, RESTARTED) for position in range(len(taken))]
            settle(held, taken, failures, "park", self._now, self.tally)

    def _doubt(self, held: Held) -> None:
        """Have the rows of a journal that may be old compared with what is stored, before they are written."""
        totals = held.totals
        if self._is_old:
            known = [slot for slot, key in enumerate(totals.keys) if key is not None and totals.bases[slot]]
            totals.forgets = totals.forgets or bool(known)
            held.ledger.tell_later(Change(bases=dict.fromkeys(known, Base.CHECK), forgets=totals.forgets))
            held.ledger.made()
            for slot in known:
                totals.bases[slot] = Base.CHECK
        for slot, base in enumerate(totals.bases):
            pending = totals.pending_of(slot) if base == Base.CHECK else {}
            if pending:
                totals.doubts[slot] = pending


def _sent(held: Held, start: int) -> Taken | None:
    """Return the rows of a chunk that were sent and not settled, as they were taken."""
    end = start + CHUNK
    copies: dict[str, memoryview[int]] = {}
    settled: dict[str, list[int]] = {}
    for name, column in held.totals.columns.items():
        if column.sent is None:
            return None
        copies[name] = memoryview(bytearray(column.sent[start:end])).cast("q")
        settled[name] = column.settled[start:end].tolist()
    taken = gained(start, held.totals.keys[start:end], copies, settled)
    taken.is_partial = True  # rows beside them may have more pending by now
    return taken if len(taken) else None
