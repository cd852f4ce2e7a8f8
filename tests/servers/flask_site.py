"""A Flask site that counts each page and answers the process that served it."""

from __future__ import annotations

import os
from collections.abc import Iterator

from flask import Flask, abort

from aggregator.integrations.flask import AggregatorExtension
from coodie.sync import init_coodie
from tests.servers.hits import CONNECTION, OPTIONS, Hits

init_coodie(**CONNECTION)
Hits.sync_table()

app = Flask(__name__)
app.config.from_mapping({f"AGGREGATOR_{name.upper()}": value for name, value in OPTIONS.items()})
app.config["AGGREGATOR_DISCARD_ON_ERROR"] = bool(os.environ.get("DISCARD"))
AggregatorExtension(app)


@app.get("/stream")
def stream() -> Iterator[str]:
    """Count while the response is on its way."""
    for chunk in ("one", "two"):
        Hits(url="/stream").increment(views=1)
        yield chunk


@app.get("/<path:path>")
def page(path: str) -> str:
    Hits(url=f"/{path}").increment(views=1)
    if path == "unavailable":
        abort(503)
    if path == "broken":
        raise RuntimeError("a broken page")
    return str(os.getpid())
