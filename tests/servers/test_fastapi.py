"""FastAPI under its servers, and the contract's own example, word for word."""

from __future__ import annotations

import asyncio
import json

import pytest

from aggregator.exceptions import LifecycleError
from aggregator.integrations.fastapi import get_aggregator
from tests.docs.relay import on_localhost
from tests.docs.test_guide import MODEL
from tests.integration.processes import fetch, stored
from tests.servers.serving import FORMS, GUNICORN, UVICORN, check_each_answer_is_stored, served, totals
from tests.servers.visitors import ask

SITE = "tests.servers.fastapi_site:app"
UVICORN_2 = [*UVICORN, "--workers", "2"]
GUNICORN_UVICORN = [*GUNICORN, "--worker-class", "uvicorn_worker.UvicornWorker"]
SERVERS = {
    "uvicorn": UVICORN_2,
    "gunicorn": GUNICORN_UVICORN,
    "gunicorn, preloaded": [*GUNICORN_UVICORN, "--preload"],
}
RECYCLING = {
    "uvicorn": [*UVICORN_2, "--limit-max-requests", "50"],
    "gunicorn": [*GUNICORN_UVICORN, "--max-requests", "50"],
}

CONTRACT = """
from coodie.aio import CounterDocument, init_coodie
from aggregator import Aggregator
from aggregator.integrations.fastapi import AggregatorMiddleware

aggregator = Aggregator(flush_interval=1.0)

@asynccontextmanager
async def lifespan(app):
    await init_coodie(hosts=["127.0.0.1"], keyspace="web")
    await PageHits.sync_table()
    async with aggregator:                     # start; on exit: last flush, then stop
        yield

app = FastAPI(lifespan=lifespan)
app.add_middleware(AggregatorMiddleware, aggregator=aggregator)

@app.get("/{path:path}")
async def page(path: str):
    await PageHits(url="/" + path).increment(views=1)             # memory only: no round trip
"""
PROGRAM = f"""
from contextlib import asynccontextmanager
from fastapi import FastAPI
from coodie.aio import CounterDocument
{MODEL}
{CONTRACT}
"""


@pytest.mark.parametrize(("kind", "journal"), FORMS)
@pytest.mark.parametrize("server", SERVERS.values(), ids=SERVERS)
def test_each_answer_is_stored_through_a_reload_and_the_end(tmp_path, server, kind, journal):
    check_each_answer_is_stored([*server, SITE], tmp_path, reload=True, KIND=kind, JOURNAL=journal)


@pytest.mark.parametrize("server", RECYCLING.values(), ids=RECYCLING)
def test_what_recycled_workers_counted_is_stored(tmp_path, server):
    check_each_answer_is_stored([*server, SITE], tmp_path, workers=5, KIND="exact", JOURNAL="journal")


def test_path_operations_in_threads_count_with_the_sync_face(tmp_path):
    check_each_answer_is_stored([*UVICORN_2, SITE], tmp_path, page="/in-thread/{}")


def test_a_failed_request_counts_nothing_where_that_was_asked_for(tmp_path):
    with served([*UVICORN, SITE], tmp_path, DISCARD="1") as server:
        statuses = [ask(server.address, path) for path in ("/fine", "/unavailable", "/broken", "/fine")]
        assert json.loads(fetch(f"{server.address}/stats")) == {"accepted": 2, "is_ours": True}  # the dependency
        server.stop(complaints=1)  # uvicorn logs the broken page's exception
    assert statuses == [200, 503, 500, 200]
    assert totals(tmp_path) == {"/fine": 2}


def test_the_dependency_says_what_to_do_where_nothing_is_started():
    with pytest.raises(LifecycleError, match=r"FastAPI\(lifespan=lifespan\(aggregator\)\)"):
        asyncio.run(get_aggregator())


def test_the_example(tmp_path):
    command = [*UVICORN_2, "examples.fastapi_app:app"]
    with served(command, tmp_path, COODIE_DATABASE="hits.db", AGGREGATOR_FLUSH_INTERVAL="0.1") as server:
        assert [fetch(f"{server.address}/home") for _ in range(3)] == ['"this is /home"'] * 3
        while fetch(f"{server.address}/hits/home") != "3":  # the background flush of each worker
            pass
        assert json.loads(fetch(f"{server.address}/pending/home")) == {}
        fetch(f"{server.address}/last")
        server.stop()
    assert stored(tmp_path / "hits.db") == {"/home": 3, "/last": 1}


def visit(folder, **environment):
    """Type the contract's program, serve it, ask for two pages and end it."""
    (folder / "typed.py").write_text(PROGRAM)
    with served([*UVICORN_2, "typed:app"], folder, **environment) as server:
        assert {fetch(f"{server.address}/home") for _ in range(30)} == {"null"}
        fetch(f"{server.address}/last")
        server.stop()


def test_the_contracts_example_on_the_embedded_store(tmp_path):
    visit(tmp_path, COODIE_DRIVER="sqlite", COODIE_DATABASE="hits.db")
    assert stored(tmp_path / "hits.db") == {"/home": 30, "/last": 1}


def test_the_contracts_example_on_a_server(tmp_path, cassandra, cassandra_session):
    replication = "{'class': 'SimpleStrategy', 'replication_factor': 1}"
    cassandra_session.execute(f"CREATE KEYSPACE web WITH replication = {replication}")
    try:
        with on_localhost(cassandra) as port:
            visit(tmp_path, COODIE_PORT=str(port))
        rows = cassandra_session.execute("SELECT url, views FROM web.page_hits")
        assert {row.url: row.views for row in rows} == {"/home": 30, "/last": 1}
    finally:
        cassandra_session.execute("DROP KEYSPACE web", timeout=60)
