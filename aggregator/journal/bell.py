"""
How a worker tells the host's agent that somebody waits: a FIFO in the agent's folder.

Rules that live here: a byte in it means "look now", nothing more. Ringing never waits, and says whether an agent is
there to hear it: a FIFO without a reader refuses to be opened for writing.
"""

from __future__ import annotations

import os
import select
import stat
from contextlib import suppress
from pathlib import Path

from aggregator.exceptions import JournalError
from aggregator.journal.opening import saying

AGENT = "agent"
"""The agent's folder in a journal's directory."""

_NAME = "wake"


def ring(journal: Path) -> bool:
    """Wake the agent of a journal; False: there is none. Never blocks."""
    try:
        fd = os.open(journal / AGENT / _NAME, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:  # ENXIO: nobody listens; ENOENT: nobody ever did
        return False
    with suppress(OSError):  # EAGAIN: it is full of rings that were not heard yet
        os.write(fd, b"\n")
    os.close(fd)
    return True


class Bell:
    """The agent's end: one thread listens, any may close."""

    def __init__(self, folder: Path) -> None:
        path = folder / _NAME
        with saying(f"cannot open {path}"):
            if not path.exists():
                os.mkfifo(path, 0o600)
            # Its own writer too: without one, the end of the last ringer would look like the end of the file.
            self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
            if not stat.S_ISFIFO(os.fstat(self._fd).st_mode):
                os.close(self._fd)
                raise JournalError(f"{path} is no FIFO; remove it")

    def wait(self) -> None:
        """Wait for a ring; all that there are count as one."""
        select.select([self._fd], [], [])
        with suppress(BlockingIOError):
            while os.read(self._fd, 4096):
                pass

    def ring(self) -> None:
        """Ring it from this side."""
        with suppress(BlockingIOError):
            os.write(self._fd, b"\n")

    def close(self) -> None:
        """Stop listening; the listening thread must have ended."""
        os.close(self._fd)
