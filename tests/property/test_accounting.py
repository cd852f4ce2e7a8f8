"""
The laws of the buffer over random interleavings.

* Merging commutes: any order of the same increments is written as the same totals.
* accepted = applied + pending + in_flight + unknown + dropped, after each step, in all and per column.
* accepted is what was accepted, counted by the test; stored is what the driver, which alone knows, let through.
"""

from __future__ import annotations

from collections import Counter as Multiset
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator import Aggregator, BufferFull
from coodie import drivers
from coodie.exceptions import InvalidQueryError
from coodie.testing import Fault
from tests.support.models import PageHits
from tests.unit.aggregator.conftest import Store, identity

URLS = st.sampled_from([f"/{number}" for number in range(8)])
DELTAS = st.one_of(st.integers(-3, 3), st.sampled_from([2**62, -(2**62), 2**63 - 1]))
COLUMNS = st.sampled_from(["views", "unique_visitors"])
INCREMENT = st.tuples(st.just("increment"), URLS, st.dictionaries(COLUMNS, DELTAS, min_size=1))
FLUSH = st.tuples(st.just("flush"), st.lists(st.sampled_from(list(Fault)), max_size=8))
RESOLVE = st.tuples(st.just("resolve"), st.booleans())
REQUEST = st.tuples(st.just("request"), st.lists(st.tuples(URLS, st.integers(-3, 3)), max_size=6), st.booleans())
STEPS = st.lists(st.one_of(INCREMENT, INCREMENT, INCREMENT, FLUSH, RESOLVE, REQUEST), max_size=40)


@contextmanager
def opened() -> Iterator[Store]:
    store = Store()
    drivers._registry.clear()
    drivers.register_driver("default", store.driver, default=True)
    PageHits.sync_table()
    try:
        yield store
    finally:
        drivers._registry.clear()
        store.real.close()


class Walk:
    """Apply steps to an aggregator and keep the books beside it."""

    def __init__(self, aggregator: Aggregator, store: Store) -> None:
        self.aggregator = aggregator
        self.store = store
        self.accepted: Multiset[str] = Multiset()
        self.stored: Multiset[tuple[str, str]] = Multiset()

    def increment(self, url: str, deltas: dict[str, int]) -> None:
        try:
            PageHits(url=url).increment(**deltas)
        except (InvalidQueryError, BufferFull):
            return
        self.accepted.update(deltas)

    def flush(self, faults: list[Fault]) -> None:
        script = iter(faults)

        def choose(statement: Any) -> Fault:
            fault = next(script, Fault.NONE)
            url, columns = statement.values[-1], statement.shape.columns
            gains = dict(zip(columns, statement.values, strict=False))
            if any(abs(self.stored[url, name] + gain) >= 2**63 for name, gain in gains.items()):
                return Fault.ROW_REFUSED  # what the store would say
            if fault in (Fault.NONE, Fault.REPLY_LOST):
                for name, gain in gains.items():
                    self.stored[url, name] += gain
            return fault

        self.store.faults = choose
        self.aggregator.flush()

    def resolve(self, apply: bool) -> None:
        for item in (*self.aggregator.unknown(), *self.aggregator.rejected()):
            self.aggregator.resolve(item, apply)

    def request(self, increments: list[tuple[str, int]], fails: bool) -> None:
        with self.aggregator.request() as request:
            for url, delta in increments:
                PageHits(url=url).increment(views=delta)
            if fails:
                request.discard()
        for _url, delta in increments:
            self.accepted["views"] += 0 if fails else delta

    def check(self) -> None:
        stats = self.aggregator.stats()
        assert identity(stats)
        columns = stats.tables.get("page_hits", {})
        for name, column in columns.items():
            assert column.accepted == self.accepted[name]
            assert column.in_flight == 0
        pending: Multiset[str] = Multiset()
        for deltas in self.aggregator.pending().values():
            pending.update(deltas)
        assert all(column.pending == pending[name] for name, column in columns.items())


@settings(max_examples=150, deadline=None)
@given(
    STEPS,
    st.sampled_from([3, 100]),
    st.sampled_from(["drop", "raise", "flush"]),
    st.sampled_from(["park", "drop", "retry"]),
)
def test_the_account_adds_up_after_every_step(steps: Any, max_keys: int, when_full: str, on_unknown: str) -> None:
    with opened() as store:
        options: dict[str, Any] = {"max_keys": max_keys, "when_full": when_full, "on_unknown": on_unknown}
        store.faults = lambda _statement: Fault.NOT_SENT  # a flush that room asks for
        with Aggregator(flush_interval=None, flush_timeout=0.02, **options) as aggregator:
            machine = aggregator._machine
            assert machine is not None
            assert machine.background.stop(10)  # flushes run where they are asked for: one history, one outcome
            walk = Walk(aggregator, store)
            for name, *arguments in steps:
                getattr(walk, name)(*arguments)
                store.faults = lambda _statement: Fault.NOT_SENT
                walk.check()
            walk.flush([])
            walk.check()
        expected = {key: total for key, total in walk.stored.items() if total}
        found = {(url, name): n for url, row in store.stored().items() for name, n in row.items()}
        assert found == expected


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(URLS, st.integers(-(10**6), 10**6)), max_size=40), st.randoms(use_true_random=False))
def test_merging_commutes(increments: list[tuple[str, int]], random: Any) -> None:
    written = []
    for _ in range(2):
        with opened() as store, Aggregator(flush_interval=None) as aggregator:
            for url, delta in increments:
                PageHits(url=url).increment(views=delta)
            aggregator.flush()
            written.append(store.stored())
        random.shuffle(increments)
    assert written[0] == written[1]
