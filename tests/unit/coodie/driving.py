"""Drives a plan by hand: no driver, no database."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeVar

from coodie.statement import Rows, Statement

T = TypeVar("T")


def drive(plan: Generator[Statement, Rows, T], *answers: Rows | list[dict[str, Any]]) -> tuple[list[Statement], T]:
    """Answer a plan's statements in turn, with no rows once the answers are used up; return statements and result."""
    waiting = [answer if isinstance(answer, Rows) else Rows(answer) for answer in answers]
    sent: list[Statement] = []
    try:
        statement = next(plan)
        while True:
            sent.append(statement)
            statement = plan.send(waiting.pop(0) if waiting else Rows())
    except StopIteration as end:
        return sent, end.value
