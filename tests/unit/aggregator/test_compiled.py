"""The writers' fast path: its bytecode, its doors, and that no thread loses a hit; with the faults planted too."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from aggregator.core import compiled
from aggregator.memory import anonymous

SAFE = compiled.source("increment", ["url"], ["views"], locked=False)
LOCKED = compiled.source("increment", ["url"], ["views"], locked=True)
IN_TWO_STEPS = SAFE.replace(
    "_total_0[_slots[_key]] += 1", "_was = _total_0[_slots[_key]]; _yield(); _total_0[_slots[_key]] = _was + 1"
)


def build(text: str, slots: dict[str, int], missed: Callable[..., Any]) -> tuple[Any, memoryview[int], list[int]]:
    column, calls = anonymous(16), [0, 0]
    namespace: dict[str, Any] = {"_yield": lambda: None}
    exec(text, namespace)
    function = namespace["make"](
        slots,
        (column,),
        calls,
        {},
        1,
        compiled.ABSENT,
        compiled.small,
        missed,
        "done",
        threading.RLock(),
        compiled.ERRORS,
    )
    return function, column, calls


def refuse(*given: Any) -> Any:
    raise AssertionError(given)


@pytest.fixture
def hasty_switches() -> Iterator[None]:
    """Let threads switch as often as the interpreter can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def hammer(function: Any, threads: int = 8, calls: int = 20_000, delta: int = 1) -> int:
    gate = threading.Barrier(threads)

    def count() -> None:
        page = SimpleNamespace(url="/home")
        gate.wait()
        for _ in range(calls):
            function(page, views=delta)

    workers = [threading.Thread(target=count) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return threads * calls * delta


def test_the_lock_free_form_has_no_call_in_its_window_here() -> None:
    function, _column, _calls = build(SAFE, {}, refuse)
    assert compiled.is_call_free(function) == compiled.lock_free_here()


def test_the_check_sees_a_call_in_the_window() -> None:
    function, _column, _calls = build(IN_TWO_STEPS, {}, refuse)
    assert not compiled.is_call_free(function)


def test_the_check_sees_the_lock_of_the_locked_form() -> None:
    function, _column, _calls = build(LOCKED, {}, refuse)
    assert not compiled.is_call_free(function)


@pytest.mark.parametrize("text", [pytest.param(SAFE, id="lock-free"), pytest.param(LOCKED, id="locked")])
def test_eight_threads_lose_nothing(text: str, hasty_switches: None) -> None:
    function, column, calls = build(text, {"/home": 3}, refuse)
    by_one, by_three = hammer(function), hammer(function, delta=3)  # the first road and the general one
    assert column[3] == by_one + by_three
    assert calls == [by_three // 3, by_three]
    assert calls[0] + column[3] - calls[1] == by_one + by_three // 3  # every call is counted


def test_the_same_test_sees_the_planted_fault(hasty_switches: None) -> None:
    function, column, _calls = build(IN_TWO_STEPS, {"/home": 3}, refuse)
    expected = hammer(function)
    assert column[3] < expected


def test_a_row_that_is_not_mapped_leaves_by_the_door_with_nothing_stored() -> None:
    seen: list[Any] = []
    function, column, calls = build(SAFE, {}, lambda *given: seen.append(given))
    page = SimpleNamespace(url="/new")
    function(page, views=1)
    assert seen == [(page, (1,), 0, {})]
    assert (list(column), calls) == ([0] * 16, [0, 0])


def test_an_overflow_in_the_second_column_says_that_the_first_is_stored() -> None:
    seen: list[Any] = []
    text = compiled.source("increment", ["url"], ["views", "likes"], locked=False)
    first, second = anonymous(4), anonymous(4)
    second[0] = 2**63 - 1
    namespace: dict[str, Any] = {}
    exec(text, namespace)
    function = namespace["make"](
        {"/": 0},
        (first, second),
        [0, 0],
        {},
        1,
        compiled.ABSENT,
        compiled.small,
        lambda *g: seen.append(g),
        None,
        None,
        compiled.ERRORS,
    )
    page = SimpleNamespace(url="/")
    function(page, views=1, likes=1)
    assert first[0] == 1
    assert seen == [(page, (1, 1), 1, {})]


def test_an_unknown_column_leaves_by_the_door_with_nothing_stored() -> None:
    seen: list[Any] = []
    function, column, _calls = build(SAFE, {"/": 0}, lambda *given: seen.append(given[3]))
    function(SimpleNamespace(url="/"), views=1, clicks=1)
    assert seen == [{"clicks": 1}]
    assert column[0] == 0


def test_no_delta_at_all_leaves_by_the_door() -> None:
    seen: list[Any] = []
    function, _column, calls = build(SAFE, {"/": 0}, lambda *given: seen.append(given[1]))
    function(SimpleNamespace(url="/"))
    assert seen == [(compiled.ABSENT,)]
    assert calls == [0, 0]


@pytest.mark.parametrize("delta", [2**31, -(2**31), True, 1.0, "1", None])
def test_a_large_or_odd_delta_leaves_by_the_door_with_nothing_stored(delta: Any) -> None:
    seen: list[Any] = []
    function, column, _calls = build(SAFE, {"/": 0}, lambda *given: seen.append(given[1:3]))
    function(SimpleNamespace(url="/"), views=delta)
    assert seen == [((delta,), 0)]
    assert column[0] == 0


def test_decrement_subtracts() -> None:
    function, column, _calls = build(compiled.source("decrement", ["url"], ["views"], locked=False), {"/": 0}, refuse)
    function(SimpleNamespace(url="/"), views=1)
    assert column[0] == -1
    assert _calls == [1, -1]
