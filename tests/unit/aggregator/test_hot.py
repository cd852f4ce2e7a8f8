"""The sketch of the hottest rows."""

from __future__ import annotations

from aggregator.core.hot import HotRows


def test_the_hottest_rows_come_first() -> None:
    hot = HotRows(capacity=10)
    hot.feed([("a", 1), ("b", 5), ("a", 1)])
    assert hot.top() == [("b", 5), ("a", 2)]


def test_memory_is_bounded_and_heavy_rows_survive() -> None:
    hot = HotRows(capacity=50)
    for number in range(20_000):
        hot.feed([(f"cold{number}", 1), ("heavy", 3)])
    assert len(hot.top()) <= 100
    assert hot.top()[0][0] == "heavy"
    assert hot.top()[0][1] == 60_000


def test_a_row_that_went_cold_is_forgotten_after_two_windows() -> None:
    hot = HotRows()
    hot.feed([("old", 100)])
    hot.turn()
    hot.feed([("new", 1)])
    assert hot.top() == [("old", 100), ("new", 1)]
    hot.turn()
    assert hot.top() == [("new", 1)]
