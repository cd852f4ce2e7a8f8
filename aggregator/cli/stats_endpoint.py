"""
The status endpoint of running processes, as a client: over TCP or a socket file, one process or several.

Rules that live here: ``{pid}`` or ``*`` in the path of a socket file stands for every process that has one; files that
dead processes left answer nobody and are passed over. Whatever goes wrong is a ``Failure`` that names the address.
"""

from __future__ import annotations

import glob
import http.client
import os
import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec

from aggregator.cli.failure import USAGE, Failure

TOKEN = "AGGREGATOR_STATUS_TOKEN"  # the variable that holds the token  # noqa: S105 - a name
_TIMEOUT_S = 10.0
_UNIX = "unix:"


class _SocketFile(http.client.HTTPConnection):
    """HTTP over a socket file."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


@dataclass(frozen=True)
class Endpoint:
    """One process's endpoint: ``place`` is the path of a socket file, or host and port."""

    address: str
    place: str | tuple[str, int]

    def get(self, path: str) -> bytes:
        """Return the body of a page."""
        return self._asked("GET", path)

    def read(self, path: str, kind: type[Any]) -> Any:
        """Return a page of JSON as the type it should be of."""
        body = self.get(path)
        try:
            return msgspec.json.decode(body, type=kind)
        except msgspec.MsgspecError as error:
            raise Failure(f"{self.address}{path} is not what a status endpoint says: {error}") from error

    def post(self, path: str, content: object) -> bytes:
        """Send JSON and return the answer's body."""
        return self._asked("POST", path, msgspec.json.encode(content))

    def _asked(self, method: str, path: str, body: bytes | None = None) -> bytes:
        status, answer = self._answer(method, path, body)
        if status != http.client.OK:
            text = " ".join(answer[:500].decode(errors="replace").split())
            raise Refused(status, f"{self.address}{path} answered {status}: {text}")
        return answer

    def _answer(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        headers = {"Accept": "application/json"} | ({"Content-Type": "application/json"} if body else {})
        if token := os.environ.get(TOKEN):
            headers["Authorization"] = f"Bearer {token}"
        connection = self._connection()
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()
            raise Unreached(f"{self.address} does not answer: {reason}") from error
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        if isinstance(self.place, str):
            return _SocketFile(self.place)
        return http.client.HTTPConnection(*self.place, timeout=_TIMEOUT_S)


class Refused(Failure):
    """The endpoint answered something else than 200: ``status`` says what."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Unreached(Failure):
    """Nobody answers at the address."""


def endpoints(url: str) -> list[Endpoint]:
    """Return the endpoints that an address means, one or more; ``Failure`` (usage) where it is none."""
    if url.startswith((_UNIX, "/", "./", "../")):
        return _socket_files(url.removeprefix(_UNIX))
    with_scheme = url if "://" in url else f"http://{url}"
    try:
        parts = urlsplit(with_scheme)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port or parts.scheme != "http" or parts.path not in ("", "/"):
        raise Failure(f"{url!r} is no address of a status endpoint: http://HOST:PORT or unix:/PATH is one", USAGE)
    return [Endpoint(with_scheme.rstrip("/"), (host, port))]


def _socket_files(path: str) -> list[Endpoint]:
    pattern = path.replace("{pid}", "*")
    if "*" not in pattern:
        return [Endpoint(f"{_UNIX}{path}", path)]
    matching = sorted(glob.glob(pattern))  # noqa: PTH207 - Path.glob takes no absolute pattern
    found = [Endpoint(f"{_UNIX}{each}", each) for each in matching]
    alive = [each for each in found if _answers(each)]
    if not alive:
        raise Unreached(f"{_UNIX}{path}: no process answers ({len(found)} files)")
    return alive


def _answers(endpoint: Endpoint) -> bool:
    try:
        endpoint.get("/healthz")
    except Unreached:
        return False
    return True
