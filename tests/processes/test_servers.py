"""Servers that fork, recycle and kill their workers: gunicorn, uvicorn, Celery."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from contextlib import suppress

import pytest

from tests.integration.processes import LIMIT_S, fetch, run, running, serving, stored
from tests.servers.visitors import SEED, Visitors

IMPORTED = 5  # see app.py
FORMS = [("native", "0"), ("native", "1"), ("exact", "0"), ("exact", "1")]


def gunicorn(tmp_path, kind, journal, *options):
    settings = ["-m", "gunicorn", "--preload", "--workers", "4", "--log-level", "error", *options]
    environment = {"BASE": str(tmp_path), "KIND": kind, "JOURNAL": journal, "PYTHONWARNINGS": "default"}
    return serving(
        [*settings, "tests.processes.app:application", "--bind"], tmp_path, prefix="127.0.0.1:", **environment
    )


def ended(process):
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=LIMIT_S)


def found(tmp_path, kind, journal):
    """Have one more process take over what is left, and return what is stored, without what it counted itself."""
    done = run(["-m", "tests.processes.app"], tmp_path, BASE=str(tmp_path), KIND=kind, JOURNAL=journal)
    assert done.returncode == 0, done.stderr.decode()
    totals = json.loads(done.stdout)
    totals["/imported"] -= IMPORTED
    return totals


def judge(visitors, totals):
    """What was counted before the fork counts once."""
    assert totals.pop("/imported") == IMPORTED
    visitors.judge(totals)


@pytest.mark.parametrize(("kind", "journal"), FORMS)
def test_gunicorn_with_a_preloaded_application_counts_each_hit_once(tmp_path, kind, journal):
    """The application is imported, started and has counted before the workers are forked."""
    with gunicorn(tmp_path, kind, journal) as (process, address):
        with Visitors(address) as visitors:
            visitors.wait(400)
        assert len(visitors.workers) > 1
        ended(process)
    assert not visitors.failed
    judge(visitors, found(tmp_path, kind, journal))


@pytest.mark.parametrize("kind", ["native", "exact"])
def test_workers_that_are_recycled_or_killed_leave_what_they_had_to_the_next(tmp_path, kind):
    """Matrix row 19: max_requests under load, and TERM followed by KILL before the worker has flushed."""
    chance = random.Random(SEED)
    with gunicorn(tmp_path, kind, "1", "--max-requests", "40") as (process, address):
        with Visitors(address) as visitors:
            for number in range(1, 11):
                visitors.wait(number * 80)
                worker = chance.choice(sorted(visitors.workers))
                for signal_number in (signal.SIGTERM, signal.SIGKILL):
                    with suppress(ProcessLookupError):  # recycled meanwhile
                        os.kill(worker, signal_number)
                visitors.workers.discard(worker)
        ended(process)
    judge(visitors, found(tmp_path, kind, "1"))


def test_uvicorn_told_to_terminate_writes_what_is_pending(tmp_path):
    with serving(["-m", "tests.integration.serve_site", "asgi", "off", "0"], tmp_path) as (process, address):
        for _ in range(20):
            fetch(address + "/a")
        ended(process)
    assert stored(tmp_path / "hits.db") == {"/a": 20}


@pytest.mark.parametrize("kind", ["native", "exact"])
def test_celery_workers_told_to_terminate_lose_nothing(tmp_path, kind):
    """Without an integration: what its processes have not written when they end, the journal keeps."""
    tasks = 60
    environment = {"BASE": str(tmp_path), "KIND": kind, "JOURNAL": "1", "PYTHONWARNINGS": "default"}
    publish = f"from tests.processes.tasks import hit; [hit.delay(f'/{{n % 7}}') for n in range({tasks})]"
    done = run(["-c", publish], tmp_path, **environment)
    assert done.returncode == 0, done.stderr.decode()
    arguments = ["-m", "celery", "--app", "tests.processes.tasks", "worker", "--pool", "prefork", "--concurrency", "2"]
    with (tmp_path / "log").open("wb") as log, running(arguments, tmp_path, stderr=log, **environment) as process:
        deadline = time.monotonic() + LIMIT_S
        note = tmp_path / "done"
        while not note.exists() or note.stat().st_size < tasks:
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()
            time.sleep(0.02)
        ended(process)
    totals = found(tmp_path, kind, "1")
    assert totals.pop("/imported") == 2 * IMPORTED  # the publisher imports the application too
    assert sum(totals.values()) == tasks
