"""
What becomes of connections in a forked child: it has copies of them, and none of the threads that served them.

Rules that live here:

* A child never uses, closes or destroys what its parent opened: the sockets are shared, and a destructor would wait for
  threads that do not exist there. What is kept is kept for the life of the process.
* What belongs to us is told right after the fork, when the child has one thread; it opens anew at its first use.
* Locks of ours may be held by threads that did not come along: they are made anew.
"""

from __future__ import annotations

import ctypes
import os
import weakref
from typing import Any, Protocol


class Inherited(Protocol):
    """Something that a child gets a copy of and must not use as it is."""

    def after_fork_in_child(self) -> None:
        """Let go of what the parent opened, and make locks anew. Called once, with no other thread about."""


_told: weakref.WeakSet[Any] = weakref.WeakSet()


def tell(inherited: Inherited) -> None:
    """Have an object told of each fork, in the child, for as long as it lives."""
    _told.add(inherited)


def keep(*things: object) -> None:
    """Keep objects from ever being destroyed in this process, its end included: one reference too many."""
    for thing in things:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def _after_fork_in_child() -> None:
    for inherited in list(_told):
        inherited.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
