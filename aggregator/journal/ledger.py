"""
A ledger that outlives its process: rows in mapped arrays, everything else in the log beside them.

Rules that live here:

* A change is in the log before the arrays follow it; the number of the last record whose part in the arrays is stored
  stands in the state array. What recovery finds above it is stored once more, which does no harm: values are absolute,
  and no writer could reach the slots in between.
* What happened anyway and could not be logged (a full disk) waits, in its order, and goes with the next change.
* The log is written anew from what is held when it has grown to several times that: only at instants at which memory,
  arrays and log agree.
* Every method is called under the buffer's lock, ``sync`` and ``close`` excepted.
"""

from __future__ import annotations

import dataclasses
import logging
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import count
from typing import TYPE_CHECKING

from msgspec.structs import replace

from aggregator.core.ledger import Arrays, Change
from aggregator.core.taken import CHUNK, rounded
from aggregator.exceptions import JournalError
from aggregator.journal.content import clear, held_payloads
from aggregator.journal.records import TableRecord, encode, moved, payloads_of
from aggregator.journal.state import APPLIED, CLEAN, DURABLE, EXPECTED, OLD_STAMP, STAMP, STATE, STATE_SLOTS, SYNCED

if TYPE_CHECKING:
    from aggregator.core.held import Held
    from aggregator.journal.files import JournalFiles
    from aggregator.journal.turn import Turn

log = logging.getLogger("aggregator")

PLAUSIBLE = 2**52
"""Units a row may have pending that were added in small steps; larger deltas are announced one by one."""

LOG_BYTES = 1 << 20
"""A log below this size is left alone."""


class Journal:
    """The ledgers of one process, in one slot of a journal's directory."""

    def __init__(self, files: JournalFiles, owner: str, *, syncs: bool, turn: Turn | None = None) -> None:
        self.files = files
        self.turn = turn  # of a worker: with the host's agent, which moves what the rows hold
        self.marks: dict[str, bytes] = {}  # of an agent, by source: what is moved, and the source may not know yet
        self.owner = owner  # "<host>/<slot>", the beginning of every writer's id
        self.syncs = syncs  # durability="disk"
        self.state = files.array(STATE, STATE_SLOTS)
        files.reserve(STATE, 0, STATE_SLOTS)
        self.mark_writer = f"{owner}/marks"
        self.ledgers: list[JournalLedger] = []
        self.error: str | None = None  # why the last record could not be written
        self._waiting: deque[bytes] = deque()
        self._last = 0
        self._compact_at = LOG_BYTES

    def ledger(self, record: TableRecord, slots: int) -> JournalLedger:
        """Return a new ledger of a table; its record is told with its first column."""
        made = JournalLedger(self, record, slots)
        self.ledgers.append(made)
        return made

    def next_number(self) -> int:
        """Return the number of the next table: one that no record has, also where a table could not be told."""
        return 1 + max((ledger.record.number for ledger in self.ledgers), default=-1)

    # --- the log ----------------------------------------------------------------------------------------------

    def append(self, payloads: list[bytes], waiting: Callable[[], list[bytes]] | None = None) -> None:
        """Write the records of one change: all or none; where that fails, have those of ``waiting`` wait, or raise."""
        try:
            self._write_waiting()
            if len(payloads) == 1:
                self._last = self.files.append(payloads[0])
            else:
                self._rewrite(payloads)
            self.error = None
        except JournalError as error:
            self._fail(error)
            if waiting is None:
                raise
            self._waiting.extend(waiting())

    def _fail(self, error: JournalError) -> None:
        if self.error is None:
            log.error("the journal cannot be written: %s; nothing accepted so far is lost by that", error)
        self.error = str(error)

    def _write_waiting(self) -> None:
        while self._waiting:
            payload = self._waiting.popleft()  # a signal handler may write the others meanwhile
            try:
                self._last = self.files.append(payload)
            except BaseException:
                self._waiting.appendleft(payload)
                raise

    def made(self) -> None:
        """Take note that the arrays hold what the log says."""
        if not self._waiting:
            self.state[APPLIED] = self._last

    def compact_if_due(self) -> None:
        """Write the log anew where it has grown; a failure leaves it as it is."""
        if self.files.log_bytes < self._compact_at or self._waiting:
            return
        try:
            self._rewrite([])
        except JournalError as error:
            self._fail(error)
            self._compact_at *= 2
        else:
            self._compact_at = max(LOG_BYTES, 4 * self.files.log_bytes)

    def _rewrite(self, more: list[bytes]) -> None:
        self.sync()  # the new log tells no values: those of the old one must be in the arrays, power loss or not
        counted = count()

        def payloads() -> Iterator[bytes]:
            for ledger in self.ledgers:
                for payload in held_payloads(ledger):
                    next(counted)
                    yield payload
            for payload in (*(moved(source, mark, {}) for source, mark in self.marks.items()), *more):
                next(counted)
                yield payload

        first = self.files.rewrite(payloads())
        self._last = first + next(counted) - 1
        if not more:
            self.state[APPLIED] = self._last

    def replayed(self, last: int) -> None:
        """Take note that the arrays hold what the records up to ``last`` say."""
        self._last = last
        self.state[APPLIED] = last

    def take_over(self) -> None:
        """Write from now on, recovery being done: until then the next process would begin it again."""
        self.files.claim()
        self.state[SYNCED] = int(self.syncs)
        self.set_clean(False)

    def move(self, source: str, mark: bytes, changes: Mapping[int, Change]) -> None:
        """Record what is moved out of a source, by the number of the table, or raise with nothing recorded."""
        self.append([moved(source, mark, changes)])
        self.marks[source] = mark

    # --- durability -------------------------------------------------------------------------------------------

    def sync(self) -> None:
        """Make durable what was stored and logged so far, where the durability asks for it. From any thread."""
        if self.syncs:
            applied = self.state[APPLIED]
            self.files.sync(last=lambda: self._note_durable(applied))

    def _note_durable(self, applied: int) -> None:
        self.state[DURABLE] = applied

    def stamp(self, now_us: int) -> int:
        """Return a timestamp later than every one before, also those of the processes before this one."""
        self.state[STAMP] = max(self.state[STAMP] + 1, now_us)
        return self.state[STAMP]

    def set_clean(self, is_clean: bool) -> None:
        """Say whether everything counted here is written and nothing is set apart."""
        self.state[CLEAN] = int(is_clean)


class JournalLedger:
    """Keep the rows of one table in a journal; see ``aggregator.core.ledger.Ledger``."""

    keeps = True

    def __init__(self, journal: Journal, record: TableRecord, slots: int) -> None:
        self.journal = journal
        self.mark_writer = journal.mark_writer
        self.hands_on = journal.turn is not None
        self.record = record
        self.slots = rounded(slots)  # whole chunks are cleared
        self.held: Held | None = None  # once there is one: what the log is written anew from
        self.intents: dict[int, tuple[int, int, bytes]] = {}  # start of chunk -> mark, first index, rows
        self._reserved: set[int] = set()
        self._arrays: dict[str, memoryview[int]] = {}

    def column(self, name: str) -> Arrays:
        if name not in self.record.arrays:
            record = replace(self.record, arrays=[*self.record.arrays, name])
            self.journal.append([encode(record)])  # first: a column the log does not name would be lost
            self.record = record
        record = self.record
        prefix = f"t{record.number}.c{record.arrays.index(name)}"
        total, settled = self._array(f"{prefix}.total"), self._array(f"{prefix}.settled")
        return Arrays(total, settled, self._array(f"{prefix}.sent"))

    def _array(self, name: str) -> memoryview[int]:
        view = self.journal.files.array(name, self.slots)
        self._arrays[name] = view
        for start in self._reserved:
            self.journal.files.reserve(name, start, CHUNK)
        return view

    def attach(self, held: Held) -> None:
        self.held = held

    def reserve(self, slot: int) -> None:
        self.journal.compact_if_due()
        start = slot // CHUNK * CHUNK
        if start not in self._reserved:
            self.keep(start)
            for view in self._arrays.values():
                clear(view, start, start + CHUNK)

    def keep(self, start: int) -> None:
        """Make sure that storing into a chunk cannot fail, with what it holds."""
        for name in self._arrays:
            self.journal.files.reserve(name, start, CHUNK)
        self._reserved.add(start)

    def tell(self, change: Change) -> None:
        self._note(change)
        self.journal.append(payloads_of(self.record.number, change))

    def tell_later(self, change: Change) -> None:
        self._note(change)
        number = self.record.number
        # What waits goes without values: by then they are stored, and storing them once more would undo newer ones.
        self.journal.append(
            payloads_of(number, change), lambda: payloads_of(number, dataclasses.replace(change, values=[]))
        )

    def _note(self, change: Change) -> None:
        if change.intent is not None:
            self.intents[change.intent[0]] = change.intent[1:]

    def made(self) -> None:
        self.journal.made()

    def shorten(self) -> None:
        self.journal.compact_if_due()

    def expect(self, units: int) -> None:
        state = self.journal.state
        state[EXPECTED] = min(2**63 - 1, state[EXPECTED] + units)
        self.journal.sync()  # before the delta is stored: power loss could keep that alone, and it would look damaged

    def stamp(self, now_us: int) -> int:
        return self.journal.stamp(now_us)

    def last_stamp(self) -> int:
        return self.journal.state[STAMP]

    def intend(self) -> None:
        self.journal.sync()

    @contextmanager
    def steady(self) -> Iterator[None]:
        turn = self.journal.turn
        if turn is None:
            yield
            return
        with turn.taken() as is_ours:
            if not is_ours or turn.is_moving():
                raise JournalError("the host's agent is moving what this slot holds: its rows stay as they are")
            yield

    def secure(self) -> None:
        with suppress(JournalError):  # final, and told by whoever syncs next; the change itself must be made
            self.journal.sync()

    def old_stamp(self) -> int:
        return self.journal.state[OLD_STAMP]

    def new_writer(self) -> str:
        return f"{self.journal.owner}/{uuid.uuid4().hex[:12]}"
