"""Parked deltas merge per row and are resolved once, for what was shown."""

from __future__ import annotations

from datetime import UTC, datetime

from aggregator.core.parked import Parked

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_entries_of_a_row_merge() -> None:
    parked = Parked()
    parked.add("/", {"views": 3}, NOW, "first")
    parked.add("/", {"views": -1, "likes": 2}, datetime(2026, 1, 2, tzinfo=UTC), "second")
    entry = parked.entries["/"]
    assert (entry.deltas, entry.at, entry.times, entry.reason) == ({"views": 2, "likes": 2}, NOW, 2, "second")


def test_resolving_gives_back_both_sides() -> None:
    parked = Parked()
    parked.add("/", {"views": 3}, NOW, "")
    parked.add("/", {"views": -3}, NOW, "")
    entry = parked.entries["/"]
    assert parked.remove("/", {}, entry.version) == ({"views": 3}, {"views": -3})
    assert len(parked) == 0


def test_what_was_merged_in_after_it_was_shown_stays() -> None:
    parked = Parked()
    parked.add("/", {"views": 3}, NOW, "")
    shown = parked.entries["/"].version
    parked.add("/", {"views": 4}, NOW, "")
    assert parked.remove("/", {"views": 3}, shown) == ({"views": 3}, {})
    assert parked.entries["/"].deltas == {"views": 4}


def test_resolving_twice_is_told() -> None:
    parked = Parked()
    parked.add("/", {"views": 3}, NOW, "")
    shown = parked.entries["/"].version
    parked.add("/", {"views": 4}, NOW, "")
    parked.remove("/", {"views": 3}, shown)
    assert parked.remove("/", {"views": 3}, shown) is None
    newest = parked.entries["/"].version
    assert parked.remove("/", {"views": 4}, newest) == ({"views": 4}, {})
    assert parked.remove("/", {"views": 4}, newest) is None


def test_a_row_parked_anew_is_another_entry() -> None:
    parked = Parked()
    parked.add("/", {"views": 3}, NOW, "")
    old = parked.entries["/"].version
    parked.remove("/", {"views": 3}, old)
    parked.add("/", {"views": 5}, NOW, "")
    assert parked.remove("/", {"views": 3}, old) is None
    assert parked.entries["/"].deltas == {"views": 5}


def test_dead_letters_are_bounded_and_the_oldest_goes() -> None:
    parked = Parked(most=3)
    for number in range(5):
        parked.add(number, {"views": 1}, NOW, "")
    assert list(parked.entries) == [2, 3, 4]
