"""
What the option ``status`` may say: an address and port, or the path of a socket file.

Rules that live here: a text with a ``/`` is a path; the rest is ``HOST:PORT``, an IPv6 address in brackets. Nothing is
looked up or opened.
"""

from __future__ import annotations

from typing import NamedTuple

ALLOWED = '"HOST:PORT" (a port from 0 to 65535, 0 for any free one), the path of a socket file (with a "/"), or None'
PID = "{pid}"


class Port(NamedTuple):
    """A TCP port of a host."""

    host: str
    port: int


class SocketFile(NamedTuple):
    """The path of a socket file; ``{pid}`` in it stands for the number of the process."""

    path: str


def parse(text: str) -> Port | SocketFile:
    """Return the address a text stands for; ``ValueError`` with what is allowed."""
    if "/" in text:
        if "://" in text or text.endswith("/") or "\0" in text:
            raise ValueError(ALLOWED)
        return SocketFile(text)
    host, colon, port = text.rpartition(":")
    if PID in text:
        raise ValueError(f"{ALLOWED}; {PID} in a path alone, for the number of a process may be no port")
    is_bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not host or (":" in host) != is_bracketed or not _is_port(port):
        raise ValueError(ALLOWED)
    return Port(host.strip("[]"), int(port))


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and int(text) <= 65535
