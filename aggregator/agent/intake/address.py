"""
Where the intake listens: a Unix socket, or a port of this machine alone.

Rules that live here:

* The socket is 0600 before it listens, in a folder that nobody else can write in (made 0700). Other users on the list
  must be able to reach it: then it is 0666 in a folder of 0711, and the list decides.
* TCP is bound to a loopback address: a token in plain HTTP is for this machine only.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from aggregator.exceptions import ConfigurationError
from aggregator.status_address import Port, SocketFile, parse
from aggregator.web.listening import Listening, is_loopback


def listen(address: str, *, shared: bool) -> Listening:
    """
    Listen on ``PATH`` or ``HOST:PORT``.

    Args:
        shared: whether users other than this process's own may connect to a Unix socket.

    Raises:
        ConfigurationError: the address is not allowed, taken, or cannot be bound; says which, and what helps.
    """
    where = _parsed(address)
    try:
        if isinstance(where, Port):
            return Listening(where)
        folder = Path(where.path).absolute().parent
        _prepare(folder, shared=shared)
        listening = Listening(where)
    except OSError as error:
        raise ConfigurationError(f"intake={address!r} cannot be listened on: {error.strerror or error}") from error
    if shared and listening.path is not None:
        listening.path.chmod(0o666)
    return listening


def is_port(address: str) -> bool:
    """Return whether an address is HOST:PORT and not a path."""
    return isinstance(_parsed(address), Port)


def _parsed(address: str) -> Port | SocketFile:
    allowed = f"intake={address!r} is not allowed: the path of a socket (with a '/'), or 127.0.0.1:PORT or [::1]:PORT"
    try:
        where = parse(address)
        if isinstance(where, Port) and where.host != "localhost" and not is_loopback(where.host):
            raise ConfigurationError(f"{allowed}; other hosts could read the token on its way")
    except ValueError:
        raise ConfigurationError(allowed) from None
    return where


def _prepare(folder: Path, *, shared: bool) -> None:
    if not folder.exists():
        folder.mkdir(mode=0o700)
        folder.chmod(0o711 if shared else 0o700)  # whatever the umask
    found = folder.stat()
    if found.st_uid not in (0, os.geteuid()) or found.st_mode & 0o022:
        raise ConfigurationError(
            f"the folder {folder} of the intake's socket can be changed by others (user {found.st_uid}, mode "
            f"{stat.S_IMODE(found.st_mode):o}); give a folder of its own: it is made if its parent is there"
        )
