"""
Telling systemd how a service is: ready, alive, stopping (sd_notify, by its protocol: one datagram a state).

Rules that live here: outside systemd there is no socket, and nothing is told. A message that cannot be sent is no
error, and a service manager that does not read holds nobody up: the kernel queues ten datagrams, then a send waits.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress

_PATIENCE_S = 0.5


def notify(state: str) -> None:
    """Send a state, such as ``READY=1``, to the service manager if there is one."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address[:1] not in ("/", "@"):
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        sender.settimeout(_PATIENCE_S)
        sender.connect("\0" + address[1:] if address[0] == "@" else address)  # @: a name outside the file system
        sender.send(state.encode())


def watchdog_s() -> float | None:
    """Return the seconds within which the service manager wants a ``WATCHDOG=1``; None: it does not watch us."""
    text = os.environ.get("WATCHDOG_USEC", "")
    is_ours = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(text) / 1e6 if text.isdecimal() and int(text) and is_ours else None
