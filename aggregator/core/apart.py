"""
What is set apart from a table's rows: unknown outcomes and dead letters, put there and resolved.

Rules that live here: memory changes and the account with it; the caller then tells the ledger (``Held.noted``). Every
function is called under the buffer's lock.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from aggregator.core.taken import Key

if TYPE_CHECKING:
    from aggregator.core.held import Held


def park(held: Held, key: Key, deltas: Mapping[str, int], at: datetime, reason: str) -> None:
    """Set deltas whose fate is unknown apart; the caller tells the ledger."""
    held.unknown.add(key, deltas, at, reason)
    for name, delta in deltas.items():
        held.units[name].add_unknown(delta)


def unpark(held: Held, key: Key, deltas: Mapping[str, int], version: int) -> bool:
    """Take shown deltas out of the unknown ones; the caller accounts for them next. False: resolved before."""
    sides = held.unknown.remove(key, deltas, version)
    if sides is None:
        return False
    for name, delta in sides[0].items():
        held.units[name].unknown_positive -= delta
    for name, delta in sides[1].items():
        held.units[name].unknown_negative -= delta
    return True


def unreject(held: Held, key: Key, deltas: Mapping[str, int], version: int) -> bool:
    """Take shown deltas out of the dead letters; the caller accounts for them next. False: resolved before."""
    if held.rejected.remove(key, deltas, version) is None:
        return False
    for name, delta in deltas.items():
        held.units[name].dropped -= delta
    return True


def requeue(held: Held, key: Key, deltas: Mapping[str, int]) -> None:
    """Make resolved deltas pending again: they were accepted once already. The caller tells the ledger."""
    held.put_late(key, deltas)
    for name, delta in deltas.items():
        held.units[name].beside -= delta
