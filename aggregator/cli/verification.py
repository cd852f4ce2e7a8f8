"""
``replay --verify``: what each touched row gained must be what was counted for it.

Rules that live here: a row is read before its first increment of this run and again after the last flush; a row that
does not exist counts 0. Another program that writes the same rows meanwhile makes the comparison fail.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from typing import Any

from coodie.sync import CounterDocument

KEYS_PER_READ = 100  # what ScyllaDB allows in one IN by default
CONSISTENCY = "LOCAL_QUORUM"  # as the writes: a read that answers from one replica may miss them


class Verification:
    """Read totals before and after a run and compare; ``announce`` may be called from several threads."""

    def __init__(self, model: type[CounterDocument]) -> None:
        self._model: Any = model
        self._before: dict[str, int] = {}
        self._lock = threading.Lock()

    def announce(self, urls: set[str]) -> None:
        """Read the rows that are seen for the first time; a url may be incremented once this has returned."""
        # Another thread may be about to increment the same url: it waits here until the row has been read.
        with self._lock:
            new = urls - self._before.keys()
            self._before |= self._totals(new)

    def differences(self, counted: Mapping[str, int]) -> dict[str, tuple[int, int]]:
        """Return the urls whose row gained something else than was counted: url -> (gained, counted)."""
        after = self._totals(counted.keys())
        pairs = {url: (after[url] - self._before[url], count) for url, count in counted.items()}
        return {url: pair for url, pair in pairs.items() if pair[0] != pair[1]}

    def _totals(self, urls: Collection[str]) -> dict[str, int]:
        """Read the totals of rows, 0 where there is none."""
        wanted = list(urls)
        totals = dict.fromkeys(wanted, 0)
        for first in range(0, len(wanted), KEYS_PER_READ):
            rows = self._model.find(url__in=wanted[first : first + KEYS_PER_READ]).consistency(CONSISTENCY)
            totals.update((row.url, row.views) for row in rows.all())
        return totals
