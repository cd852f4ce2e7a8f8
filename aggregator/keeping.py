"""
The journal of one process: the slot it leases, the tables it finds there, and the thread that syncs it.

Rules that live here:

* A slot that is damaged, or a copy of another, is set aside, and the process goes on with a fresh one.
* A table that was counted in by a process before this one is known from its record alone until a model says what it is.
* ``close`` says whether everything was written: a slot that is clean is nobody's orphan.
"""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aggregator.core.ledger import Ledger
from aggregator.exceptions import JournalError
from aggregator.journal.directory import WORKERS, Directory, open_directory, quarantine
from aggregator.journal.files import Files
from aggregator.journal.format import Corrupt
from aggregator.journal.lease import Lease
from aggregator.journal.ledger import Journal
from aggregator.journal.records import TableRecord
from aggregator.journal.recovery import Recovery
from aggregator.journal.turn import TURN, TURN_SLOTS, Turn
from coodie.schema import Column, Table

if TYPE_CHECKING:
    from aggregator.config import Options
    from aggregator.core.buffer import Buffer

log = logging.getLogger("aggregator")


COPIED = (
    "it was written on another machine or in another place, so its owner may live on: a copy is not replayed, and its "
    "writers' names are not used again"
)


class Keeping:
    """A leased slot, opened."""

    def __init__(self, directory: Directory, lease: Lease, files: Files, options: Options) -> None:
        self.directory = directory
        self.lease = lease
        self.files = files
        self.options = options
        owner = f"{directory.host}/{lease.slot}"
        self.turn = _turn(files, lease) if options.mode == "agent" else None
        self.journal = Journal(files, owner, syncs=options.durability == "disk", turn=self.turn)
        self._stop = threading.Event()
        self._syncer: threading.Thread | None = None

    def restore(self, buffer: Buffer) -> None:
        """Bring back what the slot holds, into an empty buffer; ``Corrupt`` where it makes no sense."""
        recovery = Recovery(self.journal, self.options.max_keys, self.options.on_unknown, datetime.now(UTC))
        with buffer.lock:
            for held in recovery.tables(table_of):
                buffer.tables[held.connection, held.name] = held
        units = sum(abs(n) for held in buffer.tables.values() for n in self._found(held))
        if units:
            log.info("the journal slot %d brought back %d unit(s)", self.lease.slot, units)

    @staticmethod
    def _found(held: Any) -> list[int]:
        accounts = [held.account(name) for name in held.units]
        return [account.pending + account.in_flight + account.unknown for account in accounts]

    def open_ledger(self, connection: str, table: Any, slots: int) -> Ledger:
        """Return the ledger of a table that the slot does not know yet."""
        columns = [
            (c.name, c.cql_type, c.partition_index, c.clustering_index, c.descending, c.counter) for c in table.columns
        ]
        number = self.journal.next_number()
        record = TableRecord(number, connection, table.keyspace, table.name, table.counters, columns, [])
        return self.journal.ledger(record, slots)

    # --- durability -------------------------------------------------------------------------------------------

    def start_syncing(self) -> None:
        """Sync every ``journal_sync_interval`` seconds on a thread of its own, where the durability asks for it."""
        if self.journal.syncs:
            self._syncer = threading.Thread(target=self._sync_in_turn, name="aggregator-journal", daemon=True)
            self._syncer.start()

    def _sync_in_turn(self) -> None:
        while not self._stop.wait(self.options.journal_sync_interval):
            try:
                self.journal.sync()
            except JournalError:
                log.exception("the journal cannot be synced: what returns from now on may be lost with the power")
                return

    def close(self, *, is_clean: bool) -> None:
        """Give the slot back."""
        self._stop.set()
        if self._syncer is not None:
            self._syncer.join()
        with suppress(JournalError):
            self.journal.sync()
            self.journal.set_clean(is_clean)
            self.files.sync()
        self.files.close()
        if self.turn is not None:
            self.turn.close()
        self.lease.close()

    def close_in_child(self) -> None:
        """Let go of the parent's slot in a forked child, without touching it."""
        if self.turn is not None:
            self.turn.close()  # a close alone leaves the parent its lock
        self.lease.close_in_child()
        self.files.close_in_child()


def open_slot(options: Options) -> Keeping:
    """
    Lease the lowest free slot of the journal and open it.

    Raises:
        JournalError: the directory, or a file in it, cannot be used; says why, and what helps.
    """
    directory = open_directory(options.journal or "")
    if options.mode == "agent":
        directory = directory.within(WORKERS)
    while True:
        keeping = opened(directory, directory.free_slot(), options)
        if keeping is not None:
            return keeping


def opened(directory: Directory, lease: Lease, options: Options) -> Keeping | None:
    """Open a leased slot; None: it cannot be trusted, and was set aside."""
    files: Files | None = None
    try:
        files = Files.open(lease)
        if not files.is_copy:
            return Keeping(directory, lease, files, options)
        reason = COPIED
    except Corrupt as error:
        reason = str(error)
    except BaseException:
        if files is not None:
            files.close()
        lease.close()
        raise
    if files is not None:
        files.close()
    quarantine(lease, reason)
    return None


def _turn(files: Files, lease: Lease) -> Turn:
    words = files.array(TURN, TURN_SLOTS)
    files.reserve(TURN, 0, TURN_SLOTS)
    return Turn(lease.path, words)


def table_of(record: TableRecord) -> Table:
    """Return the mapper's Table of a record."""
    columns = [
        Column(name, cql_type, partition_index=first, clustering_index=second, descending=down, counter=counter)
        for name, cql_type, first, second, down, counter in record.columns
    ]
    known = {column.name for column in columns}
    columns += [Column(name, "counter", int, counter=True) for name in record.arrays if name not in known]
    return Table(record.name, tuple(columns), keyspace=record.keyspace, counters=record.counters)
