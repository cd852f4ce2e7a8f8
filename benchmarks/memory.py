"""
How much memory a million dirty rows take, at rest and while they are flushed.

Each side fills a process of its own (``python -m benchmarks.memory ours 1000000``), with keys made the same way, and
reads what the kernel says of it: the resident set, and its highest mark, which is reset after filling.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.support.row import Row, ratio_row

ROWS = 1_000_000
PEER = "dict[str, list[int, int]]"


def measure(quick: bool) -> list[Row]:
    """Return the rows of memory at rest and at its highest during a flush into SQLite."""
    rows = ROWS // 5 if quick else ROWS
    peer, ours = _process("peer", rows), _process("ours", rows)
    found = []
    for when, most, told in (("rest", 1.1, "at rest"), ("highest", 1.5, "highest during a flush (SQLite)")):
        question = f"{rows:,} dirty rows, two counters: memory, {told}"
        bytes_a_row = f"{ours[when] * 1024 / rows:.0f} / {peer['rest'] * 1024 / rows:.0f} bytes a row"
        ratio = ours[when] / peer["rest"]
        found.append(ratio_row(f"memory.{when}", question, PEER, ratio, bytes_a_row, most=most))
    return found


def _process(side: str, rows: int) -> dict[str, int]:
    """Fill a process and return its figures, in KiB above what it took before."""
    command = [sys.executable, "-m", "benchmarks.memory", side, str(rows)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)
    found: dict[str, int] = json.loads(done.stdout)
    return found


def _fill_peer(rows: int) -> dict[str, int]:
    before = _status("VmRSS")
    counts: dict[str, list[int]] = {}
    for number in range(rows):
        counts[f"/articles/{number:07d}"] = [1, 1]
    gc.collect()
    return {"rest": _status("VmRSS") - before}


def _fill_ours(rows: int) -> dict[str, int]:
    from benchmarks.support.counting import PageHits, started
    from coodie.drivers.sqlite import SQLiteDriver

    with tempfile.TemporaryDirectory() as folder, started(SQLiteDriver(str(Path(folder, "hits.db")))) as aggregator:
        PageHits.sync_table()
        PageHits(url="first").increment(views=1)
        aggregator.flush()
        gc.collect()
        before = _status("VmRSS")
        for number in range(rows):
            PageHits(url=f"/articles/{number:07d}").increment(views=1, unique_visitors=1)
        gc.collect()
        rest = _status("VmRSS") - before
        Path("/proc/self/clear_refs").write_text("5")  # the highest mark falls to what is resident now
        result = aggregator.flush()
        assert (result.applied, result.remaining) == (2 * rows, 0), result
        return {"rest": rest, "highest": _status("VmHWM") - before, "clean": _status("VmRSS") - before}


def _status(name: str) -> int:
    """Return a figure of this process, in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


if __name__ == "__main__":
    fill = {"peer": _fill_peer, "ours": _fill_ours}[sys.argv[1]]
    print(json.dumps(fill(int(sys.argv[2]))))
