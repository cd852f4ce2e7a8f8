"""
What tests of the intake share: a journal with tables, a client over its socket, and a wire that cuts replies.

Rules that live here: everything is real (sockets, files, HTTP); a client retries with the token it used before, as
``docs/intake.md`` tells it to.
"""

from __future__ import annotations

import http.client
import itertools
import json
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from aggregator.agent.intake import Intake
from aggregator.agent.intake.accepted import Accepted

TABLES = """
[hits]
table = "page_hits"
key = { url = "text" }
counters = ["views", "unique_visitors"]

[visits]
table = "visits"
key = { site = "int", day = "date", visitor = "uuid" }
partition = 2
counters = ["seen"]
kind = "exact"
"""


def journal_in(folder: Path) -> Path:
    """Make a journal's directory and ``tables.toml`` in a folder, and return the directory."""
    (folder / "tables.toml").write_text(TABLES)
    journal = folder / "journal"
    journal.mkdir(mode=0o700, exist_ok=True)
    return journal


@contextmanager
def serving(folder: Path, address: str | None = None, **options: Any) -> Iterator[Intake]:
    """Serve an intake on ``run/socket`` of the folder, or on an address."""
    intake = Intake(journal_in(folder), address or str(folder / "run" / "socket"), folder / "tables.toml", **options)
    intake.start()
    try:
        yield intake
    finally:
        intake.stop()
        intake.close()


def request(producer: str, sequence: int, *increments: tuple[str, int]) -> dict[str, Any]:
    """Return a request that adds to views of pages."""
    added = [{"table": "hits", "key": {"url": url}, "add": {"views": n}} for url, n in increments]
    return {"producer": producer, "sequence": sequence, "increments": added}


class Client(http.client.HTTPConnection):
    """A client on a Unix socket, or on the port of an address."""

    def __init__(self, url: str, timeout: float = 30) -> None:
        self._path = url.removeprefix("unix:") if url.startswith("unix:") else None
        super().__init__(url.removeprefix("http://") if self._path is None else "localhost", timeout=timeout)

    def connect(self) -> None:
        if self._path is None:
            super().connect()
            return
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)  # waits where the backlog is full
        self.sock.settimeout(self.timeout)

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        """Return status and parsed answer; a body that is no bytes is sent as JSON."""
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        self.request(method, path, sent, headers or {})
        answer = self.getresponse()
        return answer.status, json.loads(answer.read())

    def post(self, body: Any, **headers: str) -> tuple[int, Any]:
        """Send increments."""
        return self.ask("POST", "/v1/increments", body, headers)


def send_until_taken(url: str, body: Any, ended: threading.Event) -> None:
    """Send a request again until it is answered 200: what a client does that wants each increment to count once."""
    while not ended.is_set():
        with suppress(OSError, http.client.HTTPException):
            client = Client(url)
            try:
                status, answer = client.post(body)
            finally:
                client.close()
            assert status in (200, 503), answer
            if status == 200:
                return
        ended.wait(0.005)


def moved(accepted: Accepted, most: int = 1000) -> Counter[tuple[str, tuple[Any, ...], str]]:
    """Move everything there is, and return the units by (table, key, column)."""
    found: Counter[tuple[str, tuple[Any, ...], str]] = Counter()
    while portion := accepted.take(most):
        for target, key, deltas in portion.rows:
            for column, delta in deltas.items():
                found[target.table.name, key, column] += delta
        assert accepted.settle(portion.mark)
    return found


class CuttingWire:
    """A Unix socket in front of another that cuts connections: in the middle of requests, and before replies."""

    WAYS = ("pass", "cut the reply", "pass", "cut the request")

    def __init__(self, path: Path, target: Path) -> None:
        self.cut: Counter[str] = Counter()
        self._target = str(target)
        self._ways = itertools.cycle(self.WAYS)
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen(64)
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> CuttingWire:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listening.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                with client, suppress(OSError):
                    self._carry(client, next(self._ways))

    def _carry(self, client: socket.socket, way: str) -> None:
        client.settimeout(30)
        sent = _whole(client)
        with socket.socket(socket.AF_UNIX) as server:
            server.settimeout(30)
            server.connect(self._target)
            server.sendall(sent[: len(sent) // 2] if way == "cut the request" else sent)
            if way != "pass":
                self.cut[way] += 1
            if way == "cut the request":
                return
            reply = _whole(server)
            if way == "pass":
                client.sendall(reply)


def _whole(connection: socket.socket) -> bytes:
    """Read one message with a Content-Length."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += _some(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
    while len(body) < length:
        body += _some(connection)
    return head + b"\r\n\r\n" + body


def _some(connection: socket.socket) -> bytes:
    found = connection.recv(65_536)
    if not found:
        raise ConnectionError("the other end closed it")
    return found
