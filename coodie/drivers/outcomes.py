"""
How a foreign error becomes one of ours, for every driver.

Rules that live here: an error is raised as the leaf of our tree that says what the caller may do next AND as an
instance of the driver's own class, so that ``except`` clauses written for the driver still hold; the driver's own
exception is its cause. Nothing of that reaches into the driver's package. Texts begin with what happened to the write.
A table that the database refused is no longer known as synced.
"""

from __future__ import annotations

import os
from typing import Any

from coodie.exceptions import (
    ConfigurationError,
    CoodieError,
    DriverError,
    InvalidQueryError,
    MaybeApplied,
    NotApplied,
    Rejected,
    RowRejected,
    TableRejected,
)
from coodie.statement import Fate, Outcome, Statement

_OPENING: dict[type, str] = {
    NotApplied: "Nothing was written",
    MaybeApplied: "It is not known whether this was written",
    Rejected: "Refused, nothing was written",
}


def raised_as(
    leaf: type[DriverError], foreign: BaseException, reason: str, *, statement: str | None, host: str | None
) -> DriverError:
    """Return the error to raise for a foreign one: of the leaf, and of the foreign class where Python allows both."""
    opening = next(_OPENING[kind] for kind in leaf.__mro__ if kind in _OPENING)
    error = _both(leaf, type(foreign))(f"{opening}: {reason}", statement=statement, host=host)
    for name, value in getattr(foreign, "__dict__", {}).items():
        error.__dict__.setdefault(name, value)  # an `except WriteTimeout as e` may read e.write_type
    error.__cause__ = foreign
    return error


def outcome_of(error: CoodieError) -> Outcome:
    """Return the outcome of one statement of a fan-out that ended with an error; all but a DriverError sent nothing."""
    if isinstance(error, InvalidQueryError):
        error = RowRejected(f"Refused, nothing was written: {error}")
    elif not isinstance(error, DriverError):
        error = NotApplied(f"Nothing was written: {error}")
    if isinstance(error, Rejected):
        return Outcome(Fate.REJECTED, error)
    return Outcome(Fate.NOT_APPLIED if isinstance(error, NotApplied) else Fate.UNKNOWN, error)


def forget_refused(known: dict[str, Any], error: BaseException | None, statement: Statement) -> None:
    """Forget that a statement's table was synced if the database refused it: the next ``sync_table`` looks again."""
    if isinstance(error, TableRejected):
        name = getattr(getattr(statement.shape, "table", None), "full_name", None)
        if name is None:
            known.clear()  # a text of the user's may be about any table
        else:
            known.pop(name, None)


def check_process(pid: int) -> None:
    """Refuse to use, in a forked child, a session given to its parent: both would read the same sockets."""
    if os.getpid() != pid:
        raise ConfigurationError(
            f"This session was given to process {pid} and cannot be used by its child {os.getpid()}; nothing was sent. "
            "Call init_coodie() in the child, for example where the server starts its workers; or let coodie open the "
            "connection (hosts= instead of session=), which it then does anew in each child."
        )


_joined: dict[tuple[type[DriverError], type[BaseException]], type[DriverError]] = {}


def _both(leaf: type[DriverError], foreign: type[BaseException]) -> type[DriverError]:
    """Return the class that is both, made once."""
    if (leaf, foreign) not in _joined:
        _joined[leaf, foreign] = _join(leaf, foreign)
    return _joined[leaf, foreign]


def _join(leaf: type[DriverError], foreign: type[BaseException]) -> type[DriverError]:
    """Return a new class that is both, or the leaf alone where the layouts of the two cannot be joined."""

    def opened(self: Any, message: str, *, statement: str | None = None, host: str | None = None) -> None:
        Exception.__init__(self, message)  # not the foreign one: it would write the message anew
        self.statement = statement
        self.host = host

    def reduced(self: Any) -> Any:
        return leaf, (str(self),), {"statement": self.statement, "host": self.host}

    body = {
        "__init__": opened,
        "__reduce__": reduced,
        "__str__": Exception.__str__,
        "__repr__": Exception.__repr__,
        "__module__": leaf.__module__,
        "statement": None,  # over properties of these names, which some foreign classes have
        "host": None,
    }
    kind: Any = type(foreign)
    try:
        # The metaclass itself is not called: that of cassandra-driver's protocol errors would enter our class in the
        # table by which answers are decoded, in place of the foreign one.
        joined: type[DriverError] = type.__new__(kind, leaf.__name__, (leaf, foreign), body)
        return joined
    except TypeError:
        return leaf
