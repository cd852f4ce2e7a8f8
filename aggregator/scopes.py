"""
Request scopes: increments collected apart until a request ends, then joined to the buffer or discarded.

Rules that live here:

* The scope travels in a context variable, so child tasks and ``to_thread`` share it; its own lock guards its rows.
* ``OPEN`` is truthy while any scope of the process is open: compiled writers look at it before anything else, and
  leave by the slow road only then.
* A nested scope joins its parent; after a scope closed, late increments go to the buffer. The join never fails.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from types import TracebackType
from typing import TYPE_CHECKING

from aggregator.core.buffer import Added
from aggregator.core.taken import INT64_MAX, INT64_MIN, Key
from aggregator.exceptions import LifecycleError

if TYPE_CHECKING:
    from aggregator.core.held import Held

OPEN: dict[int, Request] = {}
_current: ContextVar[Request | None] = ContextVar("aggregator_request", default=None)


def active() -> Request | None:
    """Return the innermost open scope of this context, if there is one."""
    scope = _current.get()
    while scope is not None and scope.is_closed:
        scope = scope.parent
    return scope


def abandon() -> None:
    """Discard every open scope, in a forked child: what it collected is the parent's."""
    for scope in list(OPEN.values()):
        scope.abandon()
    OPEN.clear()


class Request:
    """
    Collect the increments of one request; a context manager, sync and async.

    With ``discard_on_error`` an exception that leaves the block, or :meth:`discard`, throws them away: they were
    never accepted.
    """

    def __init__(self, join: Callable[[Held, Key, Mapping[str, int], int], object], *, discard_on_error: bool) -> None:
        self.discard_on_error = discard_on_error
        self.is_closed = False
        self.parent: Request | None = None
        self._join = join
        self._discarded = False
        self._lock = threading.RLock()
        self._rows: dict[tuple[int, Key], tuple[Held, dict[str, int]]] = {}
        self._calls: dict[tuple[int, Key], int] = {}
        self._token: Token[Request | None] | None = None

    def add(self, held: Held, key: Key, deltas: Mapping[str, int], calls: int = 1) -> Added:
        """Collect deltas, all or none; CLOSED where the scope has ended meanwhile."""
        with self._lock:
            if self.is_closed:
                return Added.CLOSED
            row = self._rows.get((id(held), key), (held, {}))[1]
            for name, delta in deltas.items():
                if not INT64_MIN <= row.get(name, 0) + delta <= INT64_MAX:
                    return Added.OVERFLOW
            for name, delta in deltas.items():
                row[name] = row.get(name, 0) + delta
            self._rows[id(held), key] = (held, row)
            self._calls[id(held), key] = self._calls.get((id(held), key), 0) + calls
        return Added.ADDED

    def abandon(self) -> None:
        """End it at once, with nothing collected; its lock may be held by a thread that is gone."""
        self.is_closed = self._discarded = True
        self._lock = threading.RLock()
        self._rows = {}

    def discard(self) -> None:
        """Have the scope throw away what it collected when it ends."""
        self._discarded = True

    def __enter__(self) -> Request:
        if self._token is not None:
            raise LifecycleError("a request scope serves one request: ask for a new one; nothing was done")
        self.parent = active()
        self._token = _current.set(self)
        OPEN[id(self)] = self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self.is_closed = True
        OPEN.pop(id(self), None)
        if self._token is not None:
            self._leave(self._token)
        if not (self._discarded or (error is not None and self.discard_on_error)):
            self._hand_over()

    def _leave(self, token: Token[Request | None]) -> None:
        try:
            _current.reset(token)
        except ValueError:  # left in another context than entered (a WSGI iterator closed elsewhere)
            _current.set(self.parent)

    def _hand_over(self) -> None:
        for row, (held, deltas) in self._rows.items():
            added = Added.CLOSED if self.parent is None else self.parent.add(held, row[1], deltas, self._calls[row])
            if added is not Added.ADDED:
                self._join(held, row[1], deltas, self._calls[row])

    async def __aenter__(self) -> Request:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)
