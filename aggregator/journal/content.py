"""
What a log that is written anew tells of a table, and slots that no log names.

Rules that live here: all there is to know of the table but for its arrays; what no key names holds nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from aggregator.core.ledger import Change
from aggregator.core.taken import CHUNK
from aggregator.journal.records import encode, payloads_of

if TYPE_CHECKING:
    from aggregator.journal.ledger import JournalLedger


def held_payloads(ledger: JournalLedger) -> Iterator[bytes]:
    """Yield the records that tell all there is to know of the table, but for its arrays."""
    yield encode(ledger.record)
    held, number = ledger.held, ledger.record.number
    if held is None:
        return
    totals = held.totals
    retired = held.retired or None
    yield from payloads_of(number, Change(writer=held.writer, forgets=totals.forgets, retired=retired))
    for start in range(0, len(totals.keys), CHUNK):
        keys = {start + at: key for at, key in enumerate(totals.keys[start : start + CHUNK]) if key is not None}
        bases = {slot: totals.bases[slot] for slot in keys} if held.is_exact else {}
        yield from payloads_of(number, Change(keys=keys, bases=bases))
    for key in [*held.late, *held.unknown.entries, *held.rejected.entries]:
        yield from payloads_of(number, held.noted(Change(), late=key, unknown=key, rejected=key))
    yield from payloads_of(number, Change(folds=dict(totals.folds)))
    for start in totals.in_flight:
        if start in ledger.intents:
            yield from payloads_of(number, Change(intent=(start, *ledger.intents[start])))


def clear(view: memoryview[int], start: int, end: int) -> None:
    """Empty slots that no key in the log names: the end of a log that was not synced can be lost with the power."""
    if any(view[start:end]):
        view[start:end] = memoryview(bytes(8 * (end - start))).cast("q")
