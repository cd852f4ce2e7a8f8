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
from datetime import datetime
from typing import TYPE_CHECKING, Any

from aggregator.core import apart, handed
from aggregator.core.held import A_JOURNAL, Held
from aggregator.core.ledger import Change
from aggregator.core.settlement import DIED, Failure, RowFate, Tally, settle
from aggregator.core.taken import CHUNK, Base, Taken, gained, indexes_of, rounded
from aggregator.journal.content import clear
from aggregator.journal.ledger import PLAUSIBLE, Journal
from aggregator.journal.records import TableRecord
from aggregator.journal.replay import Recovered, read
from aggregator.journal.state import APPLIED, DURABLE, EXPECTED, OLD_STAMP, STAMP, SYNCED

if TYPE_CHECKING:
    pass

log = logging.getLogger("aggregator")

RESTARTED = "the machine was restarted while the journal held this unsynced (durability='process')"


class Recovery:
    """Bring what a slot holds back, into the tables of a buffer. Used once, before the first increment."""

    def __init__(self, journal: Journal, max_keys: int, on_unknown: str, now: datetime) -> None:
        self.tally = Tally()
        self._journal = journal
        self._max_keys = max_keys
        self._on_unknown = on_unknown
        self._now = now
        state = journal.state
        self._stamp = state[STAMP]
        applied = state[APPLIED]
        if journal.files.is_other_boot:  # of each array, other pages may have reached the disk
            applied = min(applied, state[DURABLE])
        self._tables, self._last = read(journal.files, applied, journal.marks)
        # Also where it says that it was closed clean: so may one that was rolled back, or lost the power since.
        self._is_old = journal.files.is_other_boot and not state[SYNCED]
        self._most = PLAUSIBLE + state[EXPECTED]

    def tables(self, table_of: Callable[[TableRecord], Any]) -> list[Held]:
        """Return every table as it is held from now on; ``table_of`` makes the mapper's Table of a record."""
        restored = [self._restored(recovered, table_of(recovered.record)) for recovered in self._tables]
        self._journal.replayed(self._last)  # the arrays of all of them are stored: from here on records are added
        if self._is_old and not any(Base.CHECK in held.totals.bases for held in restored):
            self._journal.state[OLD_STAMP] = (
                self._stamp
            )  # else a process before this one began to compare: its is right
        for held, recovered in zip(restored, self._tables, strict=True):
            if held.hands_on:
                self._doubt_handed(held)
            elif held.is_exact:
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
        held.known_from = A_JOURNAL
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
        found = recovered.bases
        totals.bases = bytearray(
            found.get(slot, Base.KNOWN) if slot in recovered.keys else Base.KNOWN for slot in range(count)
        )
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
        if self._is_old:
            self._give_up_late(held)
        for start in range(0, len(held.totals.keys), CHUNK):
            taken = _sent(held, start)
            if taken is not None:
                self._take_up(held, taken, recovered.intents.get(start))
            if self._is_old:
                self._give_up(held, start)

    def _take_up(self, held: Held, taken: Taken, intent: tuple[int, int, bytes] | None) -> None:
        held.totals.in_flight[taken.start] = taken
        for name, units in taken.sums().items():
            held.units[name].in_flight += units
        if intent is not None and not self._is_old:
            mark, first, rows = intent
            indexes = indexes_of(rows, first)
            # A row that was not among them was not sent: the process died while it took them.
            held.resumed.append((taken, mark, [indexes.get(offset, -1) for offset in taken.offsets]))
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

    def _doubt_handed(self, held: Held) -> None:
        """Set apart what a journal that may be old has for the host's agent; any other holds what the agent left."""
        if self._is_old:
            self._give_up_late(held)
            handed.give_up(held, self._now, RESTARTED)
            if self._journal.turn is not None:
                self._journal.turn.begin_anew()

    def _give_up_late(self, held: Held) -> None:
        """Set apart what waited for room in a journal that may be old."""
        for key, row in list(held.late.items()):
            del held.late[key]
            apart.park(held, key, row, self._now, RESTARTED)
            for name, delta in row.items():
                held.units[name].beside += delta
            held.ledger.tell_later(held.noted(Change(), late=key, unknown=key))
            held.ledger.made()

    def _doubt(self, held: Held) -> None:
        """Have the rows of a journal that may be old compared with what is stored, before they are written."""
        totals = held.totals
        self._mark_sent(held)
        if self._is_old:
            known = [slot for slot, key in enumerate(totals.keys) if key is not None and totals.bases[slot]]
            totals.forgets = True  # also rows it does not name may be stored
            held.ledger.tell_later(Change(bases=dict.fromkeys(known, Base.CHECK), forgets=totals.forgets))
            held.ledger.made()
            for slot in known:
                totals.bases[slot] = Base.CHECK
            held.place_late(len(held.late))  # what waited for room may be stored as well
        doubtful = (Base.CHECK, Base.UNREAD) if self._is_old else (Base.CHECK,)
        for slot, base in enumerate(totals.bases):
            pending = totals.pending_of(slot) if base in doubtful else {}
            if pending:
                totals.doubts[slot] = pending

    def _mark_sent(self, held: Held) -> None:
        """Have every row written again that was being written: its total may come back to its watermark before that."""
        totals = held.totals
        sent = [
            taken.start + offset
            for start in range(0, len(totals.keys), CHUNK)
            if (taken := _sent(held, start)) is not None
            for offset in taken.offsets
            if totals.bases[taken.start + offset] == Base.KNOWN
        ]
        if sent:
            held.ledger.tell_later(Change(bases=dict.fromkeys(sent, int(Base.DOUBTFUL))))
            for slot in sent:
                totals.bases[slot] = Base.DOUBTFUL
            held.ledger.made()


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
