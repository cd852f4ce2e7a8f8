"""
What the aggregator tells of itself: statistics, pending rows, parked deltas, hot rows.

Rules that live here: each report is made under the buffer's lock in one piece, so its figures belong together; users
get copies.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from aggregator.bulk import named
from aggregator.core import apart
from aggregator.core.held import increments
from aggregator.core.ledger import Change
from aggregator.core.records import ColumnStats, FlushResult, HotKey, Rejected, Stats, Unknown
from aggregator.core.totals import pending_rows
from aggregator.exceptions import LifecycleError
from coodie.plans.counters import key_from

if TYPE_CHECKING:
    from aggregator.core.held import Held
    from aggregator.core.taken import Key
    from aggregator.machine import Machine

log = logging.getLogger("aggregator")

UNITS = ("accepted", "applied", "pending", "in_flight", "unknown", "dropped")
P = TypeVar("P", bound=Unknown)


def key_values(held: Held, key: Key) -> tuple[Any, ...]:
    """Return the values of a key in key order."""
    return key if len(held.table.primary_key) > 1 else (key,)


def named_key(held: Held, key: Key) -> dict[str, Any]:
    """Return the values of a key by column name."""
    names = [column.name for column in held.table.primary_key]
    return dict(zip(names, key_values(held, key), strict=True))


# --- statistics -------------------------------------------------------------------------------------------------


def stats(machine: Machine | None, *, is_started: bool) -> Stats:
    """Return the account of every column and of all."""
    if machine is None:
        return _assembled({}, increments=0, rows=0, machine=None, state="ok" if is_started else "stopped")
    with machine.buffer.opened():
        tables: dict[str, dict[str, ColumnStats]] = {}
        calls = 0
        for held in machine.buffer.tables.values():
            columns = tables.setdefault(held.name, {})
            accounts = {name: held.account(name) for name in held.units}
            calls += increments(held, accounts)
            for name, account in accounts.items():
                columns[name] = _sum(columns.get(name), account)
        rows = machine.buffer.dirty_rows(machine.buffer.max_keys + 1)
        state = _state(machine) if is_started else "stopped"
        return _assembled(tables, increments=calls, rows=rows, machine=machine, state=state)


def _sum(one: ColumnStats | None, other: ColumnStats) -> ColumnStats:
    if one is None:
        return other
    names = ColumnStats.__struct_fields__
    return ColumnStats(**{name: getattr(one, name) + getattr(other, name) for name in names})


def _state(machine: Machine) -> str:
    engine = machine.engine
    if engine.connections:
        return "backing_off"
    return "suspended" if engine.tables else "ok"


def _assembled(
    tables: dict[str, dict[str, ColumnStats]], *, increments: int, rows: int, machine: Machine | None, state: str
) -> Stats:
    columns = [column for table in tables.values() for column in table.values()]
    sums = {name: sum(getattr(column, name) for column in columns) for name in UNITS}
    engine = machine.engine if machine else None
    now = machine.clock() if machine else 0.0
    retry = engine.earliest_retry() if engine else None
    last = engine.last_flush_clock if engine else None
    statements = engine.statements if engine else 0
    return Stats(
        **sums,
        increments=increments,
        rows_pending=rows,
        statements=statements,
        flushes=engine.flushes if engine else 0,
        flush_errors=engine.flush_errors if engine else 0,
        coalescing=increments / statements if statements else 0.0,
        oldest_pending_s=now - engine.clean_at if engine and rows else 0.0,
        last_flush_s=None if last is None else now - last,
        journal_bytes=machine.journal_bytes() if machine else 0,
        state=state,
        last_error=machine.last_error() if machine else None,
        retry_in_s=None if retry is None else max(retry - now, 0.0),
        tables=tables,
    )


def nothing_done(machine: Machine, why: str | None = None) -> FlushResult:
    """Return the result of a flush that did nothing, or is still running: what remains, and why."""
    with machine.buffer.opened():
        accounts = [held.account(name) for held in machine.buffer.tables.values() for name in held.units]
    remaining = sum(account.pending + account.in_flight for account in accounts)
    return FlushResult(remaining=remaining, errors=[] if why is None else [why])


def log_remaining(rows: int, result: FlushResult, journal: str | None, took: float) -> None:
    """Say at ERROR what a shutdown did not write, and what becomes of it."""
    log.error(
        "shut down with %d row(s), %d unit(s) net, not written after %.1f s: %s; %s",
        rows,
        result.remaining,
        took,
        "; ".join(result.errors) or "no answer in time",
        f"the journal {journal} keeps them for the next start" if journal else "they are lost with this process",
    )


# --- rows -------------------------------------------------------------------------------------------------------


def pending_row(machine: Machine, document: type[Any], key: Mapping[str, Any]) -> dict[str, int]:
    """Return what one row has pending or in flight."""
    table = machine.intake.bind(document).table
    return machine.intake.pending_of(document, key_from(named(table, key), table))


def pending_all(machine: Machine) -> dict[tuple[str, tuple[Any, ...]], dict[str, int]]:
    """Return what every row has pending or in flight, by (table, key values)."""
    found: dict[tuple[str, tuple[Any, ...]], dict[str, int]] = {}
    with machine.buffer.opened():
        for held in machine.buffer.tables.values():
            rows = [*pending_rows(held.totals), *held.late.items()]
            for key, deltas in rows:
                row = found.setdefault((held.name, key_values(held, key)), {})
                for name, delta in deltas.items():
                    row[name] = row.get(name, 0) + delta
    return found


def top(machine: Machine, n: int, table: str | None) -> list[HotKey]:
    """Return the hottest rows."""
    with machine.buffer.opened():
        helds = {id(held): held for held in machine.buffer.tables.values()}
        rows = machine.engine.hot.top()
    chosen = [(helds[owner], key, gain) for (owner, key), gain in rows if table in (None, helds[owner].name)]
    return [HotKey(table=held.name, key=named_key(held, key), increments=gain) for held, key, gain in chosen[:n]]


# --- parked -----------------------------------------------------------------------------------------------------


def unknown(machine: Machine) -> list[Unknown]:
    """Return the deltas with an unknown outcome."""
    return _parked(machine, "unknown", Unknown)


def rejected(machine: Machine) -> list[Rejected]:
    """Return the dead letters."""
    return _parked(machine, "rejected", Rejected)


def _parked(machine: Machine, where: str, kind: type[P]) -> list[P]:
    with machine.buffer.opened():
        return [
            kind(
                table=held.name,
                key=named_key(held, key),
                deltas={name: delta for name, delta in entry.deltas.items() if delta},
                at=entry.at,
                times=entry.times,
                reason=entry.reason,
                version=entry.version,
                connection=held.connection,
            )
            for held in machine.buffer.tables.values()
            for key, entry in getattr(held, where).entries.items()
        ]


def resolve(machine: Machine, item: Unknown, *, apply: bool) -> None:
    """Take a parked item out: back to pending, or dropped."""
    with machine.buffer.opened():
        held = machine.buffer.tables.get((item.connection, item.table))
        values = tuple(item.key.values())
        key = values if len(values) > 1 else values[0]
        taken = False
        if held is not None:
            take = apart.unreject if isinstance(item, Rejected) else apart.unpark
            taken = take(held, key, item.deltas, item.version)
        if held is None or not taken:
            raise LifecycleError(f"this item of {item.table} was resolved before; nothing was changed")
        if apply:
            apart.requeue(held, key, item.deltas)
        else:
            for name, delta in item.deltas.items():
                held.units[name].dropped += delta
        note = held.noted(Change(), late=key if apply else None, unknown=key, rejected=key)
        held.ledger.tell_later(note)
        held.ledger.made()
