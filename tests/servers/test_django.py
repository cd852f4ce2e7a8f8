"""Django under its servers, counting on commit, and the settings it takes."""

from __future__ import annotations

import json
import signal

import pytest

from tests.integration.processes import fetch, run, stored
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


def test_the_example(tmp_path):
    command = [*GUNICORN, "--threads", "4", "examples.django_app:application"]
    with served(command, tmp_path, COODIE_DATABASE="hits.db") as server:
        assert [fetch(f"{server.address}/home") for _ in range(3)] == ["this is /home"] * 3
        assert [fetch(f"{server.address}/order/{end}") for end in ("done", "undone")] == ["done", "undone"]
        assert ask(server.address, "/broken") == 500
        while fetch(f"{server.address}/hits/home") != "3":  # the background flush of each worker
            pass
        server.stop()
    assert stored(tmp_path / "hits.db") == {"/home": 3, "/order": 1}


# --- commands of manage.py ---------------------------------------------------------------------------------------

MANAGE = """
import sys
from tests.servers import django_site
from django.core.management import execute_from_command_line
execute_from_command_line(["manage.py", *sys.argv[1:]])
"""


def manage(folder, *words, **extra):
    return run(["-c", MANAGE, *words], folder, **extra)


def test_the_commands_tell_of_running_processes_and_write_what_dead_ones_left(tmp_path):
    extra = {"KIND": "exact", "JOURNAL": "journal", "AGGREGATOR_STATUS": "./status-{pid}.sock"}
    with served([*GUNICORN, "--threads", "2", WSGI], tmp_path, **extra) as server:
        for _ in range(5):
            fetch(f"{server.address}/a")
        told = manage(tmp_path, "aggregator_stats", "--json", **extra)
        assert (told.returncode, told.stderr) == (0, b"")
        assert json.loads(told.stdout)["accepted"] == 5
        server.stop(signal.SIGQUIT)  # at once: nothing is written
        found = manage(tmp_path, "aggregator_stats", "--from-journal", **extra)
        assert found.returncode == 0, found.stderr
        assert b"pending" in found.stdout
    written = manage(tmp_path, "aggregator_flush", **extra)
    assert written.returncode == 0, written.stderr
    assert totals(tmp_path) == {"/a": 5}


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("aggregator_stats", "has no 'status' to ask the running processes at, and no 'journal' to look into"),
        ("aggregator_flush", "has no 'journal': what a process counted is in its memory alone"),
    ],
)
def test_a_command_that_has_nowhere_to_look_says_what_to_set(tmp_path, command, words):
    done = manage(tmp_path, command)
    assert done.returncode == 2
    assert words in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()


# --- settings ----------------------------------------------------------------------------------------------------

SETTINGS = """
import django
from django.conf import settings
settings.configure(INSTALLED_APPS=["aggregator.integrations.django"], AGGREGATOR={given})
django.setup()
"""


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {"flush_intervall": 1},
            "AGGREGATOR['flush_intervall'] in the settings is no option; allowed are 'connection'",
        ),
        ({"flush_interval": -1}, "flush_interval=-1 is not allowed"),
        (
            {"connection": "127.0.0.1"},
            "AGGREGATOR['connection'] = '127.0.0.1' in the settings is not allowed: a dict is",
        ),
        ([], "AGGREGATOR = [] in the settings is not allowed: a dict is"),
    ],
)
def test_wrong_settings_are_refused_by_name_when_the_project_is_loaded(tmp_path, given, words):
    done = run(["-c", SETTINGS.format(given=given)], tmp_path)
    assert done.returncode == 1
    assert f"ConfigurationError: {words}" in done.stderr.decode()


def test_settings_that_nobody_reads_are_refused(tmp_path):
    program = SETTINGS.format(given={}).replace('["aggregator.integrations.django"]', "[]")
    program += (
        "from aggregator.integrations.django import AggregatorMiddleware\nAggregatorMiddleware(lambda request: None)"
    )
    done = run(["-c", program], tmp_path)
    assert "add 'aggregator.integrations.django' to INSTALLED_APPS" in done.stderr.decode()


def test_a_wrong_delta_is_refused_before_the_commit(tmp_path):
    program = """
from tests.servers.django_site import *
try:
    with transaction.atomic():
        increment_on_commit(Hits(url="/a"), likes=1)
except Exception as error:
    print(type(error).__name__, error)
"""
    done = run(["-c", program], tmp_path)
    assert done.stdout.startswith(b"InvalidQueryError"), done.stderr
    assert totals(tmp_path) == {}
