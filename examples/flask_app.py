"""
Count page hits in a Flask application made by a factory; a page that fails counts nothing.

Run: gunicorn --workers 2 --threads 4 'examples.flask_app:create_app()'
     COODIE_HOSTS=127.0.0.1 COODIE_KEYSPACE=web gunicorn --workers 2 'examples.flask_app:create_app()'
     FLASK_AGGREGATOR_FLUSH_INTERVAL=0.5 flask --app examples.flask_app run

GET /any/page counts a hit; GET /hits/any/page answers the total stored so far; GET /broken fails.
"""

from __future__ import annotations

from typing import Annotated

from flask import Blueprint, Flask, abort

from aggregator.integrations.flask import AggregatorExtension
from coodie.exceptions import DocumentNotFound
from coodie.fields import Counter, PrimaryKey
from coodie.sync import CounterDocument, init_coodie

counting = AggregatorExtension()
pages = Blueprint("pages", __name__)


class PageHits(CounterDocument):
    url: Annotated[str, PrimaryKey()]
    views: Annotated[int, Counter()] = 0

    class Settings:
        name = "page_hits"


def create_app() -> Flask:
    """Make the application; the aggregator starts with the first request, in the worker that serves it."""
    app = Flask(__name__)
    app.config["AGGREGATOR_DISCARD_ON_ERROR"] = True
    app.config.from_prefixed_env()  # FLASK_AGGREGATOR_<OPTION>
    init_coodie()
    PageHits.sync_table()
    counting.init_app(app)
    app.register_blueprint(pages)
    return app


@pages.get("/hits/<path:path>")
def hits(path: str) -> str:
    """Answer the total of a page as the database has it."""
    try:
        return str(PageHits.get(url=f"/{path}").views)
    except DocumentNotFound:
        return "0"


@pages.get("/<path:path>")
def page(path: str) -> str:
    """Count a hit: memory only, no round trip."""
    PageHits(url=f"/{path}").increment(views=1)
    if path == "broken":
        abort(500)
    return f"this is /{path}"
