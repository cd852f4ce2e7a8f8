"""
The awaitable that is already complete: what an increment on the aio face returns when there is nothing to wait for.

Rules that live here: one object serves every call of every loop. It has the four methods of a coroutine, so
``create_task`` and ``gather`` take it, and it warns nobody when it is not awaited: the delta is in the buffer.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterator
from typing import Any

_FINISHED: Iterator[Any] = iter(())


class Completed(Coroutine[Any, Any, None]):
    """A coroutine that has finished before it began."""

    __slots__ = ()

    def __await__(self) -> Any:
        return _FINISHED

    def send(self, value: Any) -> Any:
        """Finish."""
        raise StopIteration

    def throw(self, *error: Any) -> Any:
        """Raise what a cancelled or closed task throws in."""
        raised = error[-1] if isinstance(error[-1], BaseException) else error[0]
        raise raised

    def close(self) -> None:
        """Do nothing: there is nothing left to run."""


COMPLETED = Completed()
