"""A Flask application of one page, which counts its visits where COUNT is set and knows nothing of it elsewhere."""

from __future__ import annotations

import os
from typing import Annotated

from flask import Flask

app = Flask(__name__)

if os.environ["COUNT"]:
    from aggregator.integrations.flask import AggregatorExtension
    from coodie.fields import Counter, PrimaryKey
    from coodie.sync import CounterDocument, init_coodie

    class PageHits(CounterDocument):
        url: Annotated[str, PrimaryKey()]
        views: Annotated[int, Counter()] = 0

        class Settings:
            name = "hits"

    init_coodie(driver_type="sqlite", database="hits.db")
    PageHits.sync_table()
    AggregatorExtension(app)

    @app.get("/<path:path>")
    def counted(path: str) -> dict[str, str]:
        PageHits(url=f"/{path}").increment(views=1)
        return {"page": path}

else:

    @app.get("/<path:path>")
    def bare(path: str) -> dict[str, str]:
        return {"page": path}
