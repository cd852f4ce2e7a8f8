"""
What the sites count, in both faces, and the aggregator's options; KIND and JOURNAL come from the environment.

Rules that live here: only an hourly flush, where INTERVAL says nothing else, so that what a test finds was written at
the end of a request or a worker.
"""

from __future__ import annotations

import os
from typing import Annotated

from coodie import aio, sync
from coodie.fields import Counter, PrimaryKey

CONNECTION = {"driver_type": "sqlite", "database": "hits.db"}
OPTIONS = {"flush_interval": float(os.environ.get("INTERVAL", "3600")), "journal": os.environ.get("JOURNAL") or None}


class Hits(sync.CounterDocument):
    url: Annotated[str, PrimaryKey()]
    views: Annotated[int, Counter()] = 0

    class Settings:
        name = "hits"
        counters = os.environ.get("KIND", "native")


class AioHits(aio.CounterDocument):
    url: Annotated[str, PrimaryKey()]
    views: Annotated[int, Counter()] = 0

    class Settings:
        name = "hits"
        counters = os.environ.get("KIND", "native")
