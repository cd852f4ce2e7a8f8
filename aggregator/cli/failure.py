"""
How a command gives up: one line for the reader and an exit code.

Rules that live here: 0 done, 1 something was not stored or not reached, 2 usage; a command raises :class:`Failure`
and ``aggregator.cli.main`` alone prints it, so no traceback reaches the user. Any other error is one line too.
"""

from __future__ import annotations

from aggregator.exceptions import AggregatorError
from coodie.exceptions import CoodieError

NOT_STORED = 1
USAGE = 2


class Failure(Exception):
    """The end of a command: ``str()`` is the one line to print, ``code`` the exit code."""

    def __init__(self, message: str, code: int = NOT_STORED) -> None:
        super().__init__(" ".join(message.split()))
        self.code = code


def in_one_line(error: BaseException) -> str:
    """Return the text of an error on one line; one that is not written for the reader of a command bears its type."""
    text = " ".join(str(error).split())
    if text and isinstance(error, AggregatorError | CoodieError | ImportError | OSError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
