"""Flushes: what is written, what each outcome does, what is parked, refused and resolved."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from aggregator import Aggregator, LifecycleError
from coodie.testing import Fault
from tests.support.models import AsyncPageHits, PageHits
from tests.unit.aggregator.conftest import Store, identity


def quiet(**options: Any) -> Aggregator:
    """Return an aggregator that flushes only when told to."""
    return Aggregator(**({"flush_interval": None} | options))


def test_one_statement_per_row_whatever_the_number_of_hits(store: Store) -> None:
    with quiet() as aggregator:
        for number in range(1000):
            PageHits(url=f"/{number % 7}").increment(views=1)
        result = aggregator.flush()
    assert (result.applied, result.rows, result.statements, result.remaining) == (1000, 7, 7, 0)
    assert sum(row["views"] for row in store.stored().values()) == 1000


def test_both_faces_of_a_table_merge(store: Store) -> None:
    with quiet() as aggregator:
        PageHits(url="/").increment(views=1)
        AsyncPageHits(url="/").increment(views=2)
        assert aggregator.pending(PageHits, url="/") == aggregator.pending(AsyncPageHits, url="/") == {"views": 3}
        assert aggregator.flush().statements == 1


def test_a_row_that_comes_back_to_zero_costs_no_statement(store: Store) -> None:
    with quiet() as aggregator:
        PageHits(url="/").increment(views=3)
        PageHits(url="/").decrement(views=3)
        assert aggregator.flush().statements == 0
        assert aggregator.stats().accepted == 0


def test_only_the_columns_that_gained_are_written(store: Store) -> None:
    with quiet() as aggregator:
        PageHits(url="/").increment(views=1, unique_visitors=0)
        aggregator.flush()
    assert [statement.shape.columns for statement in store.statements] == [("views",)]


def test_not_applied_stays_pending_and_is_written_once_later(store: Store) -> None:
    faults = iter([Fault.NOT_SENT])
    store.faults = lambda _statement: next(faults, Fault.NONE)
    with quiet() as aggregator:
        PageHits(url="/").increment(views=5)
        first = aggregator.flush()
        assert (first.applied, first.requeued, first.remaining) == (0, 5, 5)
        assert aggregator.stats().state == "backing_off"
        assert aggregator.flush().applied == 5
        assert aggregator.stats().state == "ok"
    assert store.stored() == {"/": {"views": 5}}


@pytest.mark.parametrize("fault", [Fault.REPLY_LOST, Fault.TIMED_OUT])
def test_an_unknown_outcome_is_parked_and_never_sent_again(store: Store, fault: Fault) -> None:
    faults = iter([fault])
    store.faults = lambda _statement: next(faults, Fault.NONE)
    with quiet() as aggregator:
        PageHits(url="/").increment(views=5)
        assert aggregator.flush().unknown == 5
        assert aggregator.flush().statements == 0
        (item,) = aggregator.unknown()
        assert (item.table, item.key, item.deltas, item.times) == ("page_hits", {"url": "/"}, {"views": 5}, 1)
        assert item.at.tzinfo is not None
        stats = aggregator.stats()
        assert identity(stats)
        assert (stats.unknown, stats.tables["page_hits"]["views"].unknown_positive) == (5, 5)
    assert store.stored() == ({"/": {"views": 5}} if fault is Fault.REPLY_LOST else {})


@pytest.mark.parametrize(("apply", "expected"), [(True, {"/": {"views": 5}}), (False, {})])
def test_an_unknown_item_is_resolved_once(store: Store, apply: bool, expected: dict[str, Any]) -> None:
    faults = iter([Fault.TIMED_OUT])
    store.faults = lambda _statement: next(faults, Fault.NONE)
    with quiet() as aggregator:
        PageHits(url="/").increment(views=5)
        aggregator.flush()
        (item,) = aggregator.unknown()
        aggregator.resolve(item, apply)
        assert aggregator.unknown() == []
        assert identity(aggregator.stats())
        with pytest.raises(LifecycleError, match="resolved before"):
            aggregator.resolve(item, apply)
        aggregator.flush()
        stats = aggregator.stats()
        assert (stats.accepted, stats.dropped) == (5, 0 if apply else 5)
    assert store.stored() == expected


@pytest.mark.parametrize(("policy", "stored"), [("drop", {}), ("retry", {"/": {"views": 5}})])
def test_unknown_outcomes_follow_their_policy(store: Store, policy: str, stored: dict[str, Any]) -> None:
    faults = iter([Fault.TIMED_OUT])
    store.faults = lambda _statement: next(faults, Fault.NONE)
    with quiet(on_unknown=policy) as aggregator:
        PageHits(url="/").increment(views=5)
        aggregator.flush()
        assert aggregator.unknown() == []
        assert identity(aggregator.stats())
        aggregator.flush()
    assert store.stored() == stored


def test_a_refused_row_becomes_a_dead_letter_and_the_rest_flows(store: Store) -> None:
    store.faults = lambda statement: Fault.ROW_REFUSED if "/bad" in statement.values else Fault.NONE
    with quiet() as aggregator:
        for url in ("/1", "/bad", "/2"):
            PageHits(url=url).increment(views=1)
        result = aggregator.flush()
        assert (result.applied, result.dropped, result.remaining) == (2, 1, 0)
        (item,) = aggregator.rejected()
        assert (item.key, item.deltas) == ({"url": "/bad"}, {"views": 1})
        assert "row refused" in item.reason
        store.faults = lambda _statement: Fault.NONE
        aggregator.resolve(item, apply=True)
        assert aggregator.flush().applied == 1
        assert identity(aggregator.stats())
    assert store.stored() == {url: {"views": 1} for url in ("/1", "/2", "/bad")}


def test_a_refused_table_is_suspended_and_loses_nothing(store: Store) -> None:
    store.faults = lambda _statement: Fault.TABLE_REFUSED
    with quiet() as aggregator:
        for number in range(100):
            PageHits(url=f"/{number}").increment(views=1)
        result = aggregator.flush()
        assert (result.applied, result.dropped, result.unknown, result.remaining) == (0, 0, 0, 100)
        assert len(store.statements) < 100
        assert aggregator.stats().state == "suspended"
        store.faults = lambda _statement: Fault.NONE
        assert aggregator.flush().applied == 100
        assert aggregator.stats().state == "ok"


def test_a_database_that_is_away_is_not_asked_for_every_row(store: Store) -> None:
    store.faults = lambda _statement: Fault.NOT_SENT
    with quiet() as aggregator:
        for number in range(5000):
            PageHits(url=f"/{number}").increment(views=1)
        result = aggregator.flush()
        assert result.remaining == 5000
        assert len(store.statements) < 200
        store.faults = lambda _statement: Fault.NONE
        assert aggregator.flush().applied == 5000


def test_the_background_flushes_by_itself(store: Store) -> None:
    flushed = threading.Event()
    with Aggregator(flush_interval=0.01, on_flush=lambda _result: flushed.set()):
        PageHits(url="/").increment(views=1)
        assert flushed.wait(10)
    assert store.stored() == {"/": {"views": 1}}


def test_many_dirty_rows_make_a_flush_due(store: Store) -> None:
    flushed = threading.Event()
    with quiet(max_batch_size=10, on_flush=lambda _result: flushed.set()):
        for round_number in range(2):  # the second time the rows are held already
            flushed.clear()
            for number in range(10):
                PageHits(url=f"/{number}").increment(views=1)
            assert flushed.wait(10), round_number


def test_a_callback_that_raises_changes_nothing(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    def explode(_result: object) -> None:
        raise ValueError("from the callback")

    with quiet(on_flush=explode) as aggregator:
        PageHits(url="/").increment(views=1)
        assert aggregator.flush().applied == 1
        assert aggregator.flush().statements == 0
    assert "a callback raised" in caplog.text
    assert store.stored() == {"/": {"views": 1}}


def test_on_error_gets_the_error_itself(store: Store) -> None:
    seen: list[BaseException] = []
    faults = iter([Fault.TIMED_OUT])
    store.faults = lambda _statement: next(faults, Fault.NONE)
    with quiet(on_error=seen.append) as aggregator:
        PageHits(url="/").increment(views=1)
        aggregator.flush()
    assert [type(error).__name__ for error in seen] == ["MaybeApplied"]


def test_a_callback_may_increment_but_not_wait_for_a_flush(store: Store) -> None:
    seen: list[BaseException] = []

    def callback(_result: object) -> None:
        PageHits(url="/from-callback").increment(views=1)
        try:
            aggregator.flush()
        except LifecycleError as error:
            seen.append(error)

    with quiet(on_flush=callback) as aggregator:
        PageHits(url="/").increment(views=1)
        aggregator.flush()
        assert aggregator.pending(PageHits, url="/from-callback") == {"views": 1}
    assert "inside a callback" in str(seen[0])


def test_a_driver_with_a_bug_leaves_what_it_held_unknown(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(work: Any, limit: int, settle: Any) -> None:
        next(iter(work))
        raise ZeroDivisionError

    with quiet() as aggregator:
        for number in range(3):
            PageHits(url=f"/{number}").increment(views=1)
        monkeypatch.setattr(store.driver, "execute_many", broken)
        result = aggregator.flush()
        assert (result.unknown, result.requeued, result.remaining) == (1, 2, 2)
        assert identity(aggregator.stats())
        monkeypatch.undo()


def test_every_call_is_counted_whatever_road_it_took(store: Store) -> None:
    with quiet(max_keys=3) as aggregator:
        for number in range(40):
            page = PageHits(url=f"/{number % 4}")
            page.increment(views=1)
            page.increment(views=7)
            page.increment(views=1, unique_visitors=1)
            page.decrement(unique_visitors=1)
            page.decrement(views=2)
            with aggregator.request():
                page.increment(views=1)
                page.increment(views=-3)
            if number % 10 == 0:
                aggregator.flush()
        assert aggregator.stats().increments == 40 * 7
        aggregator.flush()
        assert aggregator.stats().increments == 40 * 7
