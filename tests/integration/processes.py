"""
Programs of this repository run as processes of their own, on an embedded store in a directory of the test.

Rules that live here: the environment of the tests does not reach them but for what is needed to run; whatever happens
in a test, its processes are gone when the context ends.
"""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO
from urllib.request import urlopen

ROOT = Path(__file__).parents[2]
LIMIT_S = 60


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a program: nothing of coodie's or the aggregator's but what is given."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("COODIE_", "AGGREGATOR_"))}
    return kept | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error", "COLUMNS": "80", **extra}


def run(arguments: Sequence[str], cwd: Path, stdin: bytes = b"", **extra: str) -> subprocess.CompletedProcess[bytes]:
    """Run Python with arguments to its end."""
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=cwd, input=stdin, env=environment(extra), capture_output=True, timeout=LIMIT_S, check=False
    )


@contextmanager
def running(
    arguments: Sequence[str], cwd: Path, stderr: int | IO[bytes] = subprocess.PIPE, **extra: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run Python with arguments for the time of the context; its output is piped."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=cwd,
        env=environment(extra),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
    )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


@contextmanager
def serving(
    arguments: Sequence[str], cwd: Path, *, prefix: str = "", **extra: str
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Run a server that takes ``prefix`` and a port as its last argument; give it and its address once it answers."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    # A file, not a pipe: a server that logs each request would stand still once nobody reads the pipe.
    with TemporaryFile() as log, running([*arguments, f"{prefix}{port}"], cwd, stderr=log, **extra) as process:
        while not _listens(port):
            if process.poll() is not None:
                log.seek(0)
                raise AssertionError(f"the server ended: {log.read().decode()}")
        yield process, f"http://127.0.0.1:{port}"


def _listens(port: int) -> bool:
    """Return whether something listens on the port."""
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def interrupt(process: subprocess.Popen[bytes]) -> None:
    """End a process as Ctrl-C does."""
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=LIMIT_S)


def fetch(url: str) -> str:
    """Return the body of a page."""
    with urlopen(url, timeout=LIMIT_S) as response:
        return str(response.read().decode())


def stored(database: Path, table: str = "page_hits") -> dict[str, int]:
    """Return the totals in a store, read without coodie."""
    with closing(sqlite3.connect(database)) as connection:
        return dict(connection.execute(f"SELECT url, views FROM {table}"))
