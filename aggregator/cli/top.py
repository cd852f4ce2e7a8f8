"""
``aggregator top``: the hottest rows, live on a terminal, once into a pipe.

Rules that live here: ``--json`` prints what ``/top.json`` says. Counts are estimates of a sketch with bounded memory;
those of a journal are the units counted in the rows it still holds.
"""

from __future__ import annotations

import sys
from typing import Annotated

import msgspec
import typer

from aggregator.cli.failure import USAGE, Failure
from aggregator.cli.stats_source import AsJson, Journal, Source, Url, source
from aggregator.cli.terminal import say, show_columns
from aggregator.cli.top_reading import ROWS_MAX, look, named


def top(
    url: Url = None,
    journal: Journal = None,
    n: Annotated[int, typer.Option("-n", min=1, max=ROWS_MAX, metavar="N", help="Rows to print.")] = 10,
    table: Annotated[str | None, typer.Option(metavar="NAME", help="Rows of this table alone.")] = None,
    interval: Annotated[
        float, typer.Option(min=0.1, max=3600, metavar="S", help="Seconds between two looks of the live screen.")
    ] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Print the rows once, also on a terminal.")] = False,
    as_json: AsJson = False,
) -> None:
    """
    Show the hottest rows of the last minutes.

    On a terminal they are shown live: q quits, i, s, t and k sort by increments, increments per second, table and key,
    r turns the order. Into a pipe, with --once and with --json they are printed once. From a journal: the units counted
    in each row since its process took it up.

    Exit code: 0 done; 1 nobody answers there; 2 usage.
    """
    where = source(url, journal)
    if not (as_json or once) and sys.stdout.isatty() and sys.stdin is not None and sys.stdin.isatty():
        _live(where, table, interval)
        return
    found = look(where, n, table).hot
    if as_json:
        say(msgspec.json.encode(found, enc_hook=str).decode())
    elif found:
        counted = "units" if where.directories else "increments"
        rows = [(hot.increments, hot.table, named(hot)) for hot in found]
        show_columns((counted, "table", "key"), rows, texts=(1, 2))
    else:
        say("no row has been counted in the last minutes" if where.endpoints else "the journal holds no row")


def _live(where: Source, table: str | None, interval: float) -> None:
    try:
        from aggregator.cli.top_screen import Screen  # needs a terminal of a Unix
    except ImportError as error:
        raise Failure("the live screen needs a Unix terminal: use --once", USAGE) from error
    Screen(where, table, interval).run()
