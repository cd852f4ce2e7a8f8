"""uWSGI with threads and without them: requests answered = hits stored."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from tests.integration.processes import fetch, run
from tests.servers.serving import FORMS, check_each_answer_is_stored, served, totals
from tests.servers.visitors import Visitors

NATIVE, EXACT = FORMS
FLASK, DJANGO = "tests.servers.flask_site:app", "tests.servers.django_site:wsgi"
PROGRAM = Path(sys.executable).with_name("uwsgi")
UWSGI = [str(PROGRAM), "--http-socket", "127.0.0.1:{port}", "--master", "--processes", "2"]
UWSGI += [
    "--hook-master-start",
    "unix_signal:15 gracefully_kill_them_all",
    "--disable-logging",
    "--home",
    sys.prefix,
    "--module",
]

pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="no uWSGI for this Python: pip install uwsgi")


@pytest.mark.parametrize("site", [FLASK, DJANGO], ids=["flask", "django"])
@pytest.mark.parametrize(
    ("options", "form"),
    [(["--enable-threads"], NATIVE), (["--threads", "4"], EXACT), ([], NATIVE)],
    ids=["threads", "threads of requests", "no threads"],
)
def test_uwsgi_stores_each_answer_through_a_reload_and_its_end(tmp_path, site, options, form):
    kind, journal = form
    check_each_answer_is_stored([*UWSGI, site, *options], tmp_path, reload=True, KIND=kind, JOURNAL=journal)


@pytest.mark.parametrize("site", [FLASK, DJANGO], ids=["flask", "django"])
def test_workers_that_load_the_application_themselves_store_each_answer(tmp_path, site):
    """Not reloaded: uWSGI waits for ever for a worker that is asked to end while it still loads."""
    command = [*UWSGI, site, "--enable-threads", "--lazy-apps"]
    check_each_answer_is_stored(command, tmp_path, workers=2)


def test_a_brutal_end_loses_nothing_that_is_in_a_journal(tmp_path):
    """Without the hook uWSGI ends a busy worker at once, and runs none of Python's exit handlers."""
    command = [*UWSGI, FLASK, "--enable-threads"]
    with (
        served(command, tmp_path, KIND="exact", JOURNAL="journal") as server,
        Visitors(server.address, page="/{}") as visitors,
    ):
        visitors.wait(200)
        server.stop(signal.SIGINT)
    done = run(["-m", "aggregator", "journal", "recover", "journal", "--database", "hits.db"], tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    visitors.judge(totals(tmp_path))


def test_without_threads_a_due_flush_is_made_at_the_end_of_a_request_and_one_warning_says_so(tmp_path):
    with served([*UWSGI, FLASK], tmp_path, INTERVAL="0.001") as server:
        fetch(f"{server.address}/a")
        while totals(tmp_path) == {}:
            fetch(f"{server.address}/a")
        assert server.log().count("set enable-threads = true") <= 2, server.log()  # one a worker
        assert "set enable-threads = true" in server.log()
        server.stop()
