"""The bound on rows, and each way of ``when_full``; the modes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from aggregator import Aggregator, BufferFull
from coodie.exceptions import InvalidQueryError, NotApplied
from coodie.statement import Statement
from coodie.testing import Fault
from tests.support.models import AsyncPageHits, PageHits
from tests.unit.aggregator.conftest import Store, identity

TEN = {f"/{number}" for number in range(10)}


def held_back(statement: Statement) -> Fault:
    """Refuse the ten rows for now, so that no flush that falls due cleans them."""
    return Fault.NOT_SENT if statement.values[-1] in TEN else Fault.NONE


class Full:
    """An aggregator of ten rows, all dirty, which stay so until the test releases them or ends."""

    def __init__(self, store: Store, when_full: str, **options: Any) -> None:
        self.store = store
        self.aggregator = Aggregator(flush_interval=None, max_keys=10, when_full=when_full, **options)

    def _fill(self) -> Aggregator:
        self.store.faults = held_back
        for url in TEN:
            PageHits(url=url).increment(views=1)
        return self.aggregator

    def release(self) -> None:
        self.store.faults = lambda _statement: Fault.NONE

    def __enter__(self) -> Aggregator:
        self.aggregator.start()
        return self._fill()

    def __exit__(self, *_error: object) -> None:
        self.release()
        self.aggregator.shutdown()

    async def __aenter__(self) -> Aggregator:
        return self.__enter__()

    async def __aexit__(self, *_error: object) -> None:
        self.release()
        await self.aggregator.ashutdown()


def test_flush_makes_room_and_loses_nothing(store: Store) -> None:
    full = Full(store, "flush")
    with full:
        full.release()
        for number in range(1000):
            PageHits(url=f"/{number}").increment(views=1)
    assert sum(row["views"] for row in store.stored().values()) == 1010


def test_flush_on_the_aio_face_awaits_room(store: Store) -> None:
    async def count() -> None:
        full = Full(store, "flush")
        async with full:
            full.release()
            for number in range(200):
                await AsyncPageHits(url=f"/{number}").increment(views=1)

    asyncio.run(count())
    assert sum(row["views"] for row in store.stored().values()) == 210


def test_a_forgotten_await_loses_no_hit(store: Store) -> None:
    async def count() -> None:
        full = Full(store, "flush")
        async with full:
            full.release()
            for number in range(10, 60):
                AsyncPageHits(url=f"/{number}").increment(views=1)
            await asyncio.sleep(0)
            while asyncio.all_tasks() - {asyncio.current_task()}:
                await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()})

    asyncio.run(count())
    assert sum(row["views"] for row in store.stored().values()) == 60


def test_a_sync_increment_on_a_loop_never_blocks_it(store: Store) -> None:
    async def count() -> None:
        async with Full(store, "flush"):
            with pytest.raises(BufferFull, match="must not block the event loop"):
                PageHits(url="/new").increment(views=1)

    asyncio.run(count())
    assert "/new" not in store.stored()


def test_waiting_for_room_ends_after_the_flush_timeout(store: Store) -> None:
    with Full(store, "flush", flush_timeout=0.2) as aggregator:
        with pytest.raises(BufferFull, match="max_keys=10"):
            PageHits(url="/new").increment(views=1)
        assert aggregator.stats().accepted == 10


def test_rows_already_held_always_merge(store: Store) -> None:
    with Full(store, "raise") as aggregator:
        PageHits(url="/3").increment(views=5)
        assert aggregator.pending(PageHits, url="/3") == {"views": 6}


def test_raise_refuses_and_accepts_nothing(store: Store) -> None:
    full = Full(store, "raise")
    with full as aggregator:
        with pytest.raises(BufferFull, match="when_full='raise'"):
            PageHits(url="/new").increment(views=1)
        assert (aggregator.stats().accepted, aggregator.stats().dropped) == (10, 0)
        full.release()
        aggregator.flush()
        PageHits(url="/new").increment(views=1)  # clean rows make room


def test_drop_counts_what_it_refuses(store: Store) -> None:
    with Full(store, "drop") as aggregator:
        PageHits(url="/new").increment(views=3)
        stats = aggregator.stats()
        assert (stats.accepted, stats.dropped, stats.pending + stats.in_flight) == (13, 3, 10)
        assert identity(stats)
    assert "/new" not in store.stored()


def test_direct_writes_the_new_row_through(store: Store) -> None:
    with Full(store, "direct") as aggregator:
        PageHits(url="/new").increment(views=3)
        assert store.stored() == {"/new": {"views": 3}}
        stats = aggregator.stats()
        assert (stats.accepted, stats.applied, stats.pending + stats.in_flight) == (13, 3, 10)
        assert identity(stats)


def test_mode_direct_writes_every_increment_at_once(store: Store) -> None:
    with Aggregator(mode="direct") as aggregator:
        PageHits(url="/").increment(views=2)
        assert store.stored() == {"/": {"views": 2}}
        assert aggregator.stats().statements == 1
        store.faults = lambda _statement: Fault.NOT_SENT
        with pytest.raises(NotApplied):
            PageHits(url="/").increment(views=2)
        assert aggregator.stats().accepted == 2
        store.faults = lambda _statement: Fault.TIMED_OUT
        PageHits(url="/").increment(views=2)
        assert aggregator.stats().unknown == 2
        assert identity(aggregator.stats())


def test_mode_direct_on_the_aio_face_runs_without_await(store: Store) -> None:
    async def count() -> None:
        async with Aggregator(mode="direct"):
            AsyncPageHits(url="/").increment(views=2)
            await AsyncPageHits(url="/").increment(views=1)
            await asyncio.sleep(0)

    asyncio.run(count())
    assert store.stored() == {"/": {"views": 3}}


def test_mode_null_counts_as_dropped_and_writes_nothing(store: Store) -> None:
    with Aggregator(mode="null") as aggregator:
        PageHits(url="/").increment(views=2)
        with pytest.raises(InvalidQueryError):
            PageHits(url="").increment(views=2)
        stats = aggregator.stats()
        assert (stats.accepted, stats.dropped, stats.increments) == (2, 2, 1)
        assert identity(stats)
    assert store.statements == []


def test_parked_rows_count_towards_the_bound(store: Store) -> None:
    with Full(store, "raise") as aggregator:
        store.faults = lambda _statement: Fault.TIMED_OUT
        aggregator.flush()
        with pytest.raises(BufferFull):
            PageHits(url="/new").increment(views=1)
        for item in aggregator.unknown():
            aggregator.resolve(item, apply=False)
        PageHits(url="/new").increment(views=1)
