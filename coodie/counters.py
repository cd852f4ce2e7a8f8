"""
The seam between the mapper and an aggregator: the protocol of an increment sink, and the installed one.

Rules that live here:

* coodie knows no aggregator; a started one installs itself here, and removes itself when it stops.
* With no sink installed every increment is one UPDATE of its own.
* A sink may hand a class ready-made ``increment`` and ``decrement`` functions, compiled for its columns. They are set
  on the class itself and shadow the methods of ``CounterDocument``; classes that define their own keep them, and what
  they pass to ``super()`` reaches the sink through :meth:`IncrementSink.add`.
* A compiled function fits one class alone, so classes below an adorned one get the plain methods back (:func:`shield`).
* Whatever changes what a class resolves to (a new default connection) calls :func:`invalidate`, which takes every
  compiled function back; the next increment of each class is compiled anew.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Protocol


class IncrementSink(Protocol):
    """Where increments go instead of to the database."""

    def add(self, document: Any, deltas: Mapping[str, int]) -> Awaitable[None] | None:
        """
        Take the deltas of one row (already negated for a decrement), checked by the sink.

        For a sync document: returns None, having waited where it must. For an aio document: takes the delta before it
        returns an awaitable. From any thread and any loop.
        """

    def compiled(self, model: type[Any]) -> Mapping[str, Callable[..., Any]] | None:
        """Return ``{"increment": function, "decrement": function}`` for a class, or None to go through ``add``."""

    def pending(self, model: type[Any], key: tuple[Any, ...]) -> Mapping[str, int] | None:
        """Return the deltas to add to what a read found for this row, or None when reads are to stay as they are."""

    def flush(self, model: type[Any]) -> Awaitable[None] | None:
        """
        Write what is held for the table of a class.

        For a class of the sync face: returns None, having written it. For one of the aio face: returns an awaitable.
        """

    def halt(self, model: type[Any]) -> Awaitable[None] | None:
        """
        Send nothing more for the table of a class, which is about to be emptied; return once what was sent has ended.

        For a class of the sync face: returns None, having waited. For one of the aio face: returns an awaitable. Then
        comes :meth:`forget`, or :meth:`resume` where the table could not be emptied.
        """

    def resume(self, model: type[Any]) -> None:
        """Go on after :meth:`halt`, with everything as it was."""

    def forget(self, model: type[Any]) -> None:
        """Drop what is held for a table that was truncated or dropped through coodie, and go on counting."""


METHODS = ("increment", "decrement")

_lock = threading.RLock()
_adorned: dict[type[Any], tuple[str, ...]] = {}  # classes that carry compiled functions
_shielded: dict[type[Any], tuple[str, ...]] = {}  # classes below them that carry the plain methods
sink: IncrementSink | None = None
"""The installed sink; read it as ``counters.sink``, never ``from ... import sink``."""


def _before_fork() -> None:
    # A class that another thread adorns is whole in the child's copy, or plain. Not at the price of a deadlock: where
    # the other thread waits for something that the forking one holds, the fork goes on without.
    _lock.acquire(timeout=_FORK_WAIT_S)


def _after_fork_in_parent() -> None:
    with suppress(RuntimeError):  # not acquired
        _lock.release()


def _after_fork_in_child() -> None:
    global _lock
    _lock = threading.RLock()  # the other may be held by a thread that did not come along


_FORK_WAIT_S = 1.0

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)


def install(new: IncrementSink) -> None:
    """Route every increment of the process to a sink, until :func:`remove`."""
    global sink
    with _lock:
        sink = new
        _strip_locked()


def remove(old: IncrementSink) -> None:
    """Stop routing to a sink, if it is the installed one; increments go to the database directly again."""
    global sink
    with _lock:
        if sink is old:
            sink = None
            _strip_locked()


def invalidate() -> None:
    """Take back every compiled function: what a class resolves to has changed."""
    with _lock:
        _strip_locked()


def adorn(model: type[Any]) -> None:
    """Set the installed sink's compiled functions on a class, unless it defines methods of its own."""
    with _lock:
        if sink is None or model in _adorned or _defines_own(model):
            return
        functions = sink.compiled(model)
        if not functions:
            return
        for subclass in _descendants(model):
            _shield_locked(subclass)
        for name, function in functions.items():
            setattr(model, name, function)
        _shielded.pop(model, None)
        _adorned[model] = tuple(functions)


def shield(model: type[Any]) -> None:
    """Keep a class that was just made from inheriting functions compiled for a class above it."""
    with _lock:
        if any(parent in _adorned for parent in model.__mro__[1:]):
            _shield_locked(model)


def _shield_locked(model: type[Any]) -> None:
    """Give a class its face's plain methods, unless it has compiled ones or its own. The caller holds ``_lock``."""
    if model in _adorned or model in _shielded or _defines_own(model):
        return
    face = next(cls for cls in model.__mro__ if cls.__module__.startswith("coodie.") and METHODS[0] in cls.__dict__)
    for name in METHODS:
        setattr(model, name, face.__dict__[name])
    _shielded[model] = METHODS


def _defines_own(model: type[Any]) -> bool:
    """Return whether a class, or one between it and coodie's own, defines one of the methods in its body."""
    for cls in model.__mro__:
        if cls.__module__.startswith("coodie."):
            return False
        if cls not in _adorned and cls not in _shielded and any(name in cls.__dict__ for name in METHODS):
            return True
    return False


def _descendants(model: type[Any]) -> Iterator[type[Any]]:
    for subclass in model.__subclasses__():
        yield subclass
        yield from _descendants(subclass)


def _strip_locked() -> None:
    """Remove what was set on classes. The caller holds ``_lock``."""
    for model, names in (*_adorned.items(), *_shielded.items()):
        for name in names:
            delattr(model, name)
    _adorned.clear()
    _shielded.clear()
