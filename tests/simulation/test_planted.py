"""The simulation can fail: each fault that is planted in the product here is found by one of a few hundred seeds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aggregator.core import eviction
from aggregator.core.settlement import RowFate, _Rows
from aggregator.flusher import stream
from aggregator.journal import recovery
from aggregator.journal.ledger import Journal, JournalLedger
from coodie.statement import Fate
from tests.simulation.database import Violation
from tests.simulation.ending import play
from tests.simulation.patches import Theatre

SEEDS = 600


def unknown_is_applied_on_exact_tables(patch: pytest.MonkeyPatch) -> None:
    settles = _Rows.settles

    def planted(rows: _Rows, position: int, deltas: dict[str, int], failure: Any) -> bool:
        if rows._held.is_exact and failure.fate is RowFate.UNKNOWN:
            rows.apply(deltas)
            return True
        return settles(rows, position, deltas, failure)

    patch.setattr(_Rows, "settles", planted)


def unknown_is_sent_again_on_native_tables(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(stream.FATES, Fate.UNKNOWN, RowFate.NOT_APPLIED)


def recovery_ignores_what_was_sent(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(recovery, "_sent", lambda held, start: None)


def evicted_rows_are_not_read_again(patch: pytest.MonkeyPatch) -> None:
    free = eviction._free

    def planted(totals: Any, chosen: Any) -> None:
        free(totals, chosen)
        totals.forgets = False

    patch.setattr(eviction, "_free", planted)


def timestamps_follow_the_wall_clock_back(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Journal, "stamp", lambda journal, now_us: now_us)


def keys_are_mapped_before_they_are_told(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(JournalLedger, "keeps", False)


def the_log_is_rewritten_while_memory_lags(patch: pytest.MonkeyPatch) -> None:
    append = Journal.append

    def planted(journal: Journal, *change: Any) -> None:
        append(journal, *change)
        journal.compact_if_due()

    patch.setattr(Journal, "append", planted)


@pytest.mark.parametrize(
    "plant",
    [
        unknown_is_applied_on_exact_tables,
        unknown_is_sent_again_on_native_tables,
        recovery_ignores_what_was_sent,
        evicted_rows_are_not_read_again,
        timestamps_follow_the_wall_clock_back,
        keys_are_mapped_before_they_are_told,
        the_log_is_rewritten_while_memory_lags,
    ],
)
def test_a_planted_fault_is_found(
    theatre: Theatre, monkeypatch: pytest.MonkeyPatch, plant: Callable[[pytest.MonkeyPatch], None]
) -> None:
    plant(monkeypatch)
    with pytest.raises(Violation, match=r"(?s)^seed \d+: .*replay: "):
        for seed in range(SEEDS):
            play(theatre, seed)


def test_a_seed_is_one_history(theatre: Theatre) -> None:
    assert _history(theatre, 7) == _history(theatre, 7) != _history(theatre, 8)


def _history(theatre: Theatre, seed: int) -> list[str]:
    play(theatre, seed)
    # Writers have random names.
    return [line.partition("host/")[0] for line in theatre.stage.history]
