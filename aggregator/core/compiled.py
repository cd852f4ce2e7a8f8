"""
The writers' fast path: an ``increment`` and a ``decrement`` generated for the columns of one class.

Rules that live here:

* A generated method has one keyword-only parameter per counter (a third of the cost of ``**deltas``); the commonest
  delta, the int 1, is recognized by identity: no type check, no range check. Others pass :func:`small`. Unknown names
  are gathered apart, at 15 ns a call: they must be refused with the mapper's own error, not with a bare ``TypeError``.
* The store is ``total[slots[key]] += n``: look-up, load, add and store on one line, with no call in it. CPython
  switches threads only at calls, function entries and backward jumps, so with the GIL no other thread runs inside that
  line and no lock is needed. This is a fact of CPython 3.11 to 3.14, nobody's promise: :func:`is_call_free` reads the
  bytecode of each generated method, and :func:`lock_free_here` asks for the GIL; where either says no, the same
  line stands under the buffer's lock.
* One column by 1 is the first thing a method looks for, column by column; other increments pass a general road below.
* Calls are counted without counting the commonest one, which would cost it 35 ns of 250: an increment of one column
  by 1 leaves exactly one unit, so their number is the units that rows hold less those that came otherwise. Every other
  road adds to ``calls``: the number of its calls, and the units it stored (``held.increments``).
* Everything unusual (a new row, no delta at all, a large or odd one, an open request scope) leaves by one door,
  ``missed(document, deltas, stored, others)``: the deltas in column order, how many of the columns are stored already,
  and the deltas of unknown names.
* Names inside generated code begin with an underscore: pydantic fields cannot, so no column can shadow one.
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

ABSENT: Any = type("Absent", (), {"__repr__": lambda _: "0", "__doc__": "The default of a delta that was not given."})()

_WINDOW = frozenset(
    "LOAD_DEREF LOAD_FAST LOAD_FAST_LOAD_FAST LOAD_FAST_BORROW LOAD_FAST_BORROW_LOAD_FAST_BORROW LOAD_CONST "
    "LOAD_SMALL_INT BINARY_SUBSCR COPY BINARY_OP SWAP STORE_SUBSCR CACHE NOP".split()
)

_HEAD = """
def make(_slots, _totals, _calls, _scopes, _one, _absent, _checked, _missed, _done, _lock, _errors):
    {unpack} = _totals
    def {method}(_self, *, {parameters}, **_others):
"""
_FAST = """\
        if {name} is _one and {rest}not _others and not _scopes:
            try:
                _key = {key}
                {store}
{counted}                return _done
            except _errors:
                _key = None  # answered below: an error raised in here would drag this one along
            return _missed(_self, {given}, 0, _others)
"""
_DECREMENTED = ("_calls[0] += 1", "_calls[1] -= 1")
_COUNTED = """\
                {}
                {}
"""
_CHECK = """\
            if {name} is not _one and {name} is not _absent:
                {name} = _checked({name})
"""
_STORE = """\
            if {name} is not _absent:
                {store}
                _stored = {count}
                {units}
"""
_BODY = """\
        if _others or _scopes or {nothing}:
            return _missed(_self, {given}, 0, _others)
        _stored = 0
        try:
{checks}            _key = {key}
{stores}            {calls}
            return _done
        except _errors:
            _key = None
        return _missed(_self, {given}, _stored, _others)
    return {method}
"""

ERRORS = (KeyError, ValueError, TypeError, AttributeError)
"""What sends a call by the slow road; handed in, because a counter may be named after any of them."""

SMALL = 2**31


def small(delta: Any) -> int:
    """Return a delta that is an int below 2**31 either way; ``ValueError`` sends any other by the slow road."""
    if type(delta) is int and -SMALL < delta < SMALL:
        return delta
    raise ValueError


def lock_free_here() -> bool:
    """Return whether this interpreter has a GIL, on which the lock-free form relies."""
    enabled: Callable[[], bool] | None = getattr(sys, "_is_gil_enabled", None)
    return sys.implementation.name == "cpython" and (enabled is None or enabled())


def is_call_free(function: FunctionType) -> bool:
    """Return whether every line of a function that stores into a subscript has no instruction that could let go."""
    windows: dict[int | None, list[str]] = {}
    line: int | None = None
    for instruction in dis.get_instructions(function):
        line = instruction.positions.lineno if instruction.positions else line
        windows.setdefault(line, []).append(instruction.opname)
    stores = [names for names in windows.values() if "STORE_SUBSCR" in names]
    # What follows the last store of a line (the jump to the next one) is outside the window.
    return bool(stores) and all(_WINDOW.issuperset(names[: _last(names, "STORE_SUBSCR") + 1]) for names in stores)


def _last(names: Sequence[str], wanted: str) -> int:
    return len(names) - 1 - names[::-1].index(wanted)


def source(method: str, keys: Sequence[str], columns: Sequence[str], *, locked: bool) -> str:
    """Return the source of the factory of one method; see the module's rules."""
    operator = {"increment": "+=", "decrement": "-="}[method]
    parts = {
        "method": method,
        "key": f"_self.{keys[0]}" if len(keys) == 1 else "(" + ", ".join(f"_self.{name}" for name in keys) + ")",
        "given": "(" + ", ".join(columns) + ",)",
        "calls": _guarded("_calls[0] += 1", locked),
        "counted": "" if method == "increment" else _COUNTED.format(*(_guarded(line, locked) for line in _DECREMENTED)),
        "unpack": "".join(f"_total_{position}, " for position in range(len(columns))),
        "parameters": ", ".join(f"{name}=_absent" for name in columns),
        "nothing": " and ".join(f"{name} is _absent" for name in columns),
        "checks": "".join(_CHECK.format(name=name) for name in columns),
        "stores": "",
    }
    fast = ""
    for position, name in enumerate(columns):
        line = f"_total_{position}[_slots[_key]] {operator} "
        rest = "".join(f"{other} is _absent and " for other in columns if other != name)
        fast += _FAST.format(**parts, name=name, rest=rest, store=_guarded(line + "1", locked))
        units = _guarded(f"_calls[1] {operator} {name}", locked)
        parts["stores"] += _STORE.format(
            name=name, store=_guarded(line + name, locked), count=position + 1, units=units
        )
    return _HEAD.format(**parts) + fast + _BODY.format(**parts)


def _guarded(line: str, locked: bool) -> str:
    return f"with _lock: {line}" if locked else line
