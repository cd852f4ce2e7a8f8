"""
What becomes of connections in a forked child: it has copies of them, and none of the threads that served them.

Rules that live here:

* A child never uses, closes or destroys what its parent opened: the sockets are shared, and a destructor would wait for
  threads that do not exist there. What is kept is kept for the life of the process.
* What belongs to us is told right after the fork, when the child has one thread; it opens anew at its first use.
* Locks of ours may be held by threads that did not come along: they are made anew. A fork waits for a connection that
  another thread is opening: that imports modules, and a child would wait for ever for an import another thread began.
"""

from __future__ import annotations

import concurrent.futures.thread  # noqa: F401 - its own hooks must be there before a fork begins to wait in ours
import ctypes
import os
import threading
import weakref
from typing import Any, Protocol


class Inherited(Protocol):
    """Something that a child gets a copy of and must not use as it is."""

    def after_fork_in_child(self) -> None:
        """Let go of what the parent opened, and make locks anew. Called once, with no other thread about."""


FORK_WAIT_S = 10.0
"""Longest wait of a fork for a connection that is being opened."""


class OpeningLock:
    """A lock around the opening of a connection, which a fork waits for and which is free in the child."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._forking = threading.local()
        _locks.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def before_fork(self) -> None:
        """Wait for who holds it, not for ever."""
        self._forking.holds = self._lock.acquire(timeout=FORK_WAIT_S)

    def after_fork_in_parent(self) -> None:
        """Let it go again."""
        if getattr(self._forking, "holds", False):
            self._forking.holds = False
            self._lock.release()

    def after_fork_in_child(self) -> None:
        """Begin anew: who held it may not have come along."""
        self._lock = threading.Lock()
        self._forking = threading.local()


_locks: weakref.WeakSet[OpeningLock] = weakref.WeakSet()
_told: weakref.WeakSet[Any] = weakref.WeakSet()


def tell(inherited: Inherited) -> None:
    """Have an object told of each fork, in the child, for as long as it lives."""
    _told.add(inherited)


def keep(*things: object) -> None:
    """Keep objects from ever being destroyed in this process, its end included: one reference too many."""
    for thing in things:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def _before_fork() -> None:
    for lock in list(_locks):
        lock.before_fork()


def _after_fork_in_parent() -> None:
    for lock in list(_locks):
        lock.after_fork_in_parent()


def _after_fork_in_child() -> None:
    for lock in list(_locks):
        lock.after_fork_in_child()
    for inherited in list(_told):
        inherited.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
