"""
One file of the intake's log: the requests of one stretch of time, and the rows they merge to.

    DIR/intake/lease        whoever holds its flock is the intake of this journal
    DIR/intake/log-7        as the log of a slot (``journal.format``): header, then records

    head        "H" and MessagePack: epoch, number, the record of each table by alias
    producers   "P" and MessagePack: producer -> last sequence, time; all of them, when the file was begun
    request     "R", time, who sent it, a line feed, and the body as it came
    settled     "S" and how many rows, in order, the agent has; where it has all, the file is removed

Rules that live here:

* A request is in the file before it is merged. Merging what the file holds gives the same rows in the same order each
  time, so a number of rows is a place in it that a crash does not move.
* A file says everything about itself: the tables as they were, the sequences up to its beginning. So the files before
  it can go.
* Of a file whose beginning was cut short nothing was accepted; it is removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from aggregator.agent.intake.producers import Producers
from aggregator.agent.intake.requests import Row, decode, rows_of
from aggregator.agent.intake.tables import Counted
from aggregator.journal.format import Corrupt
from aggregator.journal.identity import Identity
from aggregator.journal.log import Log
from aggregator.journal.opening import saying, sync_name
from aggregator.journal.records import TableRecord

_HEAD, _PRODUCERS, _REQUEST, _SETTLED = b"H", b"P", b"R", b"S"


class _Head(msgspec.Struct, array_like=True):
    epoch: bytes
    number: int
    tables: dict[str, TableRecord]


_encode = msgspec.msgpack.Encoder().encode
_head = msgspec.msgpack.Decoder(_Head).decode
_producers = msgspec.msgpack.Decoder(dict[str, tuple[int, float]]).decode


class Segment:
    """A file and its rows. ``append`` and ``merge`` under the intake's lock; ``sync`` beside them, one at a time."""

    def __init__(self, path: Path, log: Log, number: int, epoch: bytes, tables: Mapping[str, Counted]) -> None:
        self.number = number
        self.epoch = epoch
        self.tables = tables
        self.rows: dict[str, dict[Any, dict[str, int]]] = {alias: {} for alias in sorted(tables)}
        self.count = 0  # rows
        self.done = 0  # rows, in order, that are settled
        self._path = path
        self._log = log
        self._synced = 0
        self._ordered: list[Row] | None = None

    @classmethod
    def create(cls, folder: Path, number: int, epoch: bytes, tables: Mapping[str, Counted]) -> Segment:
        """Make the next file, with its head; ``JournalError`` where the disk refuses."""
        path = folder / f"log-{number}"
        log = Log.create(path, Identity.here(folder))
        found = cls(path, log, number, epoch, tables)
        records = {alias: counted.record for alias, counted in tables.items()}
        log.append(_HEAD + _encode(_Head(epoch, number, records)))
        return found

    @classmethod
    def open(cls, path: Path, producers: Producers) -> Segment | None:
        """
        Read a file back, its sequences into ``producers``; None: nothing was accepted in it, and it was removed.

        Raises ``Corrupt`` where it cannot be trusted, or was written elsewhere.
        """
        # After another boot a hole is what power loss leaves of pages that were not synced: nothing there was promised.
        here = Identity.here(path.parent)
        log, written_by, payloads = Log.open(path, lambda written: 0 if here.is_other_boot(written) else None)
        if here.is_copy_of(written_by):
            log.close()
            raise Corrupt(path, "it was written on another machine or in another place: a copy is not counted")
        if not payloads:
            log.close()
            path.unlink()
            return None
        head = _head(payloads[0][1:])
        tables = {alias: Counted(record) for alias, record in head.tables.items()}
        found = cls(path, log, head.number, head.epoch, tables)
        try:
            for payload in payloads[1:]:
                found._replay(payload, producers)
        except BaseException:
            log.close()
            raise
        return found

    def _replay(self, payload: bytes, producers: Producers) -> None:
        if payload[:1] == _PRODUCERS:
            for producer, (sequence, at) in _producers(payload[1:]).items():
                producers.note(producer, sequence, at)
            return
        if payload[:1] == _SETTLED:
            self.done = int(payload[1:])
            return
        sender, _, body = payload[1:].partition(b"\n")
        heard, _, producer = sender.decode().partition(" ")
        request = decode(body)
        producers.note(producer, request.sequence, float(heard))
        self.merge(rows_of(request.increments, self.tables, self.rows))

    # --- writing ----------------------------------------------------------------------------------------------

    def begin(self, producers: Producers) -> None:
        """Write the sequences up to here, with which the files before can go."""
        for piece in producers.pieces():
            self._log.append(_PRODUCERS + _encode(piece))

    def append(self, producer: str, now: float, body: bytes) -> None:
        """Write a request; ``JournalError``: it is not written, and must not be merged."""
        self._log.append(b"%b%.0f %b\n%b" % (_REQUEST, now, producer.encode(), body))

    def merge(self, rows: Iterable[Row]) -> None:
        """Add rows to those held."""
        held = self.rows
        for alias, key, deltas in rows:
            table = held[alias]
            row = table.get(key)
            if row is None:
                table[key] = deltas
                self.count += 1
            else:
                for name, delta in deltas.items():
                    row[name] = row.get(name, 0) + delta

    # --- the rest ---------------------------------------------------------------------------------------------

    @property
    def bytes(self) -> int:
        """The size of the file."""
        return self._log.size

    def in_order(self, start: int, most: int) -> list[Row]:
        """Return rows in the order that a crash does not change. Once nothing is merged any more."""
        if self._ordered is None:
            tables = self.rows.items()
            self._ordered = [(alias, key, deltas) for alias, rows in tables for key, deltas in rows.items()]
        return self._ordered[start : start + most]

    def settle(self, rows: int, *, syncs: bool) -> None:
        """Note that the first rows are the agent's; ``JournalError``: that is not noted."""
        if rows > self.done:
            self._log.append(_SETTLED + b"%d" % rows)
            if syncs:
                self.sync()
            self.done = rows

    def sync(self) -> None:
        """Make what was written durable; a failure is final."""
        size = self._log.size
        if size > self._synced:
            self._log.sync()
            self._synced = size

    def close(self) -> None:
        """Close the file, which stays."""
        self._log.close()

    def remove(self) -> None:
        """Close the file and remove it: all of it is settled, and the next one holds the sequences."""
        self.close()
        with saying(f"cannot remove {self._path}"):
            self._path.unlink(missing_ok=True)
            sync_name(self._path)
