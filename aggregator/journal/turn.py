"""
Whose turn it is in the slot of a worker that only journals: what the worker and the host's agent share.

Rules that live here:

* The agent alone moves watermarks, the worker alone gives slots other values (evicts, shifts, places). Each does so
  only while it has the lock, so the row that the agent has read is the row it settles.
* ``BEGUN`` and ``DONE`` differ while a move is on its way. The agent's death frees the lock and not that: the worker's
  slots stay as they are until an agent has finished the move, or found that it was never recorded.
* The lock is a flock of the file of the words. Nobody waits for it longer than a few milliseconds: who has it may be
  stopped. What was stored before one side let go of it, the other sees.
* The worker asks (``ASKED``), the agent answers (``ANSWERED``): all that was there when it was asked has had its flush.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aggregator.journal.opening import open_file, saying

TURN = "turn"
TURN_SLOTS = 512

ID = 0  # a random number: marks of another slot that stood in this place are not ours
BEGUN = 1  # the number of the last move that was begun
DONE = 2  # and of the last that is done, or was never recorded
ASKED = 3  # the number of the last flush the worker asked for
ANSWERED = 4  # and of the last the agent has made
SEEN = 5  # when an agent looked here last, us since 1970

_TRIES, _PAUSE_S = 10, 0.0005


class Turn:
    """The words and the lock of one worker's slot. One thread at a time, by the caller's lock."""

    def __init__(self, folder: Path, words: memoryview[int]) -> None:
        self.words = words
        with saying(f"cannot open the turn of {folder}"):
            self._fd = open_file(folder / f"{TURN}.array", os.O_RDWR)
        if not words[ID]:
            with self.taken() as is_ours:
                if is_ours and not words[ID]:
                    self.begin_anew()

    def begin_anew(self) -> None:
        """Have every mark that was made so far be another slot's."""
        self.words[ID] = secrets.randbits(62) + 1
        self.words[DONE] = self.words[BEGUN]

    def is_moving(self) -> bool:
        """Return whether a move is on its way, or was when its agent died."""
        return self.words[BEGUN] != self.words[DONE]

    @contextmanager
    def taken(self) -> Iterator[bool]:
        """Have the lock for the time of the context; False: the other side has it."""
        is_ours = self.take()
        try:
            yield is_ours
        finally:
            if is_ours:
                self.give()

    def take(self) -> bool:
        """Take the lock, trying for a few milliseconds; return whether it is ours."""
        for attempt in range(_TRIES):
            if attempt:
                time.sleep(_PAUSE_S)
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            return True
        return False

    def give(self) -> None:
        """Let go of the lock."""
        fcntl.flock(self._fd, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the descriptor, and with its last copy the lock; twice does no harm."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
