"""
Real servers, each a group of processes of its own on an embedded store in the test's folder, and their whole life.

Rules that live here:

* ``{port}`` in a command or its environment becomes a free port; whatever happens in a test, no process of the server
  outlives it.
* A server counts into ``hits.db`` of its folder. The sites (``hits``) flush once an hour: what is stored in the end was
  stored because its worker ended, or because its request did.
* Requests answered = hits stored, read without coodie, once the server has ended by itself.
"""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from tests.integration.processes import LIMIT_S, ROOT, environment
from tests.servers.visitors import Visitors

GUNICORN = ["-m", "gunicorn", "--log-level", "error", "--workers", "2", "--bind", "127.0.0.1:{port}"]
UVICORN = ["-m", "uvicorn", "--log-level", "error", "--port", "{port}"]
FORMS = [("native", ""), ("exact", "journal")]
"""The kind of table and the journal's directory, for a site's environment: the barest and the safest."""


class Server:
    """A running server."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.address = f"http://127.0.0.1:{port}"
        self._process, self._port, self._log = process, port, log

    def log(self) -> str:
        """Return what it has printed so far."""
        return self._log.read_text()

    def wait(self) -> None:
        """Wait until it listens."""
        deadline = time.monotonic() + LIMIT_S
        while not self._listens():
            assert self._process.poll() is None, f"the server ended: {self.log()}"
            assert time.monotonic() < deadline, f"the server does not listen: {self.log()}"
            time.sleep(0.02)

    def reload(self) -> None:
        """Ask it to replace its workers, as ``systemctl reload`` does."""
        self._process.send_signal(signal.SIGHUP)

    def stop(self, number: int = signal.SIGTERM, *, complaints: int = 0) -> None:
        """Ask it to end, wait for it, and check that so many exceptions were logged."""
        self._process.send_signal(number)
        self._ended(complaints)

    def interrupt(self) -> None:
        """Press Ctrl-C, which every process of a terminal gets, and check as ``stop`` does."""
        os.killpg(self._process.pid, signal.SIGINT)
        self._ended(0)

    def _ended(self, complaints: int) -> None:
        try:
            self._process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the server did not end: {self.log()}") from None
        assert self.log().count("Traceback") == complaints, self.log()

    def _listens(self) -> bool:
        with closing(socket.socket()) as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0


@contextmanager
def served(command: Sequence[str], folder: Path, *, listens: bool = True, **extra: str) -> Iterator[Server]:
    """
    Run a server in a folder for the time of the context and give it once it listens, if it does at all.

    ``command`` begins with a program's path, or with ``-m`` or a script for this Python.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = [word.replace("{port}", str(port)) for word in command]
    extra = {name: value.replace("{port}", str(port)) for name, value in extra.items()}
    program = [] if os.access(words[0], os.X_OK) else [sys.executable]
    path, log = f"{folder}{os.pathsep}{ROOT}", folder / "server.log"
    with (
        log.open("wb") as out,
        subprocess.Popen(
            [*program, *words],
            cwd=folder,
            env=environment({"PYTHONPATH": path, "PYTHONWARNINGS": "default", **extra}),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        ) as process,
    ):
        try:
            server = Server(process, port, log)
            if listens:
                server.wait()
            yield server
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def totals(folder: Path, table: str = "hits") -> dict[str, int]:
    """Return what is stored for each page, in a native table or an exact one."""
    with closing(sqlite3.connect(folder / "hits.db")) as connection:
        return dict(connection.execute(f"SELECT url, SUM(views) FROM {table} GROUP BY url"))


def check_each_answer_is_stored(
    command: Sequence[str],
    folder: Path,
    *,
    answers: int = 200,
    workers: int = 1,
    reload: bool = False,
    page: str = "/{}",
    **extra: str,
) -> Visitors:
    """
    Serve visitors until ``workers`` have answered, reload amid them if asked to, end with SIGTERM, and compare.

    ``page`` is what they ask for, with ``{}`` for a number. Return the visitors' account.
    """
    with served(command, folder, **extra) as server:
        with Visitors(server.address, page=page) as visitors:
            visitors.wait(answers)
            visitors.wait_for_workers(workers)
            if reload:
                known = len(visitors.workers)
                server.reload()
                visitors.wait_for_workers(known + 1)
                visitors.wait(visitors.answered.total() + answers)
        server.stop()
    visitors.judge(totals(folder))
    return visitors
