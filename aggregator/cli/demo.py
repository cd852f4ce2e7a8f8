"""
``aggregator demo``: a web application in a process of its own, traffic at it, and at the end the reckoning.

Rules that live here: the totals are read back from the SQLite file by its own library, after the server's last flush,
and compared page by page with the answers the traffic counted. Only that traffic is counted, known by a token of this
run, so visitors of the pages change nothing. The server ends with this process, however it ends.
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from aggregator.cli.failure import USAGE, Failure
from aggregator.cli.interrupt import Interrupt
from aggregator.cli.terminal import say, seconds_progress, show_table
from aggregator.cli.traffic import TOKEN, Traffic

HOST = "127.0.0.1"
PORT = 8000
_READY_S = 20
_LAST_FLUSH_S = 40  # above the aggregator's shutdown_timeout


def demo(
    seconds: Annotated[
        float | None, typer.Option(min=1, metavar="S", help="Seconds it runs; without it, until Ctrl-C.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=1, max=65535, metavar="P", help=f"Port to serve on; without it {PORT}, or a free one if that is taken."
        ),
    ] = None,
) -> None:
    """
    Watch page hits being merged and written.

    Starts a small web application on the embedded SQLite store in a process of its own and drives HTTP traffic at it.
    Prints the address of a live page: hits per second, statements per second, their ratio and the hottest pages.
    Pages you open yourself are shown and not counted. Ends with a table, and checks the stored totals page by page
    against what was sent; exit code 1 if they differ.
    """
    with Interrupt() as interrupt, tempfile.TemporaryDirectory(prefix="aggregator-demo-") as directory:
        database = Path(directory) / "hits.db"
        token = secrets.token_urlsafe()
        listening = _listen(port)
        address = listening.getsockname()[1]
        with _server(listening, database, token) as server:
            _wait_until_ready(address)
            say(f"live page: http://{HOST}:{address}/")
            say(f"traffic for {seconds:g} seconds, Ctrl-C ends it" if seconds else "Ctrl-C ends the demo")
            traffic = _drive(address, token, seconds, interrupt)
            stats = _last_words(server)
        _reckon(traffic, stats, _stored(database))


def _listen(port: int | None) -> socket.socket:
    """Return a listening socket on the port asked for, or on the usual one, or on any."""
    for candidate in (PORT, 0) if port is None else (port,):
        try:
            return socket.create_server((HOST, candidate))
        except OSError as error:
            taken = error
    raise Failure(f"port {port} of {HOST} cannot be used: {os.strerror(taken.errno or 0).lower()}", USAGE)


@contextmanager
def _server(listening: socket.socket, database: Path, token: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the server process; closing its standard input ends it, and it is gone when the context ends."""
    command = [sys.executable, "-m", "aggregator.cli.demo_server", str(listening.fileno()), str(database)]
    with listening:
        # A session of its own: Ctrl-C reaches this process alone, which stops the traffic before the server.
        server = subprocess.Popen(
            command,
            env=os.environ | {TOKEN: token},  # the environment of a process is its owner's; its arguments are not
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[listening.fileno()],
            start_new_session=True,
        )
    with server:
        try:
            yield server
        finally:
            if server.poll() is None:
                server.kill()


def _wait_until_ready(port: int) -> None:
    """Ask for the figures until they come; what went wrong in the server stands on standard error already."""
    try:
        with closing(http.client.HTTPConnection(HOST, port, timeout=_READY_S)) as connection:
            connection.request("GET", "/figures.json")
            connection.getresponse().read()
    except (OSError, http.client.HTTPException) as error:
        raise Failure("the server process of the demo did not start") from error


def _drive(port: int, token: str, seconds: float | None, interrupt: Interrupt) -> Traffic:
    """Drive traffic until the time is over, a signal comes or the server fails."""
    began = time.monotonic()
    with seconds_progress() as progress, Traffic(HOST, port, token) as traffic:
        task = progress.add_task("serving", total=seconds, hits=0)
        while traffic.is_running and not interrupt.asked:
            elapsed = time.monotonic() - began
            if seconds is not None and elapsed >= seconds:
                break
            progress.update(task, completed=elapsed, hits=traffic.hits)
            interrupt.sleep(0.1 if seconds is None else min(0.1, seconds - elapsed))
    return traffic


def _last_words(server: subprocess.Popen[bytes]) -> dict[str, Any]:
    """End the server and return the statistics it leaves behind."""
    try:
        output, _ = server.communicate(timeout=_LAST_FLUSH_S)
        stats: dict[str, Any] = json.loads(output)
    except (subprocess.TimeoutExpired, ValueError) as error:
        raise Failure("the server process of the demo did not end as it should; its totals are not known") from error
    return stats


def _stored(database: Path) -> Counter[str]:
    """Read the totals back, without coodie."""
    with closing(sqlite3.connect(database)) as connection:
        return Counter(dict(connection.execute("SELECT url, views FROM page_hits")))


def _reckon(traffic: Traffic, stats: dict[str, Any], stored: Counter[str]) -> None:
    """Print the summary; raise ``Failure`` if a page was stored with another total than was sent."""
    sent = traffic.sent
    different = sorted(page for page in sent | stored if sent[page] != stored[page])
    rows = [
        ("hits sent", sent.total()),
        ("hits stored", stored.total()),
        ("rows", len(stored)),
        ("statements", stats["statements"]),
        ("flushes", stats["flushes"]),
        ("hits per statement", f"{sent.total() / max(1, stats['statements']):,.1f}"),
        ("totals", f"{len(different)} of {len(sent)} pages differ" if different else f"all {len(sent)} pages agree"),
    ]
    show_table("aggregator demo", rows)
    if traffic.error is not None:
        raise Failure(f"the traffic broke off: {traffic.error}")
    if different:
        page = different[0]
        raise Failure(f"{len(different)} pages differ; {page}: sent {sent[page]}, stored {stored[page]}")
