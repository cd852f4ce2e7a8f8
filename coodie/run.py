"""
Run a plan on a driver: the only code that knows the difference between the two faces.

Rules that live here: what the driver returns is sent into the plan; an error of the ``CoodieError`` family is thrown
into it; anything else passes by. Only the plan's own step is watched for ``StopIteration``, so that a driver's bug can
never pose as the end of a plan.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeVar

from coodie.drivers.protocol import Driver
from coodie.exceptions import CoodieError
from coodie.statement import Rows, Statement

T = TypeVar("T")


def run(plan: Generator[Statement, Rows, T], driver: Driver) -> T:
    """Run a plan to its end and return its answer. From any thread; blocks it."""
    step: Callable[[Any], Statement] = plan.send
    value: Any = None
    while True:
        try:
            statement = step(value)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]  # what a plan returns is its caller's to know
        try:
            step, value = plan.send, driver.submit(statement)
        except CoodieError as error:
            step, value = plan.throw, error


async def arun(plan: Generator[Statement, Rows, T], driver: Driver) -> T:
    """Run a plan to its end and return its answer. On any event loop; never blocks it."""
    step: Callable[[Any], Statement] = plan.send
    value: Any = None
    while True:
        try:
            statement = step(value)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]  # what a plan returns is its caller's to know
        try:
            step, value = plan.send, await driver.submit_async(statement)
        except CoodieError as error:
            step, value = plan.throw, error
