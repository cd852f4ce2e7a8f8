"""
Requests to a status endpoint, over TCP or a socket file.

Rules that live here: one connection for each; ``unix:PATH`` is a socket file.
"""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any, NamedTuple

from aggregator import Aggregator

LIMIT_S = 60


class Reply(NamedTuple):
    status: int
    text: str
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class FileConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=LIMIT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(LIMIT_S)
        self.sock.connect(self._path)


def connection(url: str) -> http.client.HTTPConnection:
    if url.startswith("unix:"):
        return FileConnection(url.removeprefix("unix:"))
    return http.client.HTTPConnection(url.removeprefix("http://"), timeout=LIMIT_S)


def ask(url: str, path: str, method: str = "GET", body: str | None = None, **headers: str) -> Reply:
    with closing(connection(url)) as made:
        made.request(method, path, body=body, headers={name.replace("_", "-"): text for name, text in headers.items()})
        response = made.getresponse()
        return Reply(
            response.status, response.read().decode(), {name.lower(): text for name, text in response.headers.items()}
        )


def url_of(aggregator: Aggregator) -> str:
    """Return where an aggregator serves its status."""
    url = aggregator._companions._all[0].url
    assert url is not None
    return url


def until(check: Callable[[], Any]) -> Any:
    """Ask again until the answer is true, and return it."""
    deadline = time.monotonic() + LIMIT_S
    while not (found := check()):
        assert time.monotonic() < deadline, f"{check} never became true"
        time.sleep(0.02)
    return found
