"""
Batches: writes collected one by one and sent as one statement.

Rules that live here:

* What the writes of a batch cannot have each for itself is refused as it is added: a timestamp beside the batch's own
  or beside a condition, another consistency or timeout than an earlier write's (the batch is sent with the one named).
* Counters share no batch with anything else: a COUNTER batch takes texts alone, any other no document of counters.
* A batch with a condition answers an ``LWTResult``, for all of its writes; any other None.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from coodie import options
from coodie.cql import render
from coodie.exceptions import InvalidQueryError
from coodie.plans.raw import raw_statement
from coodie.plans.writing import APPLIED, Write, outcome
from coodie.statement import Batch, Raw, Statement

KINDS = ("LOGGED", "UNLOGGED", "COUNTER")


def kind_of(logged: bool, batch_type: str | None) -> str:
    """Return the kind of a batch; a ``batch_type`` beats ``logged``."""
    if batch_type is None:
        return "LOGGED" if logged else "UNLOGGED"
    if str(batch_type).upper() not in KINDS:
        raise InvalidQueryError(f"batch_type={batch_type!r} is not known; allowed: {', '.join(KINDS)}, None")
    return str(batch_type).upper()


def timestamp_of(timestamp: int | None) -> int | None:
    """Return the timestamp of a batch in us since 1970, checked; None: the database gives one."""
    return None if timestamp is None else options.timestamp(timestamp)


def text(cql: Any, params: Any) -> Statement:
    """Return the statement of a text in a batch, whose semicolon is the batch's to write."""
    given = raw_statement(cql, params)
    return Statement(Raw(cql.strip().rstrip(";").rstrip()), given.values, render)


def check(statement: Statement, before: Sequence[Statement], kind: str, timestamp: int | None) -> None:
    """Refuse a write that cannot stand in a batch of this kind, beside the writes before it."""
    shape: Any = statement.shape
    if isinstance(shape, Raw):
        return
    if kind == "COUNTER" or shape.table.counters:
        raise InvalidQueryError(
            f"Table {shape.table.name} cannot be written by batch=: counter updates go into a batch of their own, "
            'BatchQuery(batch_type="COUNTER"), as texts of add(); nothing was sent'
        )
    if timestamp is not None and shape.timestamp:
        raise InvalidQueryError("timestamp= was given to the batch and to a write in it: give one; nothing was sent")
    if timestamp is not None and _is_conditional(shape):
        raise InvalidQueryError("A batch with a condition takes no timestamp; nothing was sent")
    for name in ("consistency", "timeout"):
        named = {found for each in (*before, statement) if (found := getattr(each, name)) is not None}
        if len(named) > 1:
            raise InvalidQueryError(
                f"A batch is sent with one {name}, and its writes name {' and '.join(map(str, sorted(named)))}; "
                "nothing was sent"
            )


def send(writes: Sequence[Statement], kind: str, timestamp: int | None) -> Write:
    """Return the plan that sends writes as one statement, and answers whether they were applied, if that depends."""
    shape = Batch(tuple(each.shape for each in writes), kind, timestamp is not None)  # type: ignore[misc]  # all writes
    values: list[Any] = [] if timestamp is None else [timestamp]
    for each in writes:
        values += each.values
    consistency, timeout = _named(writes, "consistency"), _named(writes, "timeout")
    rows = yield Statement(shape, tuple(values), render, consistency, timeout)
    is_conditional = any(map(_is_conditional, shape.shapes)) or bool(rows.items and APPLIED in rows.items[0])
    return outcome(rows) if is_conditional else None


def _named(writes: Sequence[Statement], name: str) -> Any:
    """Return the option that some of the writes name; ``check`` has seen to it that there is one."""
    return next((found for each in writes if (found := getattr(each, name)) is not None), None)


def _is_conditional(shape: Any) -> bool:
    return bool(
        getattr(shape, "if_not_exists", False) or getattr(shape, "if_exists", False) or getattr(shape, "conditions", ())
    )
