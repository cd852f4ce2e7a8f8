"""
What this writer has stored in rows that it had let go: read once, before their totals are written again.

Rules that live here:

* A row that was evicted and is touched again has collected a delta; its total is that and what the own row holds. The
  own row is read at the consistency of the writes, before anything of it is sent.
* An own row with a timestamp later than any we gave out was written by somebody who is us: a copied or rolled-back
  journal. Then this writer's id is given up, and a new one begins.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any

from aggregator.core import rewriting
from aggregator.core.taken import CHUNK, Base, Key
from aggregator.flusher.asking import Asking
from coodie.plans import exact
from coodie.run import run

if TYPE_CHECKING:
    from aggregator.config import Options
    from aggregator.core.buffer import Buffer
    from aggregator.core.held import Held

log = logging.getLogger("aggregator")

Found = dict[str, tuple[int, int]]
READERS = 16
"""Own rows read at once."""


class Bases:
    """Read the own rows that a flush of one table needs."""

    def __init__(self, buffer: Buffer, driver: Any, options: Options, is_late: Callable[[], bool]) -> None:
        self._buffer = buffer
        self._driver = driver
        self._asking: Any = Asking(driver)
        self._options = options
        self._is_late = is_late

    def read(self, held: Held) -> None:
        """Read what is missing, as far as time allows; rows without a base are left out of the flush."""
        if not held.totals.forgets:
            return
        rows = self._missing(held)
        while (some := list(islice(rows, 1024))) and not self._is_late():
            if not self.read_rows(held, some):
                return

    def read_rows(self, held: Held, rows: list[tuple[int, Key]]) -> bool:
        """Read the own rows of these slots; False: the writer is not ours alone, and a new one has begun."""
        found = self._found(held, [key for _slot, key in rows])
        return all(self._laid(held, slot, key, own) for (slot, key), own in zip(rows, found, strict=True))

    def _missing(self, held: Held) -> Iterator[tuple[int, Key]]:
        for start in range(0, len(held.totals.keys), CHUNK):
            with self._buffer.lock:
                found = [(slot, held.totals.keys[slot]) for slot in rewriting.unread(held.totals, start)]
            yield from found

    def _found(self, held: Held, keys: list[Key]) -> Iterator[Found]:
        """Read own rows, several at once where threads can be had (not while the interpreter ends)."""
        if self._driver.needs_keyspace and len(keys) > 1:
            try:
                with ThreadPoolExecutor(READERS, thread_name_prefix="aggregator-reader") as pool:
                    return iter(list(pool.map(lambda key: self._own(held, key), keys)))
            except RuntimeError as error:
                log.debug("own rows are read one by one: %s", error)
        return (self._own(held, key) for key in keys)

    def _own(self, held: Held, key: Key) -> Found:
        values = key if len(held.table.primary_key) > 1 else (key,)
        plan = exact.own_row(held.table, values, held.writer or "", consistency=self._options.consistency)
        found: Found = run(plan, self._asking)
        return found

    @staticmethod
    def _latest(held: Held, slot: int) -> int:
        """Return the latest timestamp with which we can have written a row, as far as our journal knows."""
        is_doubted = held.totals.bases[slot] == Base.CHECK or slot in held.totals.doubts
        return (held.ledger.old_stamp() if is_doubted else 0) or held.ledger.last_stamp()

    def _laid(self, held: Held, slot: int, key: Key, found: Found) -> bool:
        """Lay what was found under a row; False: the writer is not ours alone, and a new one has begun."""
        with self._buffer.lock:
            if held.totals.keys[slot] != key:  # evicted meanwhile
                return True
            if any(written > self._latest(held, slot) for _total, written in found.values()):
                held.begin_writer()
                log.error(
                    "%s: the database holds later writes of this writer than its journal knows: the journal is a copy, "
                    "or older than the database. Stored totals stay as they are; a new writer begins",
                    held.name,
                )
                return False
            if not rewriting.set_base(held.totals, slot, {name: total for name, (total, _at) in found.items()}):
                log.error("%s: a row's total would leave 64 bits; its deltas stay pending", held.name)
            return True
