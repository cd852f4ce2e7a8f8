"""Exact tables through a started aggregator: what is refused, set apart, forgotten, written again and written after."""

from __future__ import annotations

import asyncio
import logging
import threading
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import pytest

import coodie.aio
import coodie.sync
from aggregator import Aggregator, BufferFull, ConfigurationError, LifecycleError
from coodie import counters
from coodie.exceptions import CoodieError, InvalidQueryError
from coodie.fields import Counter, PrimaryKey
from coodie.statement import Statement
from coodie.testing import Fault
from tests.support.models import AsyncPageHits, PageHits
from tests.unit.aggregator.conftest import Store, identity
from tests.unit.aggregator.exact import (
    AsyncExactHits,
    DailyHits,
    ExactHits,
    by_writer,
    die,
    narrow,
    put,
    quiet,
    sums,
    writer_of,
)

MAX = 2**63 - 1


def fail(store: Store, *faults: Fault) -> None:
    """Have the next writes meet these faults, and no other."""
    left = iter(faults)
    store.faults = lambda _statement: next(left, Fault.NONE)


def totals(aggregator: Aggregator, url: str = "/") -> tuple[int, int]:
    """Return what this writer has stored in a row."""
    own = by_writer()[writer_of(aggregator)][(url,)]
    return own["views"][0], own["likes"][0]


# --- at the door --------------------------------------------------------------------------------------------------


def test_without_an_aggregator_an_exact_table_is_refused(exact_store: Store) -> None:
    for call in (ExactHits(url="/").increment, ExactHits(url="/").decrement):
        with pytest.raises(ConfigurationError, match="started Aggregator"):
            call(views=1)
    with pytest.raises(ConfigurationError, match="started Aggregator"):
        asyncio.run(_awaited(AsyncExactHits(url="/")))
    assert by_writer() == {}


async def _awaited(page: AsyncExactHits) -> None:
    await page.increment(views=1)


@pytest.mark.parametrize("limit", [MAX, -MAX - 1])
@pytest.mark.parametrize("step", [1, 5, 2**31, MAX])
def test_a_total_that_would_leave_64_bits_is_refused_at_the_door(exact_store: Store, limit: int, step: int) -> None:
    """Also long after the sum before it was written: it is the total that must fit."""
    sign = 1 if limit > 0 else -1
    with quiet() as aggregator:
        page = ExactHits(url="/")
        page.increment(views=limit - sign, likes=sign)
        page.increment(views=sign)
        assert aggregator.flush().applied == limit + sign
        change = page.increment if sign > 0 else page.decrement
        for deltas in ({"views": step}, {"views": step, "likes": 1}, {"likes": 1, "views": step}):
            with pytest.raises(InvalidQueryError, match="writer's total, beyond 64 bits"):
                change(**deltas)
        assert aggregator.pending() == {}
        page.increment(views=-sign)
        assert aggregator.flush().applied == -sign
        assert totals(aggregator) == (limit - sign, sign)
        assert identity(aggregator.stats())


def test_requests_whose_sum_leaves_64_bits_wait_and_are_not_wrapped(exact_store: Store) -> None:
    with quiet(shutdown_timeout=0.2) as aggregator:
        for _ in range(2):
            with aggregator.request():
                ExactHits(url="/").increment(views=MAX)
        aggregator.flush()
        assert (totals(aggregator), aggregator.pending(ExactHits, url="/")) == ((MAX, 0), {"views": MAX})
        ExactHits(url="/").decrement(views=MAX)
        assert aggregator.flush().remaining == 0
        assert identity(aggregator.stats())
        assert totals(aggregator) == (MAX, 0)


def test_a_row_falls_below_zero_and_comes_back(exact_store: Store) -> None:
    with quiet() as aggregator:
        for delta, total in ((-5, -5), (3, -2), (-1, -3), (10, 7)):
            ExactHits(url="/").decrement(views=-delta)
            aggregator.flush()
            assert (totals(aggregator)[0], sums()) == (total, {"/": {"views": total}})


@pytest.mark.parametrize("consistency", ["ONE", "TWO", "LOCAL_ONE"])
def test_a_consistency_below_a_quorum_is_refused_for_exact_tables_alone(exact_store: Store, consistency: str) -> None:
    with quiet(consistency=consistency) as aggregator:
        with pytest.raises(ConfigurationError, match=f"consistency='{consistency}' with the exact table exact_hits"):
            ExactHits(url="/").increment(views=1)
        PageHits(url="/").increment(views=1)
        assert (aggregator.flush().applied, aggregator.stats().accepted) == (1, 1)
    assert by_writer() == {}


@pytest.mark.parametrize("keeps", [True, False])
def test_one_warning_says_what_a_missing_journal_means(
    exact_store: Store, journal: Path, keeps: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with quiet(journal if keeps else None):
        PageHits(url="/").increment(views=1)
        for _ in range(3):
            ExactHits(url="/").increment(views=1)
            DailyHits(site="a", day=1).increment(views=1)
    lines = [record for record in caplog.records if "without a journal" in record.getMessage()]
    assert [record.levelno for record in lines] == ([] if keeps else [logging.WARNING])


def test_a_native_table_under_an_exact_model_is_suspended_and_keeps_everything(exact_store: Store) -> None:
    class Wrong(coodie.sync.CounterDocument):
        url: Annotated[str, PrimaryKey()]
        views: Annotated[int, Counter()]
        unique_visitors: Annotated[int, Counter()]

        class Settings:
            name = "page_hits"
            counters = "exact"

    exact_store.serve_real()
    PageHits.sync_table()
    with quiet(shutdown_timeout=0.2) as aggregator:
        Wrong(url="/").increment(views=1)
        ExactHits(url="/").increment(views=2)
        result = aggregator.flush()
        assert (result.applied, result.remaining, aggregator.stats().state) == (2, 1, "suspended")
        assert "ConfigurationError: Settings.counters of table page_hits is 'exact'" in result.errors[0]
        with pytest.raises(ConfigurationError, match="Settings.counters"):
            Wrong.get(url="/")
    assert PageHits.find_one(url="/") is None


def test_an_exact_table_under_a_native_model_is_suspended_and_keeps_everything(exact_store: Store) -> None:
    class Wrong(coodie.sync.CounterDocument):
        url: Annotated[str, PrimaryKey()]
        views: Annotated[int, Counter()]

        class Settings:
            name = "exact_hits"

    exact_store.serve_real()
    put("somebody", 1, views=7)
    with quiet(shutdown_timeout=0.2) as aggregator:
        Wrong(url="/").increment(views=1)
        result = aggregator.flush()
        assert (result.remaining, aggregator.stats().state) == (1, "suspended")
        assert "one row for each writer" in result.errors[0]
        with pytest.raises(ConfigurationError, match="as 'exact', another model of that table as 'native'"):
            ExactHits(url="/").increment(views=1)
    assert sums() == {"/": {"views": 7}}


# --- outcomes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("on_unknown", ["park", "drop", "retry"])
@pytest.mark.parametrize("fault", [Fault.REPLY_LOST, Fault.TIMED_OUT, Fault.NOT_SENT])
def test_what_has_no_answer_is_written_again_and_stored_once(exact_store: Store, fault: Fault, on_unknown: str) -> None:
    fail(exact_store, fault, fault)
    with quiet(on_unknown=on_unknown) as aggregator:
        ExactHits(url="/").increment(views=5)
        for requeued in (5, 6):
            result = aggregator.flush()
            assert (result.applied, result.requeued, result.unknown, result.dropped) == (0, requeued, 0, 0)
            ExactHits(url="/").increment(views=1)
        assert (aggregator.flush().applied, aggregator.unknown(), identity(aggregator.stats())) == (7, [], True)
    assert sums() == {"/": {"views": 7}}


def test_a_row_that_is_refused_is_withdrawn_from_the_total_and_can_be_put_back(exact_store: Store) -> None:
    with quiet() as aggregator:
        ExactHits(url="/").increment(views=10, likes=1)
        aggregator.flush()
        fail(exact_store, Fault.ROW_REFUSED)
        ExactHits(url="/").increment(views=4, likes=-1)
        result = aggregator.flush()
        assert (result.applied, result.dropped, result.remaining) == (0, 3, 0)
        (item,) = aggregator.rejected()
        assert (item.key, item.deltas) == ({"url": "/"}, {"views": 4, "likes": -1})
        ExactHits(url="/").increment(views=1)
        assert (aggregator.flush().applied, totals(aggregator)) == (1, (11, 1))  # nothing of the refused ones
        assert identity(aggregator.stats())
        aggregator.resolve(item, apply=True)
        assert (aggregator.flush().applied, totals(aggregator), aggregator.rejected()) == (3, (15, 0), [])
        with pytest.raises(LifecycleError, match="resolved before"):
            aggregator.resolve(item, apply=True)
        assert identity(aggregator.stats())


def test_a_refused_table_waits_and_loses_nothing(exact_store: Store) -> None:
    exact_store.faults = lambda statement: (
        Fault.TABLE_REFUSED if statement.shape.table.name == "exact_hits" else Fault.NONE
    )
    with quiet() as aggregator:
        for number in range(50):
            ExactHits(url=f"/{number}").increment(views=1)
            DailyHits(site="a", day=number).increment(views=1)
        assert (aggregator.flush().applied, aggregator.stats().state) == (50, "suspended")
        exact_store.faults = lambda _statement: Fault.NONE
        assert (aggregator.flush().applied, aggregator.stats().state) == (50, "ok")


def test_rows_of_one_partition_go_one_after_the_other_and_columns_all_at_once(exact_store: Store) -> None:
    with quiet() as aggregator:
        for day in range(20):
            for site in "abcde":
                DailyHits(site=site, day=day).increment(views=day + 1)
        ExactHits(url="/").increment(views=3)
        ExactHits(url="/").increment(likes=2)
        assert (result := aggregator.flush()).statements == result.rows == 101
        sites = [statement.values[0] for statement in exact_store.statements if statement.values[0] != "/"]
        assert sites == sorted(sites, key=sites.index)
        assert sum(one != other for one, other in pairwise(sites)) == 4
        assert len({id(statement.shape) for statement in exact_store.statements}) == 2
    assert sums(DailyHits) == {(site, day): {"views": day + 1} for site in "abcde" for day in range(20)}
    assert sums() == {"/": {"views": 3, "likes": 2}}


def test_read_pending_adds_what_is_not_written_to_what_all_writers_have(exact_store: Store) -> None:
    put("somebody", 1, views=7)
    with quiet(read_pending=True) as aggregator:
        ExactHits(url="/").increment(views=2)
        assert (ExactHits.get(url="/").views, aggregator.stats().pending) == (9, 2)
        aggregator.flush()
        assert ExactHits.get(url="/").views == 9
        ExactHits(url="/").decrement(views=4)
        assert ExactHits.get(url="/").views == 5
    assert ExactHits.get(url="/").views == 5


def test_two_models_of_one_table_keep_each_others_columns(exact_store: Store) -> None:
    views, likes = narrow("views"), narrow("likes")
    with quiet() as aggregator:
        for number in range(1, 4):
            views(url="/").increment(views=number)
            aggregator.flush()
            likes(url="/").increment(likes=10 * number)
            aggregator.flush()
        assert (totals(aggregator), len(by_writer()), identity(aggregator.stats())) == ((6, 60), 1, True)


# --- tables that are emptied --------------------------------------------------------------------------------------


@pytest.mark.parametrize("keeps", [True, False])
@pytest.mark.parametrize("how", ["truncate", "drop_table"])
def test_an_emptied_table_begins_a_new_writer_and_drops_what_was_pending(
    exact_store: Store, journal: Path, how: str, keeps: bool
) -> None:
    aggregator = quiet(journal if keeps else None).start()
    ExactHits(url="/").increment(views=10)
    DailyHits(site="a", day=1).increment(views=1)
    aggregator.flush()
    ExactHits(url="/").increment(views=3)
    ExactHits(url="/new").increment(views=4)
    before, others = writer_of(aggregator), writer_of(aggregator, DailyHits)
    getattr(ExactHits, how)()
    ExactHits.sync_table()
    assert writer_of(aggregator) != before
    assert writer_of(aggregator, DailyHits) == others
    stats = aggregator.stats()
    assert (stats.dropped, stats.pending, identity(stats)) == (7, 0, True)
    ExactHits(url="/").increment(views=1)
    if keeps:
        die(aggregator)
        aggregator = quiet(journal).start()
    assert aggregator.flush().applied == 1
    assert sums() == {"/": {"views": 1}}  # nothing of the old totals came back
    aggregator.shutdown()


def test_a_table_that_could_not_be_emptied_goes_on_as_before(
    exact_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with quiet() as aggregator:
        ExactHits(url="/").increment(views=3)
        writer = writer_of(aggregator)

        def refuse(_statement: Statement) -> None:
            raise CoodieError("not today")

        monkeypatch.setattr(exact_store.driver, "submit", refuse)
        with pytest.raises(CoodieError, match="not today"):
            ExactHits.truncate()
        monkeypatch.undo()
        assert (aggregator.flush().applied, writer_of(aggregator)) == (3, writer)


def test_a_table_emptied_while_others_count_never_holds_more_than_came_after(exact_store: Store) -> None:
    stop = threading.Event()
    counted = 0

    def busy() -> None:
        nonlocal counted
        while not stop.is_set():
            ExactHits(url="/").increment(views=1)
            counted += 1

    with Aggregator(flush_interval=0.001) as aggregator:
        thread = threading.Thread(target=busy)
        thread.start()
        for _ in range(5):
            aggregator.flush()
            ExactHits.truncate()
            assert sums().get("/", {}).get("views", 0) <= counted
        stop.set()
        thread.join()
        aggregator.flush()
        stats = aggregator.stats()
        assert (stats.accepted, stats.applied + stats.dropped, identity(stats)) == (counted, counted, True)
    assert len(by_writer()) <= 1


# --- modes, and a buffer that is full -----------------------------------------------------------------------------


def test_mode_direct_writes_this_writers_total_at_each_increment(exact_store: Store) -> None:
    with Aggregator(mode="direct") as aggregator:
        for number in range(1, 4):
            ExactHits(url="/").increment(views=2)
            assert sums() == {"/": {"views": 2 * number}}
        fail(exact_store, Fault.REPLY_LOST)
        ExactHits(url="/").increment(views=1)  # accepted: it does not raise, and is written again
        assert aggregator.flush().remaining == 0
        assert (totals(aggregator), identity(aggregator.stats()), aggregator.stats().accepted) == ((7, 0), True, 7)


def test_mode_direct_on_the_aio_face(exact_store: Store) -> None:
    async def count() -> None:
        async with Aggregator(mode="direct") as aggregator:
            await AsyncExactHits(url="/").increment(views=2)
            AsyncExactHits(url="/").increment(views=1)  # nobody awaits it
            await AsyncExactHits(url="/").increment(likes=1)
            await aggregator.aflush()

    asyncio.run(count())
    assert sums() == {"/": {"views": 3, "likes": 1}}


class Full:
    """An aggregator of ten rows that cannot be written, and so are not let go, until ``release``."""

    def __init__(self, store: Store, when_full: str, **options: Any) -> None:
        self._store = store
        self.aggregator = quiet(max_keys=10, when_full=when_full, **options)

    def __enter__(self) -> Full:
        self._store.faults = lambda statement: Fault.NONE if "/new" in statement.values else Fault.NOT_SENT
        self.aggregator.start()
        for number in range(10):
            ExactHits(url=f"/{number}").increment(views=1)
        return self

    def release(self) -> None:
        self._store.faults = lambda _statement: Fault.NONE

    def __exit__(self, *_error: object) -> None:
        self.release()
        self.aggregator.shutdown()


def test_when_full_raise_accepts_nothing_and_known_rows_go_on(exact_store: Store) -> None:
    with Full(exact_store, "raise") as full:
        with pytest.raises(BufferFull):
            ExactHits(url="/new").increment(views=1)
        ExactHits(url="/3").increment(views=5)
        assert full.aggregator.stats().accepted == 15
    assert sums() == {f"/{n}": {"views": 1 + 5 * (n == 3)} for n in range(10)}


def test_when_full_drop_counts_what_it_refuses(exact_store: Store) -> None:
    with Full(exact_store, "drop") as full:
        ExactHits(url="/new").increment(views=3)
        stats = full.aggregator.stats()
        assert (stats.accepted, stats.dropped, identity(stats)) == (13, 3, True)
    assert "/new" not in sums()


def test_when_full_direct_accepts_beyond_the_bound_and_writes_a_total(exact_store: Store) -> None:
    with Full(exact_store, "direct") as full:
        for number in (3, 4):
            ExactHits(url="/new").increment(views=number)
        stats = full.aggregator.stats()
        assert (stats.accepted, stats.dropped, identity(stats)) == (17, 0, True)
    assert sums() == {f"/{n}": {"views": 1} for n in range(10)} | {"/new": {"views": 7}}


def test_when_full_flush_makes_room_and_reads_what_comes_back(exact_store: Store) -> None:
    with Full(exact_store, "flush") as full:
        full.release()
        for _ in range(3):
            for number in range(100):
                ExactHits(url=f"/{number}").increment(views=1)
        assert identity(full.aggregator.stats())
    assert sums() == {f"/{n}": {"views": 3 + (n < 10)} for n in range(100)}
    assert len(by_writer()) == 1


# --- after shutdown -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keeps", [True, False])
def test_after_shutdown_the_same_writer_goes_on_and_native_tables_are_written_directly(
    exact_store: Store, journal: Path, keeps: bool
) -> None:
    with quiet(journal if keeps else None) as aggregator:
        page = ExactHits(url="/")
        page.increment(views=1)
        PageHits(url="/").increment(views=1)
        writer, method = writer_of(aggregator), page.increment
    method(views=1)
    page.increment(views=1)
    assert sums() == {"/": {"views": 3}}
    ExactHits(url="/new").increment(views=1)
    DailyHits(site="a", day=1).increment(views=1)  # a table it had not met before
    assert list(by_writer()) == [writer]
    assert len(by_writer(DailyHits)) == 1
    exact_store.statements.clear()
    PageHits(url="/").increment(views=1)
    assert [type(statement.shape).__name__ for statement in exact_store.statements] == ["CounterUpdate"]
    assert sums(PageHits) == {"/": {"views": 2}}
    page.reset()
    assert sums() == {"/new": {"views": 1}}
    with quiet(journal if keeps else None) as again:
        page.increment(views=1)
        assert (writer_of(again) == writer) is keeps
        assert identity(again.stats())
    assert sums() == {"/": {"views": 1}, "/new": {"views": 1}}


def test_after_shutdown_the_aio_face_goes_on_too(exact_store: Store, journal: Path) -> None:
    async def count() -> None:
        async with quiet(journal):
            await AsyncExactHits(url="/").increment(views=1)
        await AsyncExactHits(url="/").increment(views=1)
        AsyncExactHits(url="/").increment(views=1)
        await AsyncPageHits(url="/").increment(views=1)
        await AsyncExactHits(url="/").increment(likes=1)

    asyncio.run(count())
    assert (sums(), sums(PageHits), len(by_writer())) == (
        {"/": {"views": 3, "likes": 1}},
        {"/": {"views": 1}},
        1,
    )


def test_what_comes_after_shutdown_and_cannot_be_written_is_in_the_journal(exact_store: Store, journal: Path) -> None:
    with quiet(journal):
        ExactHits(url="/").increment(views=1)
    exact_store.faults = lambda _statement: Fault.NOT_SENT
    ExactHits(url="/").increment(views=2)
    ExactHits(url="/new").increment(views=4)
    exact_store.faults = lambda _statement: Fault.NONE
    with quiet(journal) as again:
        assert sum(deltas["views"] for deltas in again.pending().values()) == 6
    assert sums() == {"/": {"views": 3}, "/new": {"views": 4}}


def test_without_exact_tables_nothing_stays_installed(exact_store: Store, journal: Path) -> None:
    with quiet(journal):
        PageHits(url="/").increment(views=1)
    assert counters.sink is None
