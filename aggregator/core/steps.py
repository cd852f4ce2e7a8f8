"""
Steps that are made to their end, also where an exception of a signal handler comes in between.

Rules that live here: such a step sets what is so afterwards and adds nothing, so that it may be made twice. One
exception is outlived; a second one that comes within the few microseconds of the repetition is not.
"""

from __future__ import annotations

from collections.abc import Callable

from aggregator.exceptions import JournalError


def to_its_end(step: Callable[[], None]) -> None:
    """Make a step; where it is cut short, make it again before the exception goes on. Not after a ``JournalError``."""
    try:
        step()
    except JournalError:
        raise
    except BaseException:
        step()
        raise
