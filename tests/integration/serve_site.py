"""
A server process for the middleware tests: ``python -m tests.integration.serve_site KIND ON_TEARDOWN DISCARD PORT``.

KIND is ``asgi`` (uvicorn) or ``wsgi`` (the standard library's server); DISCARD is 0 or 1. The store is ``hits.db`` in
the current directory.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIServer, make_server

import uvicorn

from aggregator import Aggregator
from aggregator.integrations import asgi, wsgi
from coodie.aio import init_coodie as init_coodie_async
from coodie.sync import init_coodie
from tests.integration.sites import AioHits, SyncHits, asgi_site, wsgi_site

DATABASE = "hits.db"


class ThreadingServer(ThreadingMixIn, WSGIServer):
    daemon_threads = True


def serve_wsgi(options: dict[str, Any], port: int) -> None:
    init_coodie(driver_type="sqlite", database=DATABASE)
    SyncHits.sync_table()
    with Aggregator(flush_interval=None) as aggregator, suppress(KeyboardInterrupt):
        app = wsgi.AggregatorMiddleware(wsgi_site, aggregator=aggregator, **options)
        with make_server("127.0.0.1", port, app, server_class=ThreadingServer) as server:
            server.serve_forever()


def serve_asgi(options: dict[str, Any], port: int) -> None:
    aggregator = Aggregator(flush_interval=None)
    pages = asgi.AggregatorMiddleware(asgi_site, aggregator=aggregator, **options)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await pages(scope, receive, send)
            return
        await receive()
        await init_coodie_async(driver_type="sqlite", database=DATABASE)
        await AioHits.sync_table()
        async with aggregator:
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    uvicorn.run(app, port=port, log_level="critical")


if __name__ == "__main__":
    kind, on_teardown, discard, port = sys.argv[1:]
    serve = serve_asgi if kind == "asgi" else serve_wsgi
    serve({"on_teardown": on_teardown, "discard_on_error": discard == "1"}, int(port))
