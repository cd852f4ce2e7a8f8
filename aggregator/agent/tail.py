"""
Following the log of a worker's slot while its owner writes it: which row of which table has which key.

Rules that live here:

* Nothing is leased or changed. A record that is not whole yet is read the next time.
* A log that was written anew is another file under the same name: it is read from its beginning.
* Only a log that was written on this machine, in this place and since it was started is followed; any other is for the
  slot's next owner to judge.
"""

from __future__ import annotations

import os
from pathlib import Path

from aggregator.journal.format import LOG_HEADER, LOG_MAGIC, Corrupt, read_frames, read_header
from aggregator.journal.identity import Identity
from aggregator.journal.opening import open_file, saying
from aggregator.journal.records import ChangeRecord, TableRecord, decode
from aggregator.journal.replay import Recovered


class Tail:
    """What the log of one slot says up to now; ``JournalError`` where it cannot be read, or makes no sense."""

    def __init__(self, folder: Path) -> None:
        self.tables: dict[int, Recovered] = {}
        self.ends: dict[int, int] = {}  # of each table, the slot after the last one that ever had a key
        self.rewritten = 0  # the seq of the last record that gave slots other values
        self._path = folder / "log"
        self._here = Identity.here(folder)
        self._fd = -1
        self._offset = self._seq = self._salt = 0

    def read(self) -> bool:
        """Take in what is new; return whether the slot may be moved from."""
        with saying(f"cannot read {self._path}"):
            if not self._path.exists():
                return False
            if self._fd < 0 or os.fstat(self._fd).st_ino != self._path.stat().st_ino:
                self._begin()
            facts = read_header(LOG_MAGIC, LOG_HEADER, os.pread(self._fd, LOG_HEADER, 0), self._path)
            written_by = Identity.read(facts["identity"])
            if self._here.is_copy_of(written_by) or self._here.is_other_boot(written_by):
                return False
            self._salt = facts["salt"]
            if not self._seq:
                self._seq = facts["first_seq"]
            self._take_in(os.pread(self._fd, os.fstat(self._fd).st_size - self._offset, self._offset))
        return True

    def _begin(self) -> None:
        self.close()
        self._fd = open_file(self._path, os.O_RDONLY)
        self._offset, self._seq = LOG_HEADER, 0
        self.tables, self.ends, self.rewritten = {}, {}, 0

    def _take_in(self, data: bytes) -> None:
        payloads, end = read_frames(data, 0, self._seq, self._salt)
        try:
            for seq, payload in enumerate(payloads, self._seq):
                record = decode(payload)
                if isinstance(record, TableRecord):
                    self.tables.setdefault(record.number, Recovered(record)).record = record
                elif isinstance(record, ChangeRecord):
                    self.tables[record.table].replay(record, is_stored=True)
                    last = max((slot for slot, _key in record.keys), default=-1)
                    self.ends[record.table] = max(self.ends.get(record.table, 0), last + 1)
                    if record.values:
                        self.rewritten = seq
        except (KeyError, TypeError, ValueError) as error:
            raise Corrupt(self._path, f"its records make no sense ({type(error).__name__}: {error})") from error
        self._offset += end
        self._seq += len(payloads)

    def close(self) -> None:
        """Stop following; twice does no harm."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
