"""
Count page hits in a raw WSGI application; a page that fails counts nothing.

Run: python examples/wsgi_app.py [PORT]        (the standard library's server)
     gunicorn --threads 4 examples.wsgi_app:app
     with COODIE_HOSTS=127.0.0.1 COODIE_KEYSPACE=web for a cluster

GET /any/page counts a hit and answers; GET /hits/any/page answers the total stored so far; GET /broken fails.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from socketserver import ThreadingMixIn
from typing import Annotated, Any
from wsgiref.simple_server import WSGIServer, make_server

from aggregator import Aggregator
from aggregator.integrations.wsgi import AggregatorMiddleware
from coodie.exceptions import DocumentNotFound
from coodie.fields import Counter, PrimaryKey
from coodie.sync import CounterDocument, init_coodie


class PageHits(CounterDocument):
    url: Annotated[str, PrimaryKey()]
    views: Annotated[int, Counter()] = 0

    class Settings:
        name = "page_hits"


def site(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path.startswith("/hits/"):
        status, text = "200 OK", str(stored(path.removeprefix("/hits")))
    else:
        PageHits(url=path).increment(views=1)  # memory only: no round trip
        status, text = ("500 Internal Server Error", "oh") if path == "/broken" else ("200 OK", f"this is {path}")
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(text.encode())))])
    return [text.encode()]


def stored(url: str) -> int:
    """Return the total of a page as the database has it."""
    try:
        return PageHits.get(url=url).views
    except DocumentNotFound:
        return 0


# Each worker process imports this module after it was forked, so each has a connection and an aggregator of its own.
# The last flush comes by itself when the process ends.
init_coodie()
PageHits.sync_table()
aggregator = Aggregator().start()
app = AggregatorMiddleware(site, aggregator=aggregator, discard_on_error=True)


class ThreadingServer(ThreadingMixIn, WSGIServer):
    daemon_threads = True


if __name__ == "__main__":
    port = int(sys.argv[1]) if sys.argv[1:] else 8000
    with make_server("127.0.0.1", port, app, server_class=ThreadingServer) as server, suppress(KeyboardInterrupt):
        print(f"http://127.0.0.1:{server.server_port}/", flush=True)
        server.serve_forever()
