"""
``aggregator journal inspect`` and ``aggregator journal recover``: what a journal holds, and writing it.

Rules that live here:

* inspect leaves everything as it is, live slots too, and exits with 0 whatever it finds. Figures are net units.
* recover writes what slots without an owner hold, as the next start would. Exit code 1 where something remains: what
  the database did not take, what is of unknown fate, what was refused, and a slot that cannot be trusted.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import typer

from aggregator.cli.connection import Connection, Database, Driver, Hosts, Keyspace, Port, journal_options
from aggregator.cli.failure import NOT_STORED, Failure
from aggregator.cli.journal_agent import recover_workers
from aggregator.cli.store import StoreOptions, connected
from aggregator.cli.terminal import complain, say
from aggregator.config import Options
from aggregator.journal.directory import Directory, open_directory
from aggregator.journal.inspection import Apart, SlotContent, TableContent, inspect_all, inspect_slot, set_aside
from aggregator.slots import ALIVE, OpenSlot, take_slot

journal = typer.Typer(help="Look into a journal, or write what dead processes left in it.", no_args_is_help=True)

_APART_SHOWN = 20
_ORIGINS = {
    "copy": "written elsewhere: a copy, which will be set aside and not replayed",
    "other boot": "the machine was started since it was written",
}

Place = Annotated[str, typer.Argument(metavar="DIR", help="Directory of the journal.")]


@journal.command("inspect")
def inspect_(
    directory: Place, as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False
) -> None:
    """
    Show what a journal holds, slot by slot.

    Nothing is changed, and processes that are alive go on; their figures are of one moment. For each table: rows held,
    units pending, in flight, of unknown fate and refused, and each row of the last two.
    """
    journal_options(directory)
    found = open_directory(directory)
    slots, aside = inspect_all(found), set_aside(found)
    if as_json:
        content = {"directory": str(found.path), "host": found.host, "slots": slots, "set_aside": aside}
        say(msgspec.json.encode(content, enc_hook=str).decode())
        return
    say(f"journal {found.path}")
    say(f"host    {found.host}")
    for slot in slots:
        for line in _lines(slot):
            say(line)
    for name in aside:
        say(f"set aside: {name} (it could not be trusted; what it held is not counted)")


@journal.command()
def recover(
    directory: Place,
    database: Database = None,
    hosts: Hosts = None,
    port: Port = None,
    keyspace: Keyspace = None,
    driver: Driver = None,
    connection: Connection = "default",
) -> None:
    """
    Write what dead processes left in a journal.

    Does what the next start of the application, or a live sibling, would do: slots without an owner are opened in place
    and written under their own name. A slot that a live process has is left alone. What workers left to a host's agent
    is written as by an agent, unless one runs. Deltas of unknown fate are listed and stay: the next process of the slot
    has them in unknown().

    What the options of the store leave out comes from COODIE_HOSTS, COODIE_PORT, COODIE_KEYSPACE, COODIE_DRIVER and
    COODIE_DATABASE; with nothing at all the store is the file coodie.db. It must be the one that was counted for.

    Exit code: 0 nothing remains; 1 something does, or the store was not reached; 2 usage.
    """
    choice = StoreOptions(hosts, port, keyspace, driver, database).choice()
    journal_options(directory)
    with connected(choice, connection):
        write_what_is_left(directory)


def write_what_is_left(directory: str) -> None:
    """Write over the open connections what dead processes left, and say so; ``Failure`` where something remains."""
    options = journal_options(directory)
    found = open_directory(directory)
    failures = [line for number in found.slots() for line in _recover(found, number, options)]
    failures += recover_workers(found)
    for line in failures[:-1]:
        complain(line)
    if failures:
        raise Failure(failures[-1], NOT_STORED)


def _recover(directory: Directory, number: int, options: Options) -> Iterator[str]:
    """Write what one slot holds and say so; yield a line for each thing that remains."""
    slot = take_slot(directory, number, options)
    if not isinstance(slot, OpenSlot):
        say(f"slot {number}: {slot}")
        if slot != ALIVE:
            yield f"slot {number}: {slot}; what it held is not counted"
        return
    try:
        slot.write()
    finally:
        slot.close()
    say(f"slot {number}: {slot.applied:,} units written")
    content = inspect_slot(directory, number)
    for table in content.tables:
        for line in _apart_lines(table):
            say(line)
        yield from _remains(number, table, slot.errors)


def _remains(number: int, table: TableContent, errors: list[str]) -> Iterator[str]:
    where = f"slot {number}: {table.table}:"
    if table.rows_pending or table.folding:
        why = "; ".join(errors) or "the database did not take them"
        yield f"{where} {max(table.rows_pending, table.folding):,} rows are not written, and stay in the journal: {why}"
    if table.unknown:
        yield f"{where} {len(table.unknown):,} rows may or may not have been written, and stay set apart"
    if table.rejected:
        yield f"{where} {len(table.rejected):,} rows were refused by the database, and stay set apart"


# --- text -------------------------------------------------------------------------------------------------------


def _lines(slot: SlotContent) -> Iterator[str]:
    group, _, _folder = slot.place.rpartition("/")
    name = f"slot {slot.slot}" + (f" of {group}" if group else "")
    owner = f"alive, process {slot.pid}" if slot.alive else "no owner"
    if slot.error is not None:
        yield f"{name}: {owner}: {slot.error}"
        return
    state = " (clean)" if slot.clean else ""
    yield f"{name}: {owner}{state}, log {slot.log_bytes:,} bytes"
    if slot.origin in _ORIGINS and not slot.alive:
        yield f"  {_ORIGINS[slot.origin]}"
    if slot.last_stamp:
        last = datetime.fromtimestamp(slot.last_stamp / 1e6, UTC)
        yield f"  last timestamp {last:%Y-%m-%d %H:%M:%S} UTC"
    for table in slot.tables:
        yield from _table_lines(table)


def _table_lines(table: TableContent) -> Iterator[str]:
    over = "" if table.connection == "default" else f" over connection {table.connection!r}"
    yield f"  {table.table} ({table.counters}){over}: {table.rows:,} rows held"
    if table.writer:
        yield f"    writer {table.writer}"
    for writer in table.retired:
        yield f"    retired, to be folded: {writer}"
    yield f"    pending {table.pending:,}, in flight {table.in_flight:,} ({table.rows_pending:,} rows)"
    if table.folding:
        yield f"    {table.folding:,} rows of an interrupted fold to be finished"
    for name, rows in (("unknown", table.unknown), ("rejected", table.rejected)):
        if rows:
            yield f"    {name} {_units(rows):,} ({len(rows):,} rows)"
    yield from _apart_lines(table)


def _units(rows: list[Apart]) -> int:
    return sum(sum(row.deltas.values()) for row in rows)


def _apart_lines(table: TableContent) -> Iterator[str]:
    for name, rows in (("unknown", table.unknown), ("rejected", table.rejected)):
        for row in rows[:_APART_SHOWN]:
            yield f"      {name} {_named(row.key)}: {_named(row.deltas)}, {row.at:%Y-%m-%d %H:%M:%S}, {row.reason}"
        if len(rows) > _APART_SHOWN:
            yield f"      and {len(rows) - _APART_SHOWN:,} more {name} (all of them: inspect --json)"


def _named(values: dict[str, Any]) -> str:
    return " ".join(f"{name}={value!r}" for name, value in values.items())
