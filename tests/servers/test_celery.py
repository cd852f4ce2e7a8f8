"""Celery's workers, as processes with a broker in a folder: tasks run = hits stored."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from celery import Celery

from aggregator import ConfigurationError
from aggregator.integrations.celery import install
from tests.integration.processes import LIMIT_S, run, running, stored
from tests.servers.serving import FORMS, totals

NATIVE, EXACT = FORMS
SITE = "tests.servers.celery_site"
POOLS = {
    "prefork": ["--pool", "prefork", "--concurrency", "2"],
    "prefork, recycled": ["--pool", "prefork", "--concurrency", "2", "--max-tasks-per-child", "10"],
    "threads": ["--pool", "threads", "--concurrency", "4"],
    "solo": ["--pool", "solo"],
}


def send(folder: Path, tasks: str, **extra: str) -> None:
    """Have another process send messages, as web workers do."""
    done = run(["-c", f"from {SITE} import *; {tasks}"], folder, PYTHONWARNINGS="default", **extra)
    assert done.returncode == 0, done.stderr.decode()


def notes(folder: Path) -> list[str]:
    """Return what tasks noted: the process of each hit, and what others ended with."""
    file = folder / "notes"
    return file.read_text().split() if file.exists() else []


class Worker:
    """A running worker."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self._process, self._folder = process, folder

    def log(self) -> str:
        """Return what it has printed so far."""
        return (self._folder / "worker.log").read_text()

    def wait(self, count: int) -> None:
        """Wait until so many tasks are noted."""
        deadline = time.monotonic() + LIMIT_S
        while len(notes(self._folder)) < count:
            assert self._process.poll() is None, self.log()
            assert time.monotonic() < deadline, f"{notes(self._folder)} of {count} tasks: {self.log()}"
            time.sleep(0.02)

    def stop(self) -> None:
        """Ask for a warm shutdown and wait for it."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(LIMIT_S)
        assert "Signal handler" not in self.log(), self.log()


@contextmanager
def broker(folder: Path) -> Iterator[str]:
    """Run Redis on a socket in a folder for the time of the context and give its address."""
    socket = folder / "redis.sock"
    command = ["redis-server", "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(folder)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        try:
            while not socket.exists():
                assert process.poll() is None, "redis-server ended"
                time.sleep(0.02)
            yield f"redis+socket://{socket}"
        finally:
            process.terminate()


@contextmanager
def working(folder: Path, pool: str, **extra: str) -> Iterator[Worker]:
    """Run a worker in a folder for the time of the context."""
    without = ["--without-mingle", "--without-gossip", "--without-heartbeat"]
    command = ["-m", "celery", "--app", SITE, "worker", "--loglevel", "warning", *without, *POOLS[pool]]
    extra = {"PYTHONWARNINGS": "default", "GIVEN": "1", **extra}
    with (folder / "worker.log").open("wb") as log, running(command, folder, stderr=log, **extra) as process:
        yield Worker(process, folder)


@pytest.mark.parametrize(
    ("pool", "form"), [("prefork", NATIVE), ("prefork", EXACT), ("threads", EXACT), ("solo", NATIVE)]
)
def test_a_warm_shutdown_stores_what_its_tasks_counted(tmp_path, pool, form):
    extra = {"KIND": form[0], "JOURNAL": form[1]}
    send(tmp_path, "[hit.delay(f'/{n % 7}') for n in range(60)]", **extra)
    with working(tmp_path, pool, **extra) as worker:
        worker.wait(40)
        worker.stop()
    assert sum(totals(tmp_path).values()) == len(notes(tmp_path))


def test_recycled_children_store_what_their_tasks_counted(tmp_path):
    """What the last children counted is the journal's: with such a broker Celery kills those it has forked anew."""
    extra = {"KIND": "exact", "JOURNAL": "journal"}
    send(tmp_path, "[hit.delay(f'/{n % 7}') for n in range(60)]", **extra)
    with working(tmp_path, "prefork, recycled", **extra) as worker:
        worker.wait(60)
        while sum(totals(tmp_path).values()) < 40:  # at most 2 x 9 hits are those of children that go on
            worker.wait(60)
        worker.stop()
    done = run(["-m", "aggregator", "journal", "recover", "journal", "--database", "hits.db"], tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    assert sum(totals(tmp_path).values()) == len(notes(tmp_path)) == 60


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="no Redis, the broker of this test: redis-server")
def test_recycled_children_of_an_asynchronous_broker_need_no_journal(tmp_path):
    with broker(tmp_path) as url:
        send(tmp_path, "[hit.delay(f'/{n % 7}') for n in range(60)]", BROKER=url)
        with working(tmp_path, "prefork, recycled", BROKER=url) as worker:
            worker.wait(45)
            worker.stop()
    assert sum(totals(tmp_path).values()) == len(notes(tmp_path))
    assert len(set(notes(tmp_path))) > 3


def test_a_task_that_failed_or_is_tried_again_counts_nothing_where_that_was_asked_for(tmp_path):
    send(tmp_path, "fail.delay(), try_again.delay(), eager.delay(), hit.delay('/fine')")
    with working(tmp_path, "prefork", DISCARD="1") as worker:
        worker.wait(6)
        worker.stop()
    assert totals(tmp_path) == {"/tried": 1, "/eager": 1, "/inner": 1, "/fine": 1}


def test_a_flush_at_the_end_of_each_task_can_be_had(tmp_path):
    send(tmp_path, "hit.delay('/a'), hit.delay('/a')")
    with working(tmp_path, "prefork", ON_TEARDOWN="flush") as worker:
        worker.wait(2)
        while totals(tmp_path) != {"/a": 2}:
            worker.wait(2)
        worker.stop()


def test_without_an_aggregator_each_process_makes_one_of_the_environment(tmp_path):
    send(tmp_path, "[hit.delay('/a') for n in range(20)]")
    with working(tmp_path, "prefork", GIVEN="", AGGREGATOR_FLUSH_INTERVAL="3600") as worker:
        worker.wait(20)
        assert totals(tmp_path) == {}
        worker.stop()
    assert totals(tmp_path) == {"/a": 20}


def test_an_application_is_served_once():
    app = Celery("twice")
    install(app)
    with pytest.raises(ConfigurationError, match="second time"):
        install(app)


@pytest.mark.parametrize(("options", "words"), [({"on_teardown": "soon"}, "on_teardown='soon'")])
def test_a_wrong_option_is_refused_by_name(options, words):
    with pytest.raises(ConfigurationError, match=words):
        install(Celery("wrong"), **options)


def test_the_example(tmp_path):
    extra = {"COODIE_DATABASE": "hits.db", "PYTHONWARNINGS": "default"}
    done = run(["-m", "examples.celery_app", "/home", "20"], tmp_path, **extra)
    assert done.returncode == 0, done.stderr.decode()
    command = ["-m", "celery", "--app", "examples.celery_app", "worker", "--concurrency", "2", "--loglevel", "warning"]
    with (tmp_path / "worker.log").open("wb") as log, running(command, tmp_path, stderr=log, **extra) as process:
        deadline = time.monotonic() + LIMIT_S
        while stored(tmp_path / "hits.db") != {"/home": 20}:
            assert time.monotonic() < deadline, (tmp_path / "worker.log").read_text()
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        process.wait(LIMIT_S)
