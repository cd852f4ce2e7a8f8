"""Django under its servers, counting on commit, and the settings it takes."""

from __future__ import annotations

import pytest

from tests.integration.processes import fetch
from tests.servers.serving import FORMS, GUNICORN, UVICORN, check_each_answer_is_stored, served, totals
from tests.servers.visitors import ask

WSGI, ASGI = "tests.servers.django_site:wsgi", "tests.servers.django_site:asgi"
UVICORN_WORKERS = ["--worker-class", "uvicorn_worker.UvicornWorker"]
NATIVE, EXACT = FORMS
SERVERS = {
    "sync": ([*GUNICORN, WSGI], "/{}", NATIVE),
    "sync, preloaded": ([*GUNICORN, "--preload", WSGI], "/{}", EXACT),
    "gthread": ([*GUNICORN, "--threads", "4", WSGI], "/{}", EXACT),
    "gthread, preloaded": ([*GUNICORN, "--threads", "4", "--preload", WSGI], "/{}", NATIVE),
    "uvicorn workers": ([*GUNICORN, *UVICORN_WORKERS, ASGI], "/async/{}", NATIVE),
    "uvicorn workers, preloaded": ([*GUNICORN, *UVICORN_WORKERS, "--preload", ASGI], "/{}", EXACT),
}


@pytest.mark.parametrize(("command", "page", "form"), SERVERS.values(), ids=SERVERS)
def test_gunicorn_stores_each_answer_through_a_reload_and_its_end(tmp_path, command, page, form):
    kind, journal = form
    check_each_answer_is_stored(command, tmp_path, reload=True, page=page, KIND=kind, JOURNAL=journal)


@pytest.mark.parametrize("options", [["--preload"], ["--threads", "4"]], ids=["sync, preloaded", "gthread"])
def test_gunicorn_stores_what_recycled_workers_counted(tmp_path, options):
    command = [*GUNICORN, *options, "--max-requests", "50", WSGI]
    check_each_answer_is_stored(command, tmp_path, workers=5)


@pytest.mark.parametrize("page", ["/{}", "/async/{}"], ids=["sync views", "async views"])
def test_uvicorn_stores_each_answer(tmp_path, page):
    check_each_answer_is_stored([*UVICORN, "--workers", "2", ASGI], tmp_path, workers=2, page=page)


def test_without_a_lifespan_one_warning_tells_of_the_last_flush(tmp_path):
    with served([*UVICORN, f"{ASGI}_without_lifespan"], tmp_path) as server:
        for _ in range(3):
            fetch(f"{server.address}/a")
        server.stop()
        assert server.log().count("with_lifespan(get_asgi_application())") == 1


@pytest.mark.parametrize("command", [[*GUNICORN, "--threads", "2", WSGI], [*UVICORN, ASGI]], ids=["wsgi", "asgi"])
def test_a_rolled_back_transaction_counts_nothing(tmp_path, command):
    with served(command, tmp_path) as server:
        for end in ("done", "undone", "done"):
            fetch(f"{server.address}/order/{end}")
        server.stop()
    assert totals(tmp_path) == {"/order/done": 4}


@pytest.mark.parametrize("command", [[*GUNICORN, WSGI], [*UVICORN, ASGI]], ids=["wsgi", "asgi"])
def test_a_failed_request_counts_nothing_where_that_was_asked_for(tmp_path, command):
    paths = ["/fine", "/unavailable", "/broken", "/async/unavailable", "/async/broken", "/async/fine", "/stream"]
    with served(command, tmp_path, DISCARD_ON_ERROR="True") as server:
        statuses = [ask(server.address, path) for path in paths]
        server.stop()
    assert statuses == [200, 503, 500, 503, 500, 200, 200]
    assert totals(tmp_path) == {"/fine": 1, "/async/fine": 1, "/stream": 2}


@pytest.mark.parametrize("command", [[*GUNICORN, WSGI], [*UVICORN, ASGI]], ids=["wsgi", "asgi"])
def test_a_flush_at_the_end_of_a_request_comes_after_its_last_byte(tmp_path, command):
    with served(command, tmp_path, ON_TEARDOWN="flush") as server:
        assert fetch(f"{server.address}/stream") == "onetwo"
        while totals(tmp_path) != {"/stream": 2}:
            pass
        server.stop()
