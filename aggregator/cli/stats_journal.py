"""
What a journal can tell of the account: what is pending, in flight, of unknown fate, refused.

Rules that live here: what it cannot tell (what was accepted and applied in all, calls, statements, the state of the
processes) is null, never 0. A slot that cannot be read is named, and not counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from aggregator.cli.stats_sums import Hot
from aggregator.core.records import Stats
from aggregator.exceptions import JournalError
from aggregator.journal.directory import Directory
from aggregator.journal.holdings import Holdings, Row, holdings
from aggregator.journal.inspection import inspect

_KNOWN = ("pending", "in_flight", "unknown", "unknown_positive", "unknown_negative", "rejected")


def held(directories: Iterable[Directory]) -> Iterator[tuple[str, list[Holdings] | str]]:
    """Give each slot's name and what it holds, or why that cannot be told."""
    for directory in directories:
        for number in directory.slots():
            path = directory.path / f"slot-{number:04}"
            try:
                yield str(path), holdings(path)
            except JournalError as error:
                yield str(path), str(error)


def account(directories: Sequence[Directory]) -> dict[str, Any]:
    """Return the fields of ``Stats``, null where a journal cannot tell, and what only a journal has."""
    tables: dict[str, dict[str, dict[str, int]]] = {}
    unreadable, rows_pending = [], 0
    for name, found in held(directories):
        if isinstance(found, str):
            unreadable.append(f"{name}: {found}")
            continue
        for table in found:
            rows_pending += _rows_pending(table)
            _add(tables.setdefault(table.name, {}), table)
    sums = {name: sum(column[name] for table in tables.values() for column in table.values()) for name in _KNOWN}
    slots = [slot for directory in directories for slot in inspect(directory)]
    return {
        "source": "journal",
        **dict.fromkeys(Stats.__struct_fields__),
        **{name: sums[name] for name in ("pending", "in_flight", "unknown", "rejected")},
        "rows_pending": rows_pending,
        "journal_bytes": sum(_allocated(directory) for directory in directories),
        "tables": tables,
        "slots": len(slots),
        "slots_alive": sum(slot.alive for slot in slots),
        "unreadable": unreadable,
    }


def _rows_pending(table: Holdings) -> int:
    return len(table.late) + sum(any(cell.total != cell.settled for cell in row.cells.values()) for row in table.rows)


def _add(columns: dict[str, dict[str, int]], table: Holdings) -> None:
    """Add what a slot holds of one table, column by column."""
    for name in table.record.arrays:
        column = columns.setdefault(name, dict.fromkeys(_KNOWN, 0))
        cells = [row.cells[name] for row in table.rows]
        late = sum(row.get(name, 0) for row in table.late.values())
        column["pending"] += sum(cell.total - cell.sent for cell in cells) + late
        column["in_flight"] += sum(cell.sent - cell.settled for cell in cells)
        positive, negative = (_side(table.unknown, name, side) for side in ("positive", "negative"))
        column["unknown_positive"] += positive
        column["unknown_negative"] += negative
        column["unknown"] += positive + negative
        column["rejected"] += sum(entry.deltas.get(name, 0) for entry in table.rejected.values())


def _side(entries: Mapping[Any, Any], name: str, side: str) -> int:
    return sum(getattr(entry, side).get(name, 0) for entry in entries.values())


def _allocated(directory: Directory) -> int:
    """Return the bytes of the disk that the files of a directory's slots take."""
    files = (path for slot in directory.path.glob("slot-*") for path in slot.iterdir())
    return sum(path.stat().st_blocks * 512 for path in files if path.is_file())


def rows(directories: Iterable[Directory], table: str | None) -> list[Hot]:
    """Return every row held, with the units counted in it since a process took it up: its column that has most."""
    found = []
    for _name, slot in held(directories):
        for each in slot if not isinstance(slot, str) else ():
            if table in (None, each.name):
                found += [Hot(each.name, each.named(row.key), _most(row)) for row in each.rows]
    return found


def _most(row: Row) -> int:
    return max((abs(cell.total) for cell in row.cells.values()), default=0)
