"""
Changing what a slot holds other than by adding to it: shifting, a base that was read, a delta withdrawn.

Rules that live here:

* **Unmap first.** Once a key is out of ``slots`` no writer can reach its slot, and what the slot holds is final; only
  then is it asked for and changed. The key comes back where the row lives on.
* The ledger is told before anything is stored.
* Every function is called under the buffer's lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from aggregator.core import handed
from aggregator.core.ledger import Change
from aggregator.core.steps import to_its_end
from aggregator.core.taken import CHUNK, INT64_MAX, INT64_MIN, Base, rounded
from aggregator.core.totals import Gain, Totals
from aggregator.exceptions import JournalError

LARGE = 2**31
"""Deltas from here on do not come by the fast path, and are announced to the ledger."""


@contextmanager
def unmapped(totals: Totals, slot: int) -> Iterator[None]:
    """Keep every writer away from a slot."""
    key = totals.keys[slot]
    was_mapped = key in totals.mapped
    try:  # from here on: an exception of a signal handler may come at any instant
        totals.mapped.pop(key, None)
        yield
    finally:
        if was_mapped:
            totals.mapped[key] = slot


@contextmanager
def _still(totals: Totals, slot: int) -> Iterator[None]:
    """Keep writers and, where the host's agent sets them, watermarks away from a slot, or raise ``JournalError``."""
    with totals.ledger.steady(), unmapped(totals, slot):
        if totals.ledger.hands_on and handed.is_on_its_way(totals, slot):
            raise JournalError("the row is on its way to the database")
        yield


def rewrite(
    totals: Totals,
    change: Change,
    evicted: Mapping[str, int],
    then: Callable[[], None] = lambda: None,
    *,
    must: bool = True,
) -> None:
    """
    Tell the ledger a change of unmapped slots' values, store them, and do what goes with them, to its end.

    ``evicted``: units, by column, that the totals do not show any more; ``then`` may be called twice.
    """
    tell = totals.ledger.tell if must else totals.ledger.tell_later
    after = [(totals.columns[name], totals.columns[name].evicted + units) for name, units in evicted.items()]

    def step() -> None:
        tell(change)
        totals.ledger.secure()  # or power loss could keep the slot's new values and its old key
        for at, name, total, settled in change.values:
            totals.columns[name].put(at, total, settled)
        for column, units in after:
            column.evicted = units
        then()
        totals.ledger.made()

    to_its_end(step)


def make_room(totals: Totals, slot: int) -> bool:
    """Shift a native row's totals and watermarks down alike; False: the ledger cannot keep it, nothing was changed."""
    try:
        with _still(totals, slot):
            columns = totals.columns.values()
            values: list[tuple[int, str, int | None, int]] = [
                (slot, column.name, column.total[slot] - column.settled[slot], 0) for column in columns
            ]
            shifts = {column.name: column.settled[slot] for column in columns}
            rewrite(totals, Change(values=values), shifts)
    except JournalError:
        return False
    return True


def gain(totals: Totals, slot: int, deltas: Mapping[str, int]) -> Gain:
    """Add deltas to a row, making room in its total where that is needed; never ``Gain.ROOM``."""
    try:
        announce(totals, deltas)
    except JournalError:
        return Gain.LATER
    found = totals.gain(slot, deltas)
    if found is Gain.ROOM:
        found = totals.gain(slot, deltas) if make_room(totals, slot) else Gain.LATER
    return Gain.LATER if found is Gain.ROOM else found


def announce(totals: Totals, deltas: Mapping[str, int]) -> None:
    """Have the ledger expect large deltas, or raise ``JournalError``."""
    for delta in deltas.values():
        if not -LARGE < delta < LARGE:
            totals.ledger.expect(abs(delta))


def place(
    totals: Totals, slot: int, deltas: Mapping[str, int], change: Change, then: Callable[[], None] = lambda: None
) -> bool:
    """
    Add deltas to a row together with what else a change says; False: they do not fit, or the ledger is full.

    ``then``: what goes with it, and may be called twice.
    """
    try:
        with _still(totals, slot):
            for name, delta in deltas.items():
                column = totals.columns[name]
                total, settled = column.total[slot] + delta, column.settled[slot]
                if not (INT64_MIN <= total <= INT64_MAX and INT64_MIN <= total - settled <= INT64_MAX):
                    return False
                change.values.append((slot, name, total, settled))
            if slot // CHUNK * CHUNK in totals.in_flight:  # what is in flight must not look settled
                change.values.clear()
                return False
            announce(totals, deltas)
            rewrite(totals, change, {}, then)
    except JournalError:  # the log would still say that they wait
        change.values.clear()
        return False
    totals.calls[1] += sum(deltas.values())
    return True


# --- exact tables -----------------------------------------------------------------------------------------------


def unread(totals: Totals, start: int) -> list[int]:
    """Return the slots of a chunk that have something to write and whose base is not known."""
    if not totals.forgets or not any(base != Base.KNOWN for base in totals.bases[start : start + CHUNK]):
        return []
    slots = (start + offset for offset in totals.gained(start).offsets)
    return [slot for slot in slots if totals.bases[slot] in (Base.UNREAD, Base.CHECK)]


def set_base(totals: Totals, slot: int, base: Mapping[str, int]) -> bool:
    """
    Lay what this writer had stored under what a row collected since; False: the sum would leave 64 bits.

    A row that was only to be compared (``Base.CHECK``) keeps its totals.
    """
    with unmapped(totals, slot):
        values: list[tuple[int, str, int | None, int]] = []
        less: dict[str, int] = {}
        if totals.bases[slot] == Base.UNREAD:
            for name, column in totals.columns.items():
                under = base.get(name, 0)
                total = column.total[slot] - column.settled[slot] + under
                if not INT64_MIN <= total <= INT64_MAX:
                    return False
                values.append((slot, name, total, under))
                less[name] = column.total[slot] - total
        after = Base.KNOWN
        if totals.keys[slot] in totals.folds:
            after = Base.FOLDING
        elif any(base.get(name, 0) != column.total[slot] for name, column in totals.columns.items()) and not values:
            after = Base.DOUBTFUL  # what is stored is not what we hold: we write, whether something is pending or not

        def know() -> None:
            totals.bases[slot] = after
            totals.doubts.pop(slot, None)

        rewrite(totals, Change(values=values, bases={slot: after}), less, know)
    return True


def begin_anew(totals: Totals, change: Change) -> dict[str, int]:
    """
    Make every row begin at nothing, as a new writer does, with what it has pending; return the units left out.

    Left out is what was pending when an old journal was opened: whether it is stored already, nobody knows.
    """
    left_out = dict.fromkeys(totals.columns, 0)
    for slot, key in enumerate(totals.keys):
        if key is not None:
            totals.bases[slot] = Base.KNOWN
            change.bases[slot] = int(Base.KNOWN)
    held = dict(totals.mapped)
    evicted = dict.fromkeys(totals.columns, 0)
    totals.mapped.clear()
    for slot in held.values():
        doubt = totals.doubts.get(slot, {})
        for name, column in totals.columns.items():
            pending = column.total[slot] - column.settled[slot] - doubt.get(name, 0)
            left_out[name] += doubt.get(name, 0)
            evicted[name] += column.total[slot] - pending
            change.values.append((slot, name, pending, 0))

    def begin() -> None:
        totals.mapped.update(held)
        totals.doubts.clear()
        totals.folds.clear()  # what of them was applied, the old writer's rows hold
        totals.forgets = False

    rewrite(totals, change, evicted, begin, must=False)
    return left_out


def withdraw(totals: Totals, slot: int, deltas: Mapping[str, int], change: Change) -> None:
    """Take refused deltas out of an exact row's totals: nothing of them is stored, and nothing may be later."""
    with unmapped(totals, slot):
        for name, delta in deltas.items():
            column = totals.columns[name]
            change.values.append((slot, name, column.total[slot] - delta, column.settled[slot]))
        rewrite(totals, change, deltas, must=False)


def keep_copies(totals: Totals) -> None:
    """Hold what there is in plain memory, for whoever looks at it once the ledger is closed."""
    end = rounded(len(totals.keys))
    for column in totals.columns.values():
        column.total = memoryview(bytearray(column.total[:end])).cast("q")
        column.settled = memoryview(bytearray(column.settled[:end])).cast("q")
        column.sent = None
    totals.capacity = end
