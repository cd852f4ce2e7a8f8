"""
Changing what a slot holds other than by adding to it: eviction, shifting, a base that was read, a delta withdrawn.

Rules that live here:

* **Unmap first.** Once a key is out of ``slots`` no writer can reach its slot, and what the slot holds is final; only
  then is it asked for and changed. The key comes back where the row lives on.
* The ledger is told before anything is stored.
* Every function is called under the buffer's lock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from aggregator.core.ledger import Change
from aggregator.core.taken import CHUNK, INT64_MAX, INT64_MIN, Base, Key, rounded
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


def rewrite(totals: Totals, slot: int, change: Change, *, must: bool = True) -> None:
    """Tell the ledger a change of an unmapped slot's values, and store them."""
    (totals.ledger.tell if must else totals.ledger.tell_later)(change)
    totals.ledger.secure()  # or power loss could keep the slot's new values and its old key
    for at, name, total, settled in change.values:
        totals.columns[name].put(at, total, settled)
    totals.ledger.made()


def make_room(totals: Totals, slot: int) -> bool:
    """Shift a native row's totals and watermarks down alike; False: the ledger cannot keep it, nothing was changed."""
    with unmapped(totals, slot):
        columns = totals.columns.values()
        values: list[tuple[int, str, int | None, int]] = [
            (slot, column.name, column.total[slot] - column.settled[slot], 0) for column in columns
        ]
        shifts = {column.name: column.settled[slot] for column in columns}
        try:
            rewrite(totals, slot, Change(values=values))
        except JournalError:
            return False
        for name, shift in shifts.items():
            totals.columns[name].evicted += shift
    return True


def gain(totals: Totals, slot: int, deltas: Mapping[str, int]) -> Gain:
    """Add deltas to a row, making room in its total where that is needed; never ``Gain.ROOM``."""
    _announce(totals, deltas)
    found = totals.gain(slot, deltas)
    if found is Gain.ROOM:
        found = totals.gain(slot, deltas) if make_room(totals, slot) else Gain.LATER
    return Gain.LATER if found is Gain.ROOM else found


def _announce(totals: Totals, deltas: Mapping[str, int]) -> None:
    for delta in deltas.values():
        if not -LARGE < delta < LARGE:
            totals.ledger.expect(abs(delta))


def place(totals: Totals, slot: int, deltas: Mapping[str, int], change: Change) -> bool:
    """Add deltas to a row together with what else a change says; False: they do not fit, or the ledger is full."""
    with unmapped(totals, slot):
        for name, delta in deltas.items():
            column = totals.columns[name]
            total, settled = column.total[slot] + delta, column.settled[slot]
            if not (INT64_MIN <= total <= INT64_MAX and INT64_MIN <= total - settled <= INT64_MAX):
                return False
            change.values.append((slot, name, total, settled))
        if slot // CHUNK * CHUNK in totals.in_flight:  # what is in flight must not look settled
            change.values.clear()
            return False
        _announce(totals, deltas)
        try:
            rewrite(totals, slot, change)
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
        if totals.bases[slot] == Base.UNREAD:
            for name, column in totals.columns.items():
                under = base.get(name, 0)
                total = column.total[slot] - column.settled[slot] + under
                if not INT64_MIN <= total <= INT64_MAX:
                    return False
                values.append((slot, name, total, under))
        shifts = {name: totals.columns[name].total[slot] for _slot, name, _total, _settled in values}
        after = Base.KNOWN
        if totals.keys[slot] in totals.folds:
            after = Base.FOLDING
        elif any(base.get(name, 0) != column.total[slot] for name, column in totals.columns.items()) and not values:
            after = Base.DOUBTFUL  # what is stored is not what we hold: we write, whether something is pending or not
        rewrite(totals, slot, Change(values=values, bases={slot: after}))
        for name, before in shifts.items():
            totals.columns[name].evicted -= totals.columns[name].total[slot] - before
        totals.bases[slot] = after
        totals.doubts.pop(slot, None)
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
    totals.mapped.clear()
    for slot in held.values():
        doubt = totals.doubts.get(slot, {})
        for name, column in totals.columns.items():
            pending = column.total[slot] - column.settled[slot] - doubt.get(name, 0)
            left_out[name] += doubt.get(name, 0)
            column.evicted += column.total[slot] - pending
            change.values.append((slot, name, pending, 0))
    rewrite(totals, -1, change, must=False)
    totals.mapped.update(held)
    totals.doubts.clear()
    totals.folds.clear()  # what of them was applied, the old writer's rows hold
    totals.forgets = False
    return left_out


def withdraw(totals: Totals, slot: int, deltas: Mapping[str, int], change: Change) -> None:
    """Take refused deltas out of an exact row's totals: nothing of them is stored, and nothing may be later."""
    with unmapped(totals, slot):
        for name, delta in deltas.items():
            column = totals.columns[name]
            change.values.append((slot, name, column.total[slot] - delta, column.settled[slot]))
        rewrite(totals, slot, change, must=False)
        for name, delta in deltas.items():
            totals.columns[name].evicted += delta


# --- letting go -------------------------------------------------------------------------------------------------


def evict(totals: Totals, wanted: int) -> int:
    """Free up to ``wanted`` clean rows, going round the chunks; return how many."""
    freed = 0
    chunks = -(-len(totals.keys) // CHUNK)
    for _ in range(chunks):
        start = totals.hand % chunks * CHUNK
        if start not in totals.in_flight:
            freed += _evict_chunk(totals, start, wanted - freed)
        if freed >= wanted:
            break
        totals.hand += 1
    return freed


def _evict_chunk(totals: Totals, start: int, wanted: int) -> int:
    chosen: dict[int, Key] = {}
    for slot in range(start, min(start + CHUNK, len(totals.keys))):
        if len(chosen) >= wanted:
            break
        key = totals.keys[slot]
        if key is None or key in totals.folds or not _is_clean(totals, slot):
            continue
        chosen[slot] = key
    try:
        for slot, key in list(chosen.items()):
            # Unmap first: only then is "clean" a fact that no writer can overtake.
            totals.mapped.pop(key, None)
            if not _is_clean(totals, slot):
                totals.mapped[key] = slot
                del chosen[slot]
        _free(totals, chosen)
    except BaseException as error:  # of the journal, or of a signal handler: rows that were not freed stay
        totals.mapped.update({key: slot for slot, key in chosen.items() if totals.keys[slot] == key})
        if not isinstance(error, JournalError):
            raise
        return 0
    return len(chosen)


def _is_clean(totals: Totals, slot: int) -> bool:
    is_settled = all(column.total[slot] == column.settled[slot] for column in totals.columns.values())
    return is_settled and totals.bases[slot] != Base.DOUBTFUL


def _free(totals: Totals, chosen: Mapping[int, Key]) -> None:
    """Let unmapped clean rows go."""
    if not chosen:
        return
    change = Change(keys=dict.fromkeys(chosen), forgets=totals.is_exact)
    change.values = [(slot, name, 0, 0) for slot in chosen for name in totals.columns]
    before = {name: sum(column.total[slot] for slot in chosen) for name, column in totals.columns.items()}
    rewrite(totals, -1, change)
    totals.forgets = totals.forgets or totals.is_exact
    for name, units in before.items():
        totals.columns[name].evicted += units
    for slot in chosen:
        totals.keys[slot] = None
        totals.free.append(slot)


def forget(totals: Totals, change: Change) -> dict[str, int]:
    """Let every row go, whatever it holds, and return the units that were pending; a new writer begins."""
    totals.mapped.clear()
    held = {slot: key for slot, key in enumerate(totals.keys) if key is not None}
    lost = {name: totals.sums(name) for name in totals.columns}
    change.keys.update(dict.fromkeys(held))
    change.values += [(slot, name, 0, 0) for slot in held for name in totals.columns]
    rewrite(totals, -1, change, must=False)
    for name, (total, _settled) in lost.items():
        totals.columns[name].evicted += total
    for slot in held:
        totals.keys[slot] = None
        totals.bases[slot] = Base.KNOWN
        totals.free.append(slot)
    totals.folds.clear()
    totals.forgets = False
    return {name: total - settled for name, (total, settled) in lost.items()}


def keep_copies(totals: Totals) -> None:
    """Hold what there is in plain memory, for whoever looks at it once the ledger is closed."""
    end = rounded(len(totals.keys))
    for column in totals.columns.values():
        column.total = memoryview(bytearray(column.total[:end])).cast("q")
        column.settled = memoryview(bytearray(column.settled[:end])).cast("q")
        column.sent = None
    totals.capacity = end
