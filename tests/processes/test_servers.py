"""Servers that fork, recycle and kill their workers: gunicorn, uvicorn, Celery."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import threading
import time
from collections import Counter
from contextlib import closing, suppress

import pytest

from tests.integration.processes import LIMIT_S, fetch, run, running, serving, stored

SEED = 20_260_303
IMPORTED = 5  # see app.py
FORMS = [("native", "0"), ("native", "1"), ("exact", "0"), ("exact", "1")]


class Visitors:
    """Threads that ask for pages; ``answered`` and ``failed`` are complete after the context."""

    def __init__(self, address, threads=4):
        self.answered, self.failed, self.workers = Counter(), Counter(), set()
        self._address = address.removeprefix("http://")
        self._stop, self._lock = threading.Event(), threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(threads)]

    def _run(self, number):
        chance = random.Random(SEED + number)
        while not self._stop.is_set():
            page = f"/{chance.randrange(30)}"
            worker = self._ask(page)
            with self._lock:
                (self.failed if worker is None else self.answered)[page] += 1
                if worker is not None:
                    self.workers.add(worker)

    def _ask(self, page):
        """Return the process that answered; None where none did."""
        try:
            with closing(http.client.HTTPConnection(self._address, timeout=LIMIT_S)) as connection:
                connection.request("GET", page)
                response = connection.getresponse()
                return int(response.read()) if response.status == 200 else None
        except (OSError, http.client.HTTPException, ValueError):
            return None

    def wait(self, answers):
        """Wait until so many pages were answered."""
        deadline = time.monotonic() + LIMIT_S
        while self.answered.total() < answers:
            assert time.monotonic() < deadline, f"{self.answered.total()} of {answers} answers"
            time.sleep(0.005)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error):
        self._stop.set()
        for thread in self._threads:
            thread.join()


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
    """Answered <= stored <= answered + not answered, and what was counted before the fork counts once."""
    assert totals.pop("/imported") == IMPORTED
    for page in sorted({*totals, *visitors.answered}):
        least = visitors.answered[page]
        assert least <= totals.get(page, 0) <= least + visitors.failed[page], page


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
