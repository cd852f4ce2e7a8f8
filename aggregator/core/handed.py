"""
Tables whose rows another process, the host's agent, moves on to the database.

Rules that live here:

* Rows hold deltas, whatever the kind of the table. ``total`` is ours; up to ``sent`` the agent has moved a row into its
  own journal, up to ``settled`` its flush has written that.
* A row is given other values only while ``sent`` and ``settled`` are one: what is on its way is nobody's to shift.
* Every function is called under the buffer's lock.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from aggregator.core import apart
from aggregator.core.ledger import Change
from aggregator.core.records import ColumnStats
from aggregator.core.taken import CHUNK

if TYPE_CHECKING:
    from aggregator.core.held import Held
    from aggregator.core.totals import ColumnTotals, Totals


def is_on_its_way(totals: Totals, slot: int) -> bool:
    """Return whether something of a row was sent and is not settled."""
    return any(c.sent is not None and c.sent[slot] != c.settled[slot] for c in totals.columns.values())


def account(held: Held, name: str) -> ColumnStats:
    """Return the account of one column: what became of its units is read from the arrays that the agent moves."""
    units, column = held.units[name], held.totals.columns[name]
    total, settled = held.totals.sums(name)
    sent = _sent(held.totals, column)
    late = sum(row.get(name, 0) for row in held.late.values())
    return ColumnStats(
        accepted=units.beside + column.evicted + total + late,
        applied=units.applied + column.evicted + settled,
        pending=total - sent + late,
        in_flight=sent - settled,
        unknown=units.unknown_positive + units.unknown_negative,
        dropped=units.dropped,
        unknown_positive=units.unknown_positive,
        unknown_negative=units.unknown_negative,
    )


def _sent(totals: Totals, column: ColumnTotals) -> int:
    assert column.sent is not None, f"{totals.name}.{column.name} is handed on without knowing what was sent"
    starts = range(0, len(totals.keys), CHUNK)
    return sum(sum(column.sent[start : start + CHUNK]) for start in starts)


def give_up(held: Held, now: datetime, reason: str) -> None:
    """Set apart what was not moved, where nobody can say what was: every row begins anew at nothing."""
    totals, change = held.totals, Change()
    for slot, key in enumerate(totals.keys):
        if key is None:
            continue
        rows = {name: (c.total[slot], c.sent[slot] if c.sent else 0) for name, c in totals.columns.items()}
        deltas = {name: total - sent for name, (total, sent) in rows.items() if total != sent}
        if deltas:
            apart.park(held, key, deltas, now, reason)
            held.noted(change, unknown=key)
            for name, delta in deltas.items():
                held.units[name].beside += delta
        change.values += [(slot, name, 0, 0) for name in rows]
    held.ledger.tell_later(change)
    for slot, name, total, settled in change.values:
        totals.columns[name].put(slot, total, settled)
    for column in totals.columns.values():
        column.evicted = 0
    held.ledger.made()
