"""Faults that a stranger's review found, each kept from coming back."""

from __future__ import annotations

import asyncio
import threading
from typing import Annotated, Any

import pytest

import coodie.sync
from aggregator import Aggregator, BufferFull, LifecycleError
from coodie.exceptions import InvalidQueryError
from coodie.fields import Counter, PrimaryKey
from coodie.statement import Statement
from coodie.testing import Fault
from tests.support.models import AsyncPageHits, PageHits
from tests.unit.aggregator.conftest import Store, identity


class Wide(coodie.sync.CounterDocument):
    """The table of PageHits, with a column more."""

    url: Annotated[str, PrimaryKey()]
    views: Annotated[int, Counter()]
    unique_visitors: Annotated[int, Counter()]
    bots: Annotated[int, Counter()]

    class Settings:
        name = "page_hits"


class Failures(coodie.sync.CounterDocument):
    """A model whose counters are named like what generated code mentions."""

    host: Annotated[str, PrimaryKey()]
    KeyError: Annotated[int, Counter()]
    TypeError: Annotated[int, Counter()]


def quiet(**options: Any) -> Aggregator:
    return Aggregator(**({"flush_interval": None, "max_batch_size": 50_000} | options))


def test_a_column_that_a_second_model_brings_during_a_flush_is_written(store: Store) -> None:
    Wide.sync_table()

    def choose(statement: Statement) -> Fault:
        if len(store.statements) == 1:
            Wide(url="/4500").increment(bots=3)  # the chunk of this row is taken after this
        return Fault.NONE

    store.faults = choose
    with quiet() as aggregator:
        for number in range(5000):
            PageHits(url=f"/{number}").increment(views=1)
        aggregator.flush()
        aggregator.flush()
        assert aggregator.stats().tables["page_hits"]["bots"].applied == 3
    assert Wide.get(url="/4500").bots == 3


def test_the_account_adds_up_while_a_direct_write_is_in_flight(store: Store) -> None:
    seen: list[Any] = []

    def choose(_statement: Statement) -> Fault:
        seen.append(aggregator.stats())
        return Fault.NONE

    store.faults = choose
    with Aggregator(mode="direct") as aggregator:
        PageHits(url="/").increment(views=2)
    (stats,) = seen
    assert (stats.accepted, stats.in_flight, stats.pending) == (2, 2, 0)
    assert identity(stats)


@pytest.mark.parametrize("mode", ["direct", "buffered"])
def test_increment_many_of_an_aio_class_writes_through_without_a_loop(store: Store, mode: str) -> None:
    aggregator = quiet(mode=mode).start()
    if mode == "buffered":
        aggregator.shutdown()
        aggregator.start()
    assert aggregator.increment_many(AsyncPageHits, [("/", {"views": 1})] * 5) == 5
    aggregator.shutdown()
    assert store.stored() == {"/": {"views": 5}}


def test_no_more_is_handed_to_a_driver_than_may_be_in_flight(store: Store) -> None:
    taken: list[int] = []

    def hanging(work: Any, limit: int, settle: Any) -> None:
        items = iter(work)
        for _ in range(limit):
            next(items)
        clock.set()
        taken.append(sum(1 for _ in items))
        raise TimeoutError

    clock = threading.Event()
    with quiet(flush_concurrency=16) as aggregator:
        for number in range(500):
            PageHits(url=f"/{number}").increment(views=1)
        machine = aggregator._machine
        assert machine is not None
        machine.engine._clock = machine.engine._context.clock = lambda: 1e9 if clock.is_set() else 0.0
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(store.driver, "execute_many", hanging)
            result = aggregator.flush()
        machine.engine._clock = machine.engine._context.clock = machine.clock
        machine.engine.connections.clear()
        assert taken == [0]
        assert (result.unknown, result.requeued) == (16, 484)


def test_a_request_in_null_mode_writes_nothing(store: Store) -> None:
    with Aggregator(mode="null") as aggregator:
        with aggregator.request():
            PageHits(url="/").increment(views=5)
        assert (aggregator.stats().accepted, aggregator.stats().dropped) == (5, 5)
    assert store.statements == []


def test_a_request_in_direct_mode_writes_when_it_ends(store: Store) -> None:
    with Aggregator(mode="direct") as aggregator:
        with aggregator.request():
            PageHits(url="/").increment(views=5)
            assert store.statements == []
        assert store.stored() == {"/": {"views": 5}}
        assert aggregator.stats().pending == 0


def test_who_waits_for_room_while_the_aggregator_stops_writes_through(store: Store) -> None:
    store.faults = lambda statement: Fault.NOT_SENT if statement.values[-1] == "/first" else Fault.NONE
    aggregator = Aggregator(flush_interval=None, max_keys=1, shutdown_timeout=0.2).start()
    PageHits(url="/first").increment(views=1)
    aggregator.flush()  # fails: from now on there is a backoff to wait out
    failures: list[BaseException] = []

    def wait() -> None:
        try:
            PageHits(url="/second").increment(views=1)
        except BaseException as error:
            failures.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    while not aggregator._machine.background._mailbox.empty():  # type: ignore[union-attr]  # it is started
        pass
    aggregator.shutdown()
    waiter.join(20)
    assert failures == []
    assert store.stored() == {"/second": {"views": 1}}


def test_a_forgotten_await_that_waits_for_room_survives_the_shutdown(store: Store) -> None:
    store.faults = lambda statement: Fault.NOT_SENT if statement.values[-1] == "/first" else Fault.NONE

    async def serve() -> None:
        async with Aggregator(flush_interval=None, max_keys=1, shutdown_timeout=0.2) as aggregator:
            await AsyncPageHits(url="/first").increment(views=1)
            await aggregator.aflush()
            for number in range(10):
                AsyncPageHits(url=f"/{number}").increment(views=1)
            await asyncio.sleep(0)

    asyncio.run(serve())
    assert store.stored() == {f"/{number}": {"views": 1} for number in range(10)}


def test_an_item_cannot_be_applied_when_nothing_would_write_it(store: Store) -> None:
    store.faults = lambda _statement: Fault.TIMED_OUT
    with quiet() as aggregator:
        PageHits(url="/").increment(views=7)
        aggregator.flush()
    (item,) = aggregator.unknown()
    with pytest.raises(LifecycleError, match="after shutdown"):
        aggregator.resolve(item, apply=True)
    assert aggregator.unknown() == [item]


def test_the_flusher_does_not_wait_for_room_that_only_it_can_make(store: Store) -> None:
    seen: list[BaseException] = []

    def callback(_result: object) -> None:
        store.faults = lambda _statement: Fault.NOT_SENT
        try:
            for number in range(3):
                PageHits(url=f"/new{number}").increment(views=1)
        except BufferFull as error:
            seen.append(error)
        store.faults = lambda _statement: Fault.NONE

    with Aggregator(flush_interval=None, max_keys=2, max_batch_size=2, on_flush=callback) as aggregator:
        PageHits(url="/").increment(views=1)
        aggregator.flush()
    assert "this thread is the flusher" in str(seen[0])


def test_shutdown_uses_the_time_it_has(store: Store) -> None:
    faults = iter([Fault.NOT_SENT] * 2)
    store.faults = lambda _statement: next(faults, Fault.NONE)
    with quiet():
        PageHits(url="/").increment(views=7)
    assert store.stored() == {"/": {"views": 7}}


def test_a_scope_serves_one_request(store: Store) -> None:
    with quiet() as aggregator:
        scope = aggregator.request()
        with scope:
            PageHits(url="/").increment(views=1)
        with pytest.raises(LifecycleError, match="one request"):
            scope.__enter__()
        assert aggregator.stats().accepted == 1


def test_counters_may_be_named_like_exceptions(store: Store) -> None:
    Failures.sync_table()
    with quiet() as aggregator:
        for _ in range(3):
            Failures(host="a").increment(KeyError=1, TypeError=2)
        aggregator.flush()
    row = Failures.get(host="a")
    assert (row.KeyError, row.TypeError) == (3, 6)


def test_a_document_without_its_key_is_refused_by_name(store: Store) -> None:
    with quiet():
        PageHits(url="/").increment(views=1)
        with pytest.raises(InvalidQueryError):
            PageHits.model_construct().increment(views=1)


def test_rows_beyond_the_bound_are_evicted_as_soon_as_they_are_clean(store: Store) -> None:
    with quiet(max_keys=10, max_batch_size=10, when_full="raise") as aggregator:
        with aggregator.request():
            for number in range(100):
                PageHits(url=f"/{number}").increment(views=1)
        aggregator.flush()
        for number in range(9):
            PageHits(url=f"/new{number}").increment(views=1)


def test_a_callback_that_exits_does_not_end_the_flusher(store: Store) -> None:
    def leave(_result: object) -> None:
        raise SystemExit

    with quiet(on_flush=leave) as aggregator:
        for _ in range(2):
            PageHits(url="/").increment(views=1)
            assert aggregator.flush().applied == 1
        machine = aggregator._machine
        assert machine is not None
        assert machine.background.is_alive()
