"""
A WSGI application whose workers serve one page of metrics for all, and a status endpoint each.

Rules that live here: BASE comes from the environment. The aggregator is started when the module is imported, so a
server that preloads it forks with an endpoint that serves.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Annotated, Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from aggregator import Aggregator
from aggregator.metrics.prometheus import register
from coodie.fields import Counter, PrimaryKey
from coodie.sync import CounterDocument, init_coodie

BASE = os.environ["BASE"]


class Hits(CounterDocument):
    url: Annotated[str, PrimaryKey()]
    views: Annotated[int, Counter()]

    class Settings:
        name = "page_hits"


init_coodie(driver_type="sqlite", database=f"{BASE}/hits.db")
Hits.sync_table()
aggregator = Aggregator(flush_interval=0.2, status=f"{BASE}/status-{{pid}}.sock")
register(aggregator)
aggregator.start()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Serve the metrics of all workers; any other path counts one hit and tells which process did."""
    if environ["PATH_INFO"] == "/metrics":
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
        start_response("200 OK", [("Content-Type", CONTENT_TYPE_LATEST)])
        return [generate_latest(registry)]
    Hits(url=environ["PATH_INFO"]).increment(views=1)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
