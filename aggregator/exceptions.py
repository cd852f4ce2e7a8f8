"""
Every error the aggregator raises, beside those of ``coodie.exceptions`` that reach the caller unchanged.

    AggregatorError
    ├─ BufferFull        no room for a new row, and ``when_full`` says to refuse: nothing was accepted
    ├─ JournalError      the journal cannot be read or written: the text says what was kept (also an OSError)
    └─ LifecycleError    a call at the wrong time or on the wrong thread: nothing was done (also a RuntimeError)
    ConfigurationError   coodie's own: an option is wrong, or two do not go together
"""

from __future__ import annotations

from coodie.exceptions import ConfigurationError

__all__ = ["AggregatorError", "BufferFull", "ConfigurationError", "JournalError", "LifecycleError", "unjournaled"]


class AggregatorError(Exception):
    """Root of the aggregator's own errors."""


class BufferFull(AggregatorError):
    """A new row found no room within ``max_keys``; the increment was not accepted."""

    def __init__(self, table: str, max_keys: int, when_full: str, why: str) -> None:
        super().__init__(
            f"the buffer holds its max_keys={max_keys} rows and none could be freed ({why}); this increment of a new "
            f"row of {table} was not accepted and nothing was written (when_full={when_full!r})"
        )
        self.table = table
        self.max_keys = max_keys
        self.when_full = when_full


class JournalError(AggregatorError, OSError):
    """The journal cannot be read or written; the text says what was kept and what to do."""


class LifecycleError(AggregatorError, RuntimeError):
    """The call came before ``start()``, or on a thread whose event loop it would block."""


def unjournaled(table: str, error: JournalError | None) -> JournalError:
    """Return the error of deltas that would need a record the journal cannot take."""
    return JournalError(
        f"{table}: the journal cannot take a new row ({error}); this increment was not accepted; rows already held go "
        "on, and so will new ones once the journal can be written"
    )
