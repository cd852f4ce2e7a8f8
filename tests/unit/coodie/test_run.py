"""run and arun: answers go into the plan, coodie's errors are thrown into it, everything else passes by."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import Any

import pytest

from coodie.exceptions import MaybeApplied
from coodie.run import arun, run
from coodie.statement import Raw, Rows, Statement

ONE, TWO = Statement(Raw("one")), Statement(Raw("two"))
Runner = Callable[[Generator[Statement, Rows, Any], Any], Any]


class Scripted:
    """A driver that answers from a list, raising what is an exception."""

    def __init__(self, *answers: Rows | BaseException) -> None:
        self.answers = list(answers)
        self.sent: list[Statement] = []

    def submit(self, statement: Statement) -> Rows:
        self.sent.append(statement)
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def submit_async(self, statement: Statement) -> Rows:
        return self.submit(statement)


def run_async(plan: Generator[Statement, Rows, Any], driver: Any) -> Any:
    return asyncio.run(arun(plan, driver))


BOTH = pytest.mark.parametrize("runner", [run, run_async], ids=["run", "arun"])


def two_steps() -> Generator[Statement, Rows, list[Any]]:
    first = yield ONE
    second = yield TWO
    return [*first.items, *second.items]


@BOTH
def test_answers_are_sent_into_the_plan(runner: Runner) -> None:
    driver = Scripted(Rows([{"a": 1}]), Rows([{"b": 2}]))
    assert runner(two_steps(), driver) == [{"a": 1}, {"b": 2}]
    assert driver.sent == [ONE, TWO]


@BOTH
def test_a_plan_without_steps_sends_nothing(runner: Runner) -> None:
    def empty() -> Generator[Statement, Rows, str]:
        return "nothing to do"
        yield ONE

    assert runner(empty(), Scripted()) == "nothing to do"


@BOTH
def test_an_error_of_ours_can_be_caught_by_the_plan(runner: Runner) -> None:
    def cautious() -> Generator[Statement, Rows, Any]:
        try:
            yield ONE
        except MaybeApplied as error:
            rows = yield TWO
            return str(error), rows.items

    driver = Scripted(MaybeApplied("lost"), Rows([{"x": 1}]))
    assert runner(cautious(), driver) == ("lost", [{"x": 1}])


@BOTH
def test_an_error_the_plan_does_not_catch_reaches_the_caller(runner: Runner) -> None:
    lost = MaybeApplied("lost")
    with pytest.raises(MaybeApplied) as caught:
        runner(two_steps(), Scripted(lost))
    assert caught.value is lost


@BOTH
@pytest.mark.parametrize("bug", [ZeroDivisionError("bug"), RuntimeError("bug")])
def test_a_bug_of_the_driver_passes_the_plan_by(runner: Runner, bug: Exception) -> None:
    with pytest.raises(type(bug), match=r"bug"):
        runner(two_steps(), Scripted(bug))


def test_a_driver_that_raises_stop_iteration_does_not_end_the_plan() -> None:
    with pytest.raises(StopIteration):
        run(two_steps(), Scripted(StopIteration("an answer")))  # type: ignore[arg-type]  # no rows
