"""
Letting rows go: clean ones to make room, or all of a table.

Rules that live here: unmap first, as in ``rewriting``; a row that a fold has marked stays. Every function is called
under the buffer's lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from aggregator.core.handed import is_on_its_way
from aggregator.core.ledger import Change
from aggregator.core.rewriting import rewrite
from aggregator.core.taken import CHUNK, Base, Key
from aggregator.core.totals import Totals
from aggregator.exceptions import JournalError


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
        with totals.ledger.steady():
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
    return is_settled and totals.bases[slot] != Base.DOUBTFUL and not is_on_its_way(totals, slot)


def _free(totals: Totals, chosen: Mapping[int, Key]) -> None:
    """Let unmapped clean rows go."""
    if not chosen:
        return
    change = Change(keys=dict.fromkeys(chosen), forgets=totals.is_exact)
    change.values = [(slot, name, 0, 0) for slot in chosen for name in totals.columns]
    evicted = {name: sum(column.total[slot] for slot in chosen) for name, column in totals.columns.items()}
    rewrite(totals, change, evicted, _emptying(totals, chosen, forgets=totals.forgets or totals.is_exact))


def _emptying(totals: Totals, slots: Iterable[int], *, forgets: bool) -> Callable[[], None]:
    """Return what gives slots free; it may be called twice."""
    free = [*totals.free, *slots]

    def empty() -> None:
        totals.forgets = forgets
        for slot in slots:
            totals.keys[slot] = None
            totals.bases[slot] = Base.KNOWN
        totals.free = free

    return empty


def forget(totals: Totals, change: Change) -> dict[str, int]:
    """Let every row go, whatever it holds, and return the units that were pending; a new writer begins."""
    totals.mapped.clear()
    held = {slot: key for slot, key in enumerate(totals.keys) if key is not None}
    sums = {name: totals.sums(name) for name in totals.columns}
    change.keys.update(dict.fromkeys(held))
    change.values += [(slot, name, 0, 0) for slot in held for name in totals.columns]
    evicted = {name: total for name, (total, _settled) in sums.items()}
    rewrite(totals, change, evicted, _emptying(totals, held, forgets=False), must=False)
    totals.folds.clear()
    return {name: total - settled for name, (total, settled) in sums.items()}
