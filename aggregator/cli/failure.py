"""
How a command gives up: one line for the reader and an exit code.

Rules that live here: 0 done, 1 something was not stored or not reached, 2 usage; a command raises :class:`Failure`
and ``aggregator.cli.main`` alone prints it, so no traceback reaches the user.
"""

from __future__ import annotations

NOT_STORED = 1
USAGE = 2


class Failure(Exception):
    """The end of a command: ``str()`` is the one line to print, ``code`` the exit code."""

    def __init__(self, message: str, code: int = NOT_STORED) -> None:
        super().__init__(" ".join(message.split()))
        self.code = code
