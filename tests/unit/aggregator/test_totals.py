"""Rows of one table: watermarks, eviction, closing, and what a concurrent writer may meet."""

from __future__ import annotations

import pytest

from aggregator.core import eviction, rewriting
from aggregator.core.ledger import Volatile
from aggregator.core.taken import CHUNK, INT64_MAX
from aggregator.core.totals import Gain, Totals
from aggregator.memory import anonymous


@pytest.fixture
def totals() -> Totals:
    return Totals("hits", ("views", "likes"), 2 * CHUNK, Volatile(2 * CHUNK, anonymous))


def add(totals: Totals, key: object, **deltas: int) -> int:
    slot = totals.map(key)
    assert slot is not None
    assert totals.gain(slot, deltas) is Gain.ADDED
    return slot


def test_take_returns_what_each_row_gained_and_nothing_else(totals: Totals) -> None:
    add(totals, "a", views=3)
    add(totals, "b", views=1, likes=-2)
    totals.map("c")
    taken = totals.take(0)
    assert taken is not None
    assert (taken.keys, taken.gains) == (["a", "b"], {"views": [3, 1], "likes": [0, -2]})
    assert [taken.deltas(0), taken.deltas(1)] == [{"views": 3}, {"views": 1, "likes": -2}]
    assert taken.sums() == {"views": 4, "likes": -2}


def test_what_comes_during_a_flight_stays_pending(totals: Totals) -> None:
    slot = add(totals, "a", views=3)
    taken = totals.take(0)
    assert taken is not None
    add(totals, "a", views=4)
    assert totals.pending_of(slot) == {"views": 7}
    totals.settle_all(taken)
    assert totals.pending_of(slot) == {"views": 4}


def test_a_chunk_in_flight_is_not_taken_again(totals: Totals) -> None:
    add(totals, "a", views=3)
    assert totals.take(0) is not None
    add(totals, "a", views=3)
    assert totals.take(0) is None


def test_rows_kept_pending_keep_their_watermark(totals: Totals) -> None:
    first, second = add(totals, "a", views=3), add(totals, "b", views=5)
    taken = totals.take(0)
    assert taken is not None
    totals.settle_rows(taken, keep_pending={second})
    assert (totals.pending_of(first), totals.pending_of(second)) == ({}, {"views": 5})


def test_eviction_frees_clean_rows_only_and_keeps_their_sum_in_the_books(totals: Totals) -> None:
    clean, dirty = add(totals, "clean", views=3), add(totals, "dirty", views=5)
    taken = totals.take(0)
    assert taken is not None
    totals.settle_rows(taken, keep_pending={dirty})
    assert eviction.evict(totals, 10) == 1
    assert set(totals.slots) == {"dirty"}
    assert totals.columns["views"].evicted == 3
    assert totals.map("new") == clean


def test_eviction_leaves_a_chunk_in_flight_alone(totals: Totals) -> None:
    add(totals, "clean", views=3)
    taken = totals.take(0)
    assert taken is not None
    totals.settle_all(taken)
    add(totals, "dirty", views=1)
    assert totals.take(0) is not None
    assert eviction.evict(totals, 10) == 0


def test_a_pending_sum_beyond_64_bits_is_refused_whole(totals: Totals) -> None:
    slot = add(totals, "a", views=INT64_MAX, likes=1)
    assert totals.gain(slot, {"likes": 1, "views": 1}) is Gain.OVERFLOW
    assert totals.pending_of(slot) == {"views": INT64_MAX, "likes": 1}


def test_a_total_beyond_64_bits_is_shifted_down_when_its_pending_sum_fits(totals: Totals) -> None:
    slot = add(totals, "a", views=INT64_MAX)
    taken = totals.take(0)
    assert taken is not None
    totals.settle_all(taken)
    assert rewriting.gain(totals, slot, {"views": 7}) is Gain.ADDED
    assert totals.pending_of(slot) == {"views": 7}
    total, settled = totals.sums("views")
    assert totals.columns["views"].evicted + total == INT64_MAX + 7
    assert total - settled == 7


def test_a_shift_waits_while_the_chunk_is_in_flight(totals: Totals) -> None:
    slot = add(totals, "a", views=INT64_MAX)
    first = totals.take(0)
    assert first is not None
    totals.settle_all(first)
    add(totals, "b", views=1)
    assert totals.take(0) is not None
    assert rewriting.gain(totals, slot, {"views": 7}) is Gain.LATER


def test_a_pending_sum_that_crept_beyond_64_bits_is_taken_in_two(totals: Totals) -> None:
    slot = add(totals, "a", views=-(2**62))
    first = totals.take(0)
    assert first is not None
    totals.settle_all(first)
    totals.columns["views"].total[slot] = (
        2**62 + 5
    )  # what the fast road allows: the total fits, the pending sum does not
    second = totals.take(0)
    assert second is not None
    assert (second.keys, second.gains) == (["a"], {"views": [INT64_MAX], "likes": [0]})
    totals.settle_all(second)
    assert totals.pending_of(slot) == {"views": 6}


def test_capacity_is_a_bound_not_an_error(totals: Totals) -> None:
    for number in range(totals.capacity):
        assert totals.map(number) == number
    assert totals.map("one more") is None


def test_closing_unmaps_every_writer_and_keeps_what_is_pending(totals: Totals) -> None:
    held_by_a_writer = totals.slots
    slot = add(totals, "a", views=3)
    totals.close()
    assert held_by_a_writer == {}
    assert totals.slot_of("a") == slot
    taken = totals.take(0)
    assert taken is not None
    assert taken.sums() == {"views": 3, "likes": 0}
    totals.map("late")
    assert held_by_a_writer == {}


def test_a_column_added_later_begins_at_zero(totals: Totals) -> None:
    slot = add(totals, "a", views=3)
    totals.add_column("shares")
    assert totals.gain(slot, {"shares": 2}) is Gain.ADDED
    assert totals.pending_of(slot) == {"views": 3, "shares": 2}
