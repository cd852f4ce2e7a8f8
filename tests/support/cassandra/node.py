"""
One Cassandra node: a process of ours on a loopback address.

Rules that live here: a node runs in a session of its own and is signalled by its process id alone; it is ready when
its log says so *and* it answers a CQL handshake.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from tests.support import frames
from tests.support.cassandra import settings
from tests.support.cassandra.errors import StartFailed
from tests.support.cassandra.settings import Place

_LISTENING = "Starting listening for CQL clients"


class Node:
    """Used by one thread at a time. ``spawned`` is told the id of each process started."""

    def __init__(self, place: Place, java: str, jars: Path, spawned: Callable[[int], None]) -> None:
        self.place = place
        self.address = place.address
        self.port = place.native_port
        self.log = place.folder / "node.log"
        self._command = settings.command(place, java, jars)
        self._spawned = spawned
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0
        self._started = ""

    @property
    def pid(self) -> int | None:
        """The id of the running process, paused or not; None where there is none."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def start(self, seconds: float = 150) -> None:
        """Start the process and return when the node answers CQL; its stored data, if any, is taken up again."""
        assert self.pid is None, f"{self.address} runs already"
        settings.write(self.place)
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        self._started = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")  # as the log writes it
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        self._spawned(self._process.pid)
        self.wait(lambda: _LISTENING in self.log_text() and frames.answers(self.address, self.port), seconds)

    def sees(self, other: Node) -> bool:
        """Return whether the last this node logged of the other, since that one's last start, is that it is up."""
        about = f"/{other.address}:{other.place.storage_port} is now "
        events = [line for line in self.log_text().splitlines() if about in line]
        return bool(events) and events[-1].endswith("UP") and events[-1] > other._started

    def log_text(self) -> str:
        """Return what the node logged since its last start."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def wait(self, ready: Callable[[], bool], seconds: float) -> None:
        """Return when ``ready()`` is true; raise StartFailed when the node dies or ``seconds`` are over."""
        deadline = time.monotonic() + seconds
        while not ready():
            if self.pid is None or time.monotonic() > deadline:
                state = "died" if self.pid is None else f"was not ready after {seconds:.0f} s"
                raise StartFailed(f"node {self.address} {state}; its log ends:\n{self.log_text()[-3000:]}")
            time.sleep(0.05)  # another process, and its log, can only be polled

    def pause(self) -> None:
        """Stop the process where it stands: connections stay open, nothing is answered."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused process go on."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End the process at once, as a crash would; its data stays for ``restart``. Nothing where none runs."""
        if self.pid is not None:
            self._signal(signal.SIGKILL)
            assert self._process is not None
            self._process.wait()

    def stop(self) -> None:
        """End the process in order (SIGTERM, its hooks run); at once where that takes more than 30 seconds."""
        if self.pid is not None:
            self.resume()  # a paused process would not hear
            self._signal(signal.SIGTERM)
            assert self._process is not None
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()

    def restart(self, seconds: float = 150) -> None:
        """Crash the node where it runs, then start it on the same data: a crash and its recovery."""
        self.kill()
        self.start(seconds)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None, f"{self.address} was not started"
        self._process.send_signal(number)
