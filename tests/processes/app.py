"""
A WSGI application under servers that fork; run as a program, it tells what is stored once everything is written.

Rules that live here: everything is started when the module is imported, as many applications do it, so a server that
preloads it forks with an aggregator that runs and holds rows. KIND, JOURNAL and BASE come from the environment.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from typing import Annotated, Any

from aggregator import Aggregator, current
from coodie.fields import Counter, PrimaryKey
from coodie.sync import CounterDocument, init_coodie

BASE = os.environ["BASE"]
IMPORTED = 5  # hits counted at the import, before any worker is forked


class Hits(CounterDocument):
    url: Annotated[str, PrimaryKey()]
    views: Annotated[int, Counter()]

    class Settings:
        name = "hits"
        counters = os.environ["KIND"]


init_coodie(driver_type="sqlite", database=f"{BASE}/hits.db")
Hits.sync_table()
Aggregator(flush_interval=0.2, journal=f"{BASE}/journal" if os.environ["JOURNAL"] == "1" else None).start()
for _ in range(IMPORTED):
    Hits(url="/imported").increment(views=1)


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Count one hit and tell which process did."""
    Hits(url=environ["PATH_INFO"]).increment(views=1)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]


if __name__ == "__main__":
    started = current()
    assert started is not None
    assert started.flush().remaining == 0
    assert started.unknown() == []
    print(json.dumps({row.url: row.views for row in Hits.find()}))
