"""
What commands write to a terminal: results to standard output, progress and errors to standard error.

Rules that live here: nothing moves where standard error is no terminal; text from outside is never read as markup.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text


def say(line: str) -> None:
    """Write one line of a result at once, unwrapped, so that an address in it can be copied."""
    print(line, flush=True)


def say_wrapped(line: str) -> None:
    """Write a sentence of a result, broken between words where the terminal ends."""
    Console(highlight=False).print(Text(printable(line)))


def printable(text: str) -> str:
    """Return a text without what would steer a terminal: what stands in a row may come from anywhere."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)


def complain(line: str) -> None:
    """Write one line about what went wrong to standard error, if that is open."""
    if sys.stderr is not None:  # print() takes None for standard output
        print(f"aggregator: {line}", file=sys.stderr, flush=True)


def show_table(title: str, rows: Iterable[tuple[str, object]]) -> None:
    """Write a summary of names and values; numbers get separators of thousands."""
    table = Table(show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(justify="right", overflow="fold")
    for name, value in rows:
        table.add_row(name, Text(f"{value:,}" if isinstance(value, int) else str(value)))
    console = Console(highlight=False)
    console.print(Text(title, style="italic"))  # as the table's own title it would be padded with blanks
    console.print(table)


def show_columns(head: Sequence[str], rows: Iterable[Sequence[object]], texts: Sequence[int] = (0,)) -> None:
    """Write a table under a head; the columns at ``texts`` stand to the left, numbers get separators of thousands."""
    table = Table(box=None, pad_edge=False)
    for place, name in enumerate(head):
        table.add_column(Text(name, style="bold"), justify="left" if place in texts else "right", overflow="fold")
    for row in rows:
        table.add_row(*(Text(f"{value:,}" if isinstance(value, int) else printable(str(value))) for value in row))
    Console(highlight=False).print(table)


def show_checks(checks: Iterable[tuple[str, str, str, str | None]]) -> None:
    """Write what was looked at: its name, how it was found, what was seen, and what to change."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, result, text, change in checks:
        said = Text(printable(text))
        if change is not None:
            said.append(f"\n-> {printable(change)}")
        table.add_row(name, Text(result.upper() if change else result, style="bold red" if change else ""), said)
    Console(highlight=False).print(table)


def bytes_progress() -> Progress:
    """Return a progress bar for bytes read, on standard error."""
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def seconds_progress() -> Progress:
    """Return a progress bar for the seconds of a run, with the hits so far, on standard error."""
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[hits]:,} hits"))
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
