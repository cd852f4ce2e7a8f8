"""
Count many rows on the embedded store: ``python -m tests.support.million DATABASE KIND ROWS``, a process of its own.

Rules that live here: what the process grew by is measured from when everything is imported and a first flush is over.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import coodie.sync
from aggregator import Aggregator, FlushResult
from coodie.drivers import get_driver
from tests.support.load import document

MAX_KEYS = 20_000


def resident() -> int:
    """Return the memory of this process, in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def main(database: str, kind: str, rows: int) -> None:
    """Count, and tell what was seen as JSON."""
    coodie.sync.init_coodie(database=database, driver_type="sqlite")
    hits: Any = document("hits", kind)
    hits.sync_table()
    peak, most = [0], [0]

    def look(result: FlushResult) -> None:
        peak[0] = max(peak[0], resident())
        most[0] = max(most[0], running.stats().rows_pending)

    running = Aggregator(flush_interval=0.2, max_keys=MAX_KEYS, when_full="flush", on_flush=look)
    with running:
        hits(url="/first").increment(views=1)
        running.flush()
        before = resident()
        for number in range(rows):
            hits(url=f"/{number}").increment(views=2)
    stored = get_driver().execute(
        "SELECT count(DISTINCT url) AS n, sum(views) AS total FROM hits WHERE url != '/first'"
    )
    told = {"stored": list(stored[0].values()), "rows": rows, "max_keys": MAX_KEYS, "rows_most": most[0]}
    print(json.dumps({**told, "grown": peak[0] - before}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
