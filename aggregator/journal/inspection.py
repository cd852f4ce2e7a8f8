"""
What the slots of a journal hold, without owning them: for people who look.

Rules that live here:

* Units are net sums over rows and columns, as everywhere; ``in_flight`` is what was sent and not settled when the log
  was read: of a slot whose owner is gone, it becomes unknown (native tables) or is written again.
* A lease is tried for an instant and given back. Nothing else is touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from aggregator.core.parked import Entry
from aggregator.exceptions import JournalError
from aggregator.journal.bell import AGENT
from aggregator.journal.directory import WORKERS, Directory
from aggregator.journal.identity import Identity
from aggregator.journal.reading import Reading, read_slot
from aggregator.journal.replay import Recovered, read
from aggregator.journal.state import APPLIED, CLEAN, STAMP


class Apart(msgspec.Struct, frozen=True):
    """A row set apart: its key and what is set apart, by column, since when and why."""

    table: str
    key: dict[str, Any]
    deltas: dict[str, int]
    at: datetime
    reason: str


class TableContent(msgspec.Struct, frozen=True):
    """
    What a slot holds of one table.

    ``rows_pending``: rows not written, in flight included; ``folding``: those an interrupted fold has still to finish.
    """

    table: str
    connection: str
    counters: str
    writer: str | None
    rows: int
    rows_pending: int
    pending: int
    in_flight: int
    unknown: list[Apart]
    rejected: list[Apart]
    folding: int
    retired: list[str]


class SlotContent(msgspec.Struct, frozen=True):
    """
    One slot, and its ``place`` in the journal's directory; ``error`` says why nothing more is known of it.

    ``origin``: ``same``, ``other boot`` (the machine was started since), or ``copy`` (written elsewhere: it will be set
    aside, not replayed). ``clean``: nothing was left to write when it was closed. ``last_stamp``: us since 1970.
    """

    slot: int
    alive: bool
    pid: int | None = None
    origin: str | None = None
    clean: bool = False
    last_stamp: int = 0
    log_bytes: int = 0
    tables: list[TableContent] = []
    error: str | None = None
    place: str = ""


def inspect(directory: Directory) -> list[SlotContent]:
    """Return what each slot of a directory holds now."""
    return [inspect_slot(directory, number) for number in directory.slots()]


def inspect_all(directory: Directory) -> list[SlotContent]:
    """Return what each slot of a journal holds now: of processes that write, of a host's agent, of its workers."""
    found = inspect(directory)
    for name in (AGENT, WORKERS):
        if (directory.path / name).is_dir():
            found += [replace(slot, place=f"{name}/{slot.place}") for slot in inspect(directory.within(name))]
    return found


def set_aside(directory: Directory) -> list[str]:
    """Return the names of the slots that were set aside because they could not be trusted."""
    return sorted(path.name for path in directory.path.glob("slot-*.corrupt-*"))


def inspect_slot(directory: Directory, number: int) -> SlotContent:
    """Return what one slot holds now."""
    lease = directory.lease(number)
    if lease is not None:
        lease.close()
    alive = lease is None
    path = directory.folder(number)
    try:
        found = read_slot(path)
        state = found.array("state")
        tables, _last = read(found, state[APPLIED] if state else 0)
        return SlotContent(
            slot=number,
            alive=alive,
            pid=found.written_by.pid,
            origin=_origin(Identity.here(path), found.written_by),
            clean=bool(state and state[CLEAN]) and not alive,
            last_stamp=state[STAMP] if state else 0,
            log_bytes=found.log_bytes,
            tables=[_table(found, table) for table in tables],
            place=path.name,
        )
    except JournalError as error:
        return SlotContent(slot=number, alive=alive, error=str(error), place=path.name)


def _origin(here: Identity, written_by: Identity) -> str:
    if here.is_copy_of(written_by):
        return "copy"
    return "other boot" if here.is_other_boot(written_by) else "same"


def _table(found: Reading, table: Recovered) -> TableContent:
    record = table.record
    name = f"{record.keyspace}.{record.name}" if record.keyspace else record.name
    pending = in_flight = 0
    dirty: set[int] = set()
    for index, column in enumerate(record.arrays):
        gains, sent = _column(found, f"t{record.number}.c{index}", column, table)
        pending += sum(gains.values()) - sent
        in_flight += sent
        dirty.update(slot for slot, gain in gains.items() if gain)
    late = sum(sum(row.values()) for row in table.late.values())
    return TableContent(
        table=name,
        connection=record.connection,
        counters=record.counters,
        writer=table.writer,
        rows=len(table.keys),
        rows_pending=len(dirty) + len(table.late),
        pending=pending + late,
        in_flight=in_flight,
        unknown=_apart(name, table, table.unknown),
        rejected=_apart(name, table, table.rejected),
        folding=len(table.folds),
        retired=table.retired,
    )


def _column(found: Reading, prefix: str, column: str, table: Recovered) -> tuple[dict[int, int], int]:
    """Return what each slot of a column gained since its watermark, and how much of it all was sent."""
    arrays = found.array(f"{prefix}.total"), *found.watermarks(prefix)
    total, settled, sent = ({slot: array[slot] for slot in table.keys if slot < len(array)} for array in arrays)
    for slot, name, value, mark in table.values:  # told, and not stored
        if name == column and slot in table.keys:
            total[slot] = total.get(slot, 0) if value is None else value
            settled[slot] = sent[slot] = mark
    is_told = arrays[2] and table.record.counters != "exact"  # what an exact table sent is pending: written again
    in_flight = sum(sent.values()) - sum(settled.values()) if is_told else 0
    return {slot: value - settled.get(slot, 0) for slot, value in total.items()}, in_flight


def _apart(name: str, table: Recovered, entries: Mapping[Any, Entry]) -> list[Apart]:
    columns = table.record.columns
    partition = sorted((first, column) for column, _, first, _, _, _ in columns if first is not None)
    clustering = sorted((second, column) for column, _, _, second, _, _ in columns if second is not None)
    names = [column for _, column in (*partition, *clustering)]
    found = []
    for key, entry in entries.items():
        values = key if len(names) > 1 else (key,)
        found.append(Apart(name, dict(zip(names, values, strict=True)), entry.deltas, entry.at, entry.reason))
    return found
