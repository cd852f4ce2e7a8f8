"""Starlette under its servers, and what a lifespan of the application's own becomes."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette

from aggregator import Aggregator, ConfigurationError, current
from aggregator.integrations.starlette import lifespan
from tests.integration.processes import fetch, stored
from tests.servers.serving import FORMS, GUNICORN, UVICORN, check_each_answer_is_stored, served
from tests.servers.visitors import ask

SITE = "tests.servers.starlette_site:app"
SERVERS = {
    "uvicorn, 2 workers": [*UVICORN, "--workers", "2"],
    "gunicorn, uvicorn workers": [*GUNICORN, "--worker-class", "uvicorn_worker.UvicornWorker", "--preload"],
}


@pytest.mark.parametrize(("kind", "journal"), FORMS)
@pytest.mark.parametrize("server", SERVERS.values(), ids=SERVERS)
def test_each_answer_is_stored_through_a_reload_and_the_end(tmp_path, server, kind, journal):
    """The site's own lifespan gives the requests their state, and is left after the last flush."""
    visitors = check_each_answer_is_stored([*server, SITE], tmp_path, reload=True, KIND=kind, JOURNAL=journal)
    left = (tmp_path / "server.log").read_text().count("left with 0 pending")
    assert left >= len(visitors.workers)


def test_the_example(tmp_path):
    command = [*UVICORN, "--workers", "2", "examples.starlette_app:app"]
    with served(command, tmp_path, COODIE_DATABASE="hits.db", AGGREGATOR_FLUSH_INTERVAL="0.1") as server:
        assert [fetch(f"{server.address}/home") for _ in range(3)] == ["this is /home"] * 3
        while fetch(f"{server.address}/hits/home") != "3":  # the background flush of each worker
            pass
        assert ask(server.address, "/broken") == 500
        fetch(f"{server.address}/last")
        server.stop()
    assert stored(tmp_path / "hits.db") == {"/home": 3, "/last": 1}


def states(setup):
    """Run a lifespan; return the state it gave and what was started meanwhile."""

    async def run():
        aggregator = Aggregator()
        async with lifespan(aggregator, setup)(Starlette()) as state:
            return state, current() is aggregator

    return asyncio.run(run())


def test_a_setup_may_be_an_async_function_or_a_lifespan():
    steps = []

    async def function(app):
        steps.append(type(app))

    @asynccontextmanager
    async def own(app):
        steps.append(current())
        yield {"door": "open"}
        steps.append(current())

    assert states(None) == (None, True)
    assert states(function) == (None, True)
    assert states(own) == ({"door": "open"}, True)
    assert steps == [Starlette, None, None]  # entered before the start, left after the end


def test_any_other_setup_is_refused():
    async def undecorated(app):
        yield

    for wrong in (lambda app: None, undecorated):
        with pytest.raises(ConfigurationError, match="an async function of the application is allowed, or a lifespan"):
            states(wrong)
    assert current() is None
