"""
What a log says of its tables, record after record.

Rules that live here: a record says what is so from then on, so a later one takes the place of an earlier one; what it
says of the arrays is kept apart where the arrays may not have followed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aggregator.core.parked import Entry
from aggregator.core.taken import Fold, Key
from aggregator.journal.format import Corrupt
from aggregator.journal.records import ChangeRecord, MoveRecord, TableRecord, decode, entry_of, units_of, value_of

if TYPE_CHECKING:
    from aggregator.journal.files import JournalFiles
    from aggregator.journal.reading import Reading


@dataclass
class Recovered:
    """What the log says of one table."""

    record: TableRecord
    keys: dict[int, Key] = field(default_factory=dict)
    bases: dict[int, int] = field(default_factory=dict)
    late: dict[Key, dict[str, int]] = field(default_factory=dict)
    unknown: dict[Key, Entry] = field(default_factory=dict)
    rejected: dict[Key, Entry] = field(default_factory=dict)
    intents: dict[int, tuple[int, int, bytes]] = field(default_factory=dict)
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


def read(
    files: JournalFiles | Reading, applied: int, marks: dict[str, bytes] | None = None
) -> tuple[list[Recovered], int]:
    """
    Return what a log tells of its tables, by number, and its last seq; ``Corrupt`` where that makes no sense.

    ``marks``: takes up the last mark of each source that an agent moved from.
    """
    tables: dict[int, Recovered] = {}
    seq = files.first_seq - 1
    try:
        for seq, payload in enumerate(files.records(), files.first_seq):
            record = decode(payload)
            if isinstance(record, TableRecord):
                tables.setdefault(record.number, Recovered(record)).record = record
                continue
            changes = record.changes if isinstance(record, MoveRecord) else [record]
            for change in changes:
                tables[change.table].replay(change, is_stored=seq <= applied)
            if isinstance(record, MoveRecord) and marks is not None:
                marks[record.source] = record.mark
        return [tables[number] for number in sorted(tables)], seq  # one that could not be told left its number out
    except (KeyError, TypeError, ValueError) as error:
        raise Corrupt("the log", f"its record {seq} makes no sense ({type(error).__name__}: {error})") from error
