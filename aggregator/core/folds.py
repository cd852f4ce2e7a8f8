"""
Rows of retired writers of an exact table, on their way into rows of ours.

Rules that live here:

* A fold begins with one change of the ledger: our totals and watermarks grow by what the other row holds, and the row
  is marked with whose that was. From then on only a fold writes it (``Base.FOLDING``): our new totals and the deletion
  of the other row in one statement, which may be sent any number of times. The mark goes when it was applied.
* One fold of a row at a time: a second one would hide the first one's mark.
* What is folded in was accepted by another process: the account does not move.
* Every function is called under the buffer's lock; where the row's chunk is in flight, nothing is begun.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import TypeAlias

from aggregator.core.ledger import Change
from aggregator.core.rewriting import rewrite, unmapped
from aggregator.core.taken import CHUNK, INT64_MAX, INT64_MIN, Base, Fold, Taken
from aggregator.core.totals import Totals

Amounts: TypeAlias = Mapping[str, int]
"""Column -> what the retired writer had in a row."""


def fits(totals: Totals, slot: int, amounts: Amounts) -> bool:
    """Return whether a row can take amounts in without leaving 64 bits."""
    columns = ((totals.columns[name], amount) for name, amount in amounts.items())
    return all(
        INT64_MIN <= value + amount <= INT64_MAX
        for column, amount in columns
        for value in (column.total[slot], column.settled[slot])
    )


def begin(totals: Totals, rows: Mapping[int, tuple[Fold, Amounts]]) -> None:
    """
    Lay rows of retired writers under ours, by slot, and mark these; each is known (``Base.KNOWN``) and takes it in.

    Raises ``JournalError`` with nothing changed.
    """
    change = Change()
    for slot, (fold, _amounts) in rows.items():
        assert totals.bases[slot] == Base.KNOWN, "a row's own total must be known before another is added to it"
        assert slot // CHUNK * CHUNK not in totals.in_flight, "what is in flight must not look settled"
        change.folds[totals.keys[slot]] = fold
        change.bases[slot] = int(Base.FOLDING)
    with ExitStack() as away:
        for slot, (_fold, amounts) in rows.items():
            away.enter_context(unmapped(totals, slot))
            for name, amount in amounts.items():
                column = totals.columns[name]
                change.values.append((slot, name, column.total[slot] + amount, column.settled[slot] + amount))
        added = {name: sum(amounts.get(name, 0) for _fold, amounts in rows.values()) for name in totals.columns}
        rewrite(totals, change, {name: -units for name, units in added.items()}, lambda: _mark(totals, rows))


def _mark(totals: Totals, rows: Mapping[int, tuple[Fold, Amounts]]) -> None:
    for slot, (fold, _amounts) in rows.items():
        totals.folds[totals.keys[slot]] = fold
        totals.bases[slot] = Base.FOLDING


def take(totals: Totals, start: int, most: int) -> Taken | None:
    """Put marked rows of a chunk in flight, up to ``most``, with what they have pending; None: there are none."""
    if start in totals.in_flight:
        return None
    bases = totals.bases[start : start + CHUNK]
    offsets = [offset for offset, base in enumerate(bases) if base == Base.FOLDING][:most]
    if not offsets:
        return None
    copies = {
        name: memoryview(bytearray(column.total[start : start + CHUNK])).cast("q")
        for name, column in totals.columns.items()
    }
    gains = {
        name: [copy[offset] - totals.columns[name].settled[start + offset] for offset in offsets]
        for name, copy in copies.items()
    }
    keys = [totals.keys[start + offset] for offset in offsets]
    taken = Taken(start, copies, offsets, keys, gains, is_partial=True)
    totals.ledger.intend()
    totals.in_flight[start] = taken
    return taken


def end(totals: Totals, slots: list[int]) -> None:
    """Take the marks of rows away: the database has their totals, and the other writer's rows no more."""
    keys = [totals.keys[slot] for slot in slots]
    totals.ledger.tell_later(Change(folds=dict.fromkeys(keys), bases=dict.fromkeys(slots, int(Base.KNOWN))))
    for slot, key in zip(slots, keys, strict=True):
        totals.bases[slot] = Base.KNOWN
        totals.folds.pop(key, None)
    totals.ledger.made()
