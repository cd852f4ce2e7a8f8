"""
``aggregator stats``: the account of running processes, or of what a journal holds.

Rules that live here: ``--json`` prints what ``/stats.json`` says, field by field; of several processes their sum.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from aggregator.cli.stats_journal import account
from aggregator.cli.stats_source import AsJson, Journal, Source, Url, source
from aggregator.cli.stats_sums import added
from aggregator.cli.terminal import complain, say, say_wrapped, show_columns, show_table
from aggregator.core.records import Stats

_UNITS = ("accepted", "applied", "pending", "in_flight", "unknown", "dropped")


def stats(url: Url = None, journal: Journal = None, as_json: AsJson = False) -> None:
    """
    Show what was accepted, applied, is pending, of unknown fate or dropped.

    Looks at the status endpoint of running processes (option status=, or AGGREGATOR_STATUS), of several at their sum;
    or at what a journal holds, which cannot tell what was accepted and applied in all.

    Exit code: 0 done; 1 nobody answers there; 2 usage.
    """
    where = source(url, journal)
    if where.directories:
        _show_journal(where, as_json=as_json)
        return
    found = added([each.read("/stats.json", Stats) for each in where.endpoints])
    if as_json:
        say(msgspec.json.encode(found).decode())
        return
    name = where.endpoints[0].address if len(where.endpoints) == 1 else f"{len(where.endpoints)} processes"
    show_table(name, figures(found))
    _show_tables(msgspec.to_builtins(found.tables), _UNITS)
    if found.last_error:
        say_wrapped(f"last error: {found.last_error}")


def figures(found: Stats) -> Iterator[tuple[str, object]]:
    """Give name and value of each figure, as people read them."""
    yield "state", found.state
    for name in (*_UNITS, "increments", "statements", "flushes", "flush_errors", "rows_pending"):
        yield name.replace("_", " "), getattr(found, name)
    yield "increments per statement", f"{found.coalescing:,.1f}"
    yield "oldest pending", f"{found.oldest_pending_s:.1f} s"
    yield "last flush", "never" if found.last_flush_s is None else f"{found.last_flush_s:.1f} s ago"
    if found.retry_in_s is not None:
        yield "next try in", f"{found.retry_in_s:.1f} s"
    if found.journal_bytes:
        yield "journal", f"{found.journal_bytes:,} bytes"


def _show_tables(tables: Mapping[str, Mapping[str, Mapping[str, int]]], names: tuple[str, ...]) -> None:
    """Show the units of each column of each table."""
    if tables:
        say("")
        rows = [
            (f"{table}.{column}", *(units[name] for name in names))
            for table, columns in sorted(tables.items())
            for column, units in columns.items()
        ]
        show_columns(("column", *(name.replace("_", " ") for name in names)), rows)


def _show_journal(where: Source, *, as_json: bool) -> None:
    found: dict[str, Any] = account(where.directories)
    for line in found["unreadable"]:
        complain(f"{line}; what it holds is not counted")
    if as_json:
        say(msgspec.json.encode(found).decode())
        return
    names = ("pending", "in_flight", "unknown", "rejected")
    rows = [(name.replace("_", " "), found[name]) for name in (*names, "rows_pending")]
    slots = f"{found['slots']} ({found['slots_alive']} of live processes)"
    title = f"journal {where.directories[0].path}"
    show_table(title, [*rows, ("slots", slots), ("journal", f"{found['journal_bytes']:,} bytes")])
    _show_tables(found["tables"], names)
    say_wrapped(
        "A journal tells what is not written yet. What was accepted and applied in all, and whether the processes are "
        "well, only they can tell: --url."
    )
