"""
Which aggregator this process runs, and the last flush when the interpreter ends.

Rules that live here:

* One started aggregator per process; it is the one ``current()`` returns.
* The last flush runs from ``threading._register_atexit`` where there is one: that is before the interpreter joins its
  threads, while the drivers' own threads still answer; ``multiprocessing`` children pass there too. An ordinary
  ``atexit`` handler would come too late for thread pools (and not at all in those children).
* Signals are left alone: servers have hooks of their own.
* After a fork the child starts empty: the parent's rows are unmapped there before any of its code can touch them.
"""

from __future__ import annotations

import atexit
import concurrent.futures.thread  # noqa: F401 - registers its own exit handler; ours must come after it, to run before
import os
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aggregator import scopes
from coodie import counters
from coodie.exceptions import ConfigurationError

if TYPE_CHECKING:
    from aggregator.api import Aggregator

_started: Aggregator | None = None
_lock = threading.Lock()
OPENING = threading.RLock()
"""Held while a journal's slot is leased, and by whoever forks; read it as ``lifecycle.OPENING``."""
_known: weakref.WeakSet[Any] = weakref.WeakSet()
_is_registered = False


def current() -> Aggregator | None:
    """Return the aggregator this process has started, or None."""
    return _started


def claim(aggregator: Aggregator) -> bool:
    """
    Make an aggregator the process's own; False: it is already.

    Raises:
        ConfigurationError: another one is started; names it.
    """
    global _started
    with _lock:
        if _started is aggregator:
            return False
        if _started is not None:
            raise ConfigurationError(
                f"{_started!r} is already started in this process; use it (aggregator.current()), or shut it down "
                "first; nothing was started"
            )
        _started = aggregator
        _known.add(aggregator)
        _register_once()
        return True


def release(aggregator: Aggregator) -> None:
    """Let go of an aggregator that was shut down."""
    global _started
    with _lock:
        if _started is aggregator:
            _started = None


def _register_once() -> None:
    global _is_registered
    if not _is_registered:
        _is_registered = True
        register: Callable[..., Any] = getattr(threading, "_register_atexit", atexit.register)
        register(_at_exit)
        os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child)


def _at_exit() -> None:
    aggregator = _started
    if aggregator is not None:
        aggregator._shutdown(None)


def _before_fork() -> None:
    # What another thread is opening is complete before the child gets its copy, so that it can let go of all of it.
    OPENING.acquire()


def _after_fork() -> None:
    OPENING.release()


def _in_child() -> None:
    global _lock, OPENING
    _lock = threading.Lock()
    OPENING = threading.RLock()
    scopes.abandon()
    step_aside = getattr(counters.sink, "after_fork_in_child", None)
    if step_aside is not None:
        step_aside()
    for aggregator in list(_known):
        aggregator._begin_anew_in_child()
