"""
How long a journal with a million rows takes to be opened again, and how much memory that takes.

A process fills a journal and is killed; a second one reads its files once, the peer; a third one starts an aggregator
on it. Both find the files in the page cache.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from benchmarks.support.row import Row, ratio_row

ROWS = 1_000_000


def measure(quick: bool) -> list[Row]:
    """Return the rows of time and memory."""
    rows = ROWS // 5 if quick else ROWS
    with tempfile.TemporaryDirectory() as folder:
        journal = str(Path(folder, "journal"))
        _process("fill", journal, rows)
        peer, ours = _process("read", journal, rows), _process("start", journal, rows)
    question = f"recovery of a journal with {rows:,} dirty rows, two counters"
    took = f"{ours['seconds']:.2f} s / {peer['seconds']:.3f} s"
    room = f"{ours['kib'] * 1024 / rows:.0f} bytes a row recovered, {peer['bytes'] / rows:.0f} on disk"
    return [
        ratio_row("recovery.seconds", question, "reading its files once", ours["seconds"] / peer["seconds"], took),
        ratio_row(
            "recovery.memory", f"{question}: highest memory", "its files", ours["kib"] * 1024 / peer["bytes"], room
        ),
    ]


def _process(part: str, journal: str, rows: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.recovery", part, journal, str(rows)]
    done = subprocess.run(command, check=part != "fill", capture_output=True, text=True, timeout=600)
    return json.loads(done.stdout) if part != "fill" else {}  # type: ignore[no-any-return]  # what _main printed


def _fill(journal: str, rows: int) -> None:
    from benchmarks.support.counting import PageHits, started

    with started(journal=journal):
        for number in range(rows):
            PageHits(url=f"/articles/{number:07d}").increment(views=1, unique_visitors=1)
        os.kill(os.getpid(), signal.SIGKILL)


def _read(journal: str) -> dict[str, float]:
    began = perf_counter()
    size = sum(len(path.read_bytes()) for path in Path(journal).rglob("*") if path.is_file())
    return {"seconds": perf_counter() - began, "bytes": size}


def _start(journal: str, rows: int) -> dict[str, float]:
    from benchmarks.memory import _status
    from benchmarks.support.counting import started

    before = _status("VmRSS")
    began = perf_counter()
    with started(journal=journal) as aggregator:
        took = perf_counter() - began
        highest = _status("VmHWM") - before
        assert aggregator.stats().pending == 2 * rows
        result = aggregator.flush()
        assert (result.applied, result.remaining) == (2 * rows, 0), result
    return {"seconds": took, "kib": highest}


if __name__ == "__main__":
    part, where, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    if part == "fill":
        _fill(where, count)
    print(json.dumps(_read(where) if part == "read" else _start(where, count)))
