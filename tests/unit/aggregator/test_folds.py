"""Rows that a fold has marked: nobody else writes them, lets them go, or reads them anew; the account does not move."""

from __future__ import annotations

from typing import Any

import pytest

from aggregator.core import eviction, folds, rewriting
from aggregator.core.held import Held, is_clean
from aggregator.core.ledger import Volatile
from aggregator.core.records import ColumnStats
from aggregator.core.taken import CHUNK, INT64_MAX, Base, Fold
from aggregator.memory import anonymous
from tests.support.writers import hits

FOLD = Fold("host/1/abc", 501)


@pytest.fixture
def held() -> Held:
    """Give a table with two clean rows, ``a`` and ``b``, and one that has something to be written, ``c``."""
    made = Held("default", hits(), ("views", "likes"), CHUNK, Volatile(CHUNK, anonymous, lambda: "host/0/new"))
    made.writer = "host/0/old"
    for key, views in (("a", 5), ("b", 7)):
        made.totals.gain(made.totals.map(key) or 0, {"views": views})
    taken = made.take(0, 100)
    assert taken is not None
    made.settle_applied(taken)
    made.totals.gain(made.totals.map("c") or 0, {"views": 1})
    return made


def account(held: Held) -> ColumnStats:
    found = held.account("views")
    parts = found.applied + found.pending + found.in_flight + found.unknown + found.dropped
    assert found.accepted == parts
    return found


def begin(held: Held, key: Any, **amounts: int) -> None:
    folds.begin(held.totals, {held.totals.slots[key]: (FOLD, amounts)})


def test_what_is_folded_in_is_no_increment_of_ours(held: Held) -> None:
    before = account(held)
    begin(held, "a", views=100, likes=-2)
    assert account(held) == before
    assert [column.total[held.totals.slots["a"]] for column in held.totals.columns.values()] == [105, -2]
    assert not is_clean(held)


def test_a_marked_row_is_taken_by_the_fold_alone(held: Held) -> None:
    begin(held, "a", views=100)
    held.totals.gain(held.totals.slots["a"], {"views": 3})
    taken = held.take(0, 200)
    assert taken is not None
    assert taken.keys == ["c"]
    assert folds.take(held.totals, 0, 10) is None  # the chunk is in flight
    held.settle_applied(taken)
    marked = folds.take(held.totals, 0, 10)
    assert marked is not None
    assert (marked.keys, marked.gains["views"], marked.copies["views"][0]) == (["a"], [3], 108)
    assert held.take(0, 300) is None


def test_only_so_many_marked_rows_are_taken(held: Held) -> None:
    begin(held, "a", views=1)
    begin(held, "b", views=1)
    taken = folds.take(held.totals, 0, 1)
    assert taken is not None
    assert taken.keys == ["a"]


def test_a_marked_row_is_not_let_go(held: Held) -> None:
    """It looks clean, and its own total is in the journal alone."""
    begin(held, "a", views=100)
    assert eviction.evict(held.totals, 10) == 1
    assert set(held.totals.slots) == {"a", "c"}


def test_a_marked_row_is_not_read_again(held: Held) -> None:
    held.totals.forgets = True
    begin(held, "a", views=100)
    held.totals.gain(held.totals.slots["a"], {"views": 3})
    held.totals.bases[held.totals.slots["c"]] = Base.UNREAD
    assert rewriting.unread(held.totals, 0) == [held.totals.slots["c"]]


def test_a_marked_row_that_was_compared_is_marked_still(held: Held) -> None:
    begin(held, "a", views=100)
    held.totals.bases[0] = Base.CHECK
    assert rewriting.set_base(held.totals, 0, {"views": 5})
    assert held.totals.bases[0] == Base.FOLDING
    assert held.totals.columns["views"].total[0] == 105


def test_once_applied_it_is_a_row_like_any_other(held: Held) -> None:
    begin(held, "a", views=100)
    folds.end(held.totals, [held.totals.slots["a"]])
    assert not held.totals.folds
    held.totals.gain(held.totals.slots["a"], {"views": 3})
    taken = held.take(0, 200)
    assert taken is not None
    assert taken.keys == ["a", "c"]
    assert taken.copies["views"][0] == 108


@pytest.mark.parametrize("amount", [INT64_MAX, INT64_MAX - 4])
def test_a_sum_beyond_64_bits_does_not_fit(held: Held, amount: int) -> None:
    assert not folds.fits(held.totals, 0, {"views": amount})
    assert folds.fits(held.totals, 0, {"views": INT64_MAX - 5, "likes": -(2**63)})


def test_a_new_writer_has_nothing_of_what_the_old_one_folded_in(held: Held) -> None:
    begin(held, "a", views=100)
    held.totals.gain(held.totals.slots["a"], {"views": 3})
    before = account(held)
    held.begin_writer()
    assert account(held) == before
    assert not held.totals.folds
    assert held.totals.columns["views"].total[0] == 3
    assert held.totals.bases[0] == Base.KNOWN


def test_a_retired_writer_leaves_its_name_and_no_row(held: Held) -> None:
    held.settle_applied(held.take(0, 200))  # type: ignore[arg-type]  # c is to be written, so it is not None
    before = account(held)
    held.forget(retire=True)
    assert account(held) == before
    assert (held.retired, held.writer, len(held.totals)) == (["host/0/old"], "host/0/new", 0)
