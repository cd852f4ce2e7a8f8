"""
The table, on the terminal and in ``RESULTS.md``.

Rules that live here: a row that misses its figure is followed by its reason; a row that was not run says so.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks.reasons import REASONS
from benchmarks.support.row import Row

RESULTS = Path(__file__).parent.parent / "RESULTS.md"
HEADINGS = ("question", "against", "figure", "spread", "to reach", "reached")


def show(rows: Sequence[Row], machine: Sequence[str]) -> None:
    """Print the table, its notes and reasons."""
    table = Table(*HEADINGS, title="Benchmarks", caption="\n".join(machine), show_lines=True)
    for row in rows:
        table.add_row(*(escape(cell) for cell in _cells(row)), style=_style(row))
    console = Console() if sys.stdout.isatty() else Console(width=150)
    console.print(table)
    for line in remarks(rows):
        console.print(escape(line))


def write(rows: Sequence[Row], machine: Sequence[str]) -> None:
    """Write ``RESULTS.md``."""
    lines = ["# Benchmark results", "", "Written by `make bench`; `README.md` says what each figure means.", ""]
    lines += [f"- {line}" for line in machine]
    lines += ["", f"| {' | '.join(HEADINGS)} |", "|---" * len(HEADINGS) + "|"]
    lines += [f"| {' | '.join(cell.replace('|', '/') for cell in _cells(row))} |" for row in rows]
    lines += ["", "## Notes and reasons", ""]
    lines += [f"- {line}" for line in remarks(rows)]
    RESULTS.write_text("\n".join(lines) + "\n")


def remarks(rows: Sequence[Row]) -> list[str]:
    """Return the notes of the rows and the reason of each that missed its figure."""
    found = [f"{row.name}: {row.note}" for row in rows if row.note]
    for row in rows:
        if row.reached is False:
            reason = REASONS.get(
                row.name, "no reason has been found yet: profile it, then fill in benchmarks/reasons.py"
            )
            found.append(f"MISSED {row.name}: {reason}")
    return found


def _cells(row: Row) -> tuple[str, ...]:
    reached = "NOT RUN" if not row.was_run else {True: "yes", False: "NO", None: "stated"}[row.reached]
    return row.question, row.against, row.figure, row.spread, row.target, reached


def _style(row: Row) -> str:
    return "bold red" if row.reached is False or not row.was_run else ""
