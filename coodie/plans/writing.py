"""
How a write is sent and what it answers.

Rules that live here: TTL (s) and timestamp (us since 1970) are bound. A conditional write answers an ``LWTResult``, any
other None; it takes no timestamp, since the database orders conditional writes by a clock of its own.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

from coodie import options
from coodie.cql import render
from coodie.exceptions import InvalidQueryError
from coodie.lookups import CONDITION_OPERATORS, conditions
from coodie.records import record
from coodie.results import LWTResult
from coodie.schema import Table
from coodie.statement import Rows, Shape, Statement, Term

Write = Generator[Statement, Rows, LWTResult | None]

APPLIED = "[applied]"


@record(frozen=True, slots=True)
class WriteOptions:
    """How a write is sent: ``ttl`` and ``timeout`` in seconds, ``timestamp`` in microseconds since 1970."""

    ttl: int | None = None
    timestamp: int | None = None
    consistency: str | None = None
    timeout: float | None = None

    def values(self) -> list[int]:
        """Return the values of the USING clause, in its order."""
        values = [] if self.ttl is None else [options.time_to_live(self.ttl)]
        return values if self.timestamp is None else [*values, options.timestamp(self.timestamp)]

    def statement(self, shape: Shape, values: Sequence[Any]) -> Statement:
        """Return the statement of a shape, sent as these options say."""
        timeout = None if self.timeout is None else options.timeout(self.timeout)
        return Statement(shape, tuple(values), render, options.consistency_level(self.consistency), timeout)


NO_OPTIONS = WriteOptions()


def options_of(ttl: int | None, timestamp: int | None, consistency: str | None, timeout: float | None) -> WriteOptions:
    """Return the options of a write: ``NO_OPTIONS`` itself where none is given, as for most writes."""
    if ttl is None and timestamp is None and consistency is None and timeout is None:
        return NO_OPTIONS
    return WriteOptions(ttl, timestamp, consistency, timeout)


def if_clause(
    table: Table, if_conditions: Mapping[str, Any] | None, if_exists: bool
) -> tuple[tuple[Term, ...], tuple[Any, ...], bool]:
    """
    Return the terms and values of the conditions of a write, checked, and whether it is to say IF EXISTS.

    CQL has no IF EXISTS beside other conditions: it is left out where one of them holds for an existing row alone, and
    refused where a missing row would meet them all.
    """
    if if_conditions is not None and not isinstance(if_conditions, Mapping):
        raise InvalidQueryError(f"if_conditions takes a dict of lookups, not {if_conditions!r}; nothing was sent")
    terms, expected = conditions(table, if_conditions or {}, CONDITION_OPERATORS, nullable=True)
    for term in terms:
        if table.by_name[term.column].is_key:
            raise InvalidQueryError(
                f"Column '{term.column}' is part of the primary key of {table.name}, which names the row: a condition "
                "cannot; nothing was sent"
            )
    needs_row = any(term.operator != "!=" and value is not None for term, value in zip(terms, expected, strict=True))
    if if_exists and terms and not needs_row:
        raise InvalidQueryError(
            "if_exists cannot stand beside conditions that a missing row meets (None, __ne): CQL has no such write; "
            "add a condition that only an existing row can meet; nothing was sent"
        )
    return terms, expected, if_exists and not terms


def sent(statement: Statement, conditional: bool) -> Write:
    """Return the plan that sends one write, and answers whether it was applied where that depends on a condition."""
    if not conditional:
        return send(statement)
    if getattr(statement.shape, "timestamp", False):
        raise InvalidQueryError("A conditional write takes no timestamp: the database gives it one; nothing was sent")
    return _compare(statement)


def send(statement: Statement) -> Generator[Statement, Rows, None]:
    """Send one write without a condition."""
    yield statement


def _compare(statement: Statement) -> Generator[Statement, Rows, LWTResult]:
    return outcome((yield statement))


def outcome(rows: Rows) -> LWTResult:
    """Return what the database answered to a conditional write."""
    answer = dict(rows.items[0]) if rows.items else {APPLIED: True}  # test doubles of users answer nothing
    applied = bool(answer.pop(APPLIED))
    return LWTResult(applied, None if applied else answer)
