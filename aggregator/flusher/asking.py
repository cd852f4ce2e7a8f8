"""
How the flusher asks a database: one statement, one answer, on the flusher's thread.

Rules that live here: a driver whose session belongs to an event loop refuses ``submit`` from elsewhere; what it offers
a thread that runs no loop is ``ask``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from coodie.statement import Rows, Statement


def asking(driver: Any) -> Callable[[Statement], Rows]:
    """Return what sends a statement and waits for its answer, on a thread that runs no event loop."""
    ask: Callable[[Statement], Rows] = getattr(driver, "ask", None) or driver.submit
    return ask


class Asking:
    """A driver as far as ``coodie.run`` needs one."""

    def __init__(self, driver: Any) -> None:
        self.submit = asking(driver)
