"""
The live screen of ``aggregator top``: drawn again with each reading, and with each key that is pressed.

Rules that live here: keys are read one by one without an echo; however the screen ends, the terminal is as before. An
endpoint that stops answering is said on the screen, and asked again.
"""

from __future__ import annotations

import os
import select
import sys
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from aggregator.cli.failure import Failure
from aggregator.cli.stats_source import Source
from aggregator.cli.terminal import printable
from aggregator.cli.top_reading import ORDERS, ROWS_MAX, Line, Reading, look

KEYS = "q quit, sort: i increments, s per second, t table, k key; r reverse"
_AROUND = 7  # lines of the screen that are not rows


class Screen:
    """The screen of one session; ``order`` is a column, ``is_reversed`` its direction."""

    def __init__(self, where: Source, table: str | None, interval: float) -> None:
        self._where, self._table, self._interval = where, table, interval
        self._before: Reading | None = None
        self._now = look(where, ROWS_MAX, table)  # a Failure before the screen is taken
        self._trouble = ""
        self.order, self.is_reversed = "increments", False

    def run(self) -> None:
        """Show the rows until q or Ctrl-C."""
        console = Console(highlight=False)
        with _keys() as keys, Live(console=console, screen=True, auto_refresh=False) as live:
            until = time.monotonic() + self._interval
            while True:
                live.update(self.drawn(console.height), refresh=True)
                key = keys(max(until - time.monotonic(), 0.0))
                if key == "q":
                    return
                self.press(key)
                if time.monotonic() >= until:
                    self.read()
                    until = time.monotonic() + self._interval

    def press(self, key: str) -> None:
        """Do what a key means; another one means nothing."""
        if key == "r":
            self.is_reversed = not self.is_reversed
        elif key in ORDERS:
            self.order, self.is_reversed = ORDERS[key], False

    def read(self) -> None:
        """Look again; where that fails, what was seen stays."""
        try:
            self._before, self._now = self._now, look(self._where, ROWS_MAX, self._table)
            self._trouble = ""
        except Failure as failure:
            self._trouble = str(failure)

    def drawn(self, height: int) -> Group:
        """Return the screen for a terminal of so many lines."""
        lines = self._now.lines(self._before, self.order, reverse=self.is_reversed)
        head = Text(self._trouble, style="bold red") if self._trouble else Text(self._figures())
        return Group(head, Text(""), table_of(lines[: max(height - _AROUND, 1)], self.order), Text(""), Text(KEYS))

    def _figures(self) -> str:
        stats = self._now.stats
        if stats is None:
            return f"journal {self._where.directories[0].path}: units counted in the rows it holds"
        rates = (self._now.per_second(name, self._before) for name in ("increments", "statements"))
        hits, statements = ("-" if rate is None else f"{rate:,.0f}" for rate in rates)
        return (
            f"{stats.state}   {hits} hits/s   {statements} statements/s   {stats.coalescing:,.1f} hits per statement\n"
            f"pending {stats.pending:,} ({stats.oldest_pending_s:.1f} s)   unknown {stats.unknown:,}   "
            f"dropped {stats.dropped:,}"
        )


def table_of(lines: list[Line], order: str | None = None) -> Table:
    """Return rows as a table; the column they are sorted by is marked."""
    table = Table(box=None, pad_edge=False)
    for name, title in (("increments", "increments"), ("per_s", "per second"), ("table", "table"), ("key", "key")):
        style = "bold underline" if name == order else "bold"
        justify = "right" if name in ("increments", "per_s") else "left"
        table.add_column(Text(title, style=style), justify=justify, no_wrap=True, overflow="ellipsis")  # type: ignore[arg-type]  # one of rich's words
    for line in lines:
        rate = "-" if line.per_s is None else f"{line.per_s:,.0f}"
        table.add_row(f"{line.increments:,}", rate, Text(printable(line.table)), Text(printable(line.key)))
    return table


class _Keys:
    """Waits for a key of the terminal."""

    def __call__(self, seconds: float) -> str:
        """Return the key pressed within so many seconds, q for Ctrl-C, nothing where none was."""
        try:
            ready, _, _ = select.select([sys.stdin], [], [], seconds)
            return os.read(sys.stdin.fileno(), 1).decode(errors="replace").lower() or "q" if ready else ""
        except KeyboardInterrupt:
            return "q"


@contextmanager
def _keys() -> Iterator[_Keys]:
    """Have keys arrive one by one and unseen for the time of the context."""
    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    try:
        yield _Keys()
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
