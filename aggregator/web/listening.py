"""
The listening socket of the status endpoint.

Rules that live here:

* A socket file is its user's alone (0600) before anyone can connect to it.
* One that a dead process left is replaced; one that answers, and a file that is no socket, never.
* Who listens takes the file away again, if it is still the one it made.
"""

from __future__ import annotations

import errno
import fcntl
import ipaddress
import os
import socket
import stat
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from aggregator.status_address import PID, Port, SocketFile

TURN_S = 1.0
BACKLOG = 128


class Listening:
    """A socket that listens, and the file it made, if any. Raises ``OSError`` where the address cannot be had."""

    def __init__(self, where: Port | SocketFile) -> None:
        self.path: Path | None = None
        if isinstance(where, Port):
            family = socket.AF_INET6 if ":" in where.host else socket.AF_INET
            self.socket = socket.create_server(where, family=family, backlog=BACKLOG)
        else:
            self.path = Path(where.path.replace(PID, str(os.getpid())))
            self.socket = _listen(self.path)
            self._made = _identity(self.path)

    @property
    def url(self) -> str:
        """The address in the form in which the command line takes it."""
        if self.path is not None:
            return f"unix:{self.path.absolute()}"
        host, port = self.socket.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @property
    def is_wide(self) -> bool:
        """Whether other hosts may reach it."""
        return self.path is None and not is_loopback(self.socket.getsockname()[0])

    def close(self) -> None:
        """Stop listening and take the file away."""
        if self.path is not None:
            with suppress(OSError):
                if _identity(self.path) == self._made:
                    self.path.unlink()
        self.socket.close()

    def close_in_child(self) -> None:
        """Let go of the parent's socket in a forked child."""
        self.socket.close()


def is_loopback(host: str) -> bool:
    """Return whether an address is of this host alone."""
    return ipaddress.ip_address(host.partition("%")[0]).is_loopback


def peer_uid(connection: socket.socket) -> int | None:
    """Return the user at the other end of a socket file; None where it is none, or the system does not say."""
    if connection.family != socket.AF_UNIX or sys.platform != "linux":
        return None
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[1])


def _listen(path: Path) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    try:
        with _turn(path.parent):
            _remove_left_behind(path)
            made.bind(str(path))
            path.chmod(0o600)  # until it listens, nobody can connect
            made.listen(BACKLOG)
    except BaseException:
        made.close()
        raise
    return made


@contextmanager
def _turn(directory: Path) -> Iterator[None]:
    """Have the processes that start at once in one directory look and bind one after the other, as far as it goes."""
    held = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        until = time.monotonic() + TURN_S
        while time.monotonic() < until:
            with suppress(OSError):
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            time.sleep(0.01)
        yield
    finally:
        os.close(held)


def _remove_left_behind(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(errno.EEXIST, "there is a file of that name, and it is no socket")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(TURN_S)
        with suppress(ConnectionRefusedError):
            probe.connect(str(path))
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
    path.unlink()


def _identity(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_dev, found.st_ino
