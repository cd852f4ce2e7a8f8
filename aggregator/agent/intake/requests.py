"""
What a request says: its JSON, checked and made rows.

Rules that live here:

* All or nothing: the first increment that is wrong refuses the whole request, with its place and the reason.
* Integers only, within a cap: no float, no bool, no NaN, no number beyond it. JSON has no depth but that of the form.
* What was checked once is not checked again: a key that the open segment holds is taken as it comes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeAlias

import msgspec

from aggregator.agent.intake.refusal import Refusal
from aggregator.agent.intake.tables import Counted, Part
from coodie.exceptions import InvalidQueryError

BODY_BYTES = 1_000_000
"""Bytes of a request: less than a record of the log holds."""
INCREMENTS = 10_000
DELTA = 2**40
"""The greatest number one increment may add or take away."""

Delta = Annotated[int, msgspec.Meta(ge=-DELTA, le=DELTA)]
Row: TypeAlias = tuple[str, Any, dict[str, int]]
"""(alias, canonical key, deltas)"""
Known: TypeAlias = Mapping[str, Mapping[Any, Any]]
"""Keys that were checked already, by alias."""


class Increment(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """One increment: ``table`` is an alias."""

    table: str
    key: dict[str, Part]
    add: Annotated[dict[str, Delta], msgspec.Meta(min_length=1)]


class Request(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The body of ``POST /v1/increments``."""

    producer: Annotated[str, msgspec.Meta(pattern=r"^[!-~]{1,64}\Z")]
    sequence: Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
    increments: Annotated[list[Increment], msgspec.Meta(min_length=1, max_length=INCREMENTS)]


_decoder = msgspec.json.Decoder(Request)


def decode(body: bytes) -> Request:
    """Return what a body says, its form checked; raises :class:`Refusal`."""
    try:
        return _decoder.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Refusal(400, f"the body is not a request: {error}") from None


def rows_of(increments: Sequence[Increment], tables: Mapping[str, Counted], known: Known) -> list[Row]:
    """Return the rows of a request in its order, every one of them checked; raises :class:`Refusal`."""
    rows: list[Row] = []
    for increment in increments:
        alias = increment.table
        counted = tables.get(alias)
        if counted is None:
            raise _refused(len(rows), f"there is no table {alias[:48]!r}; there are {', '.join(tables)}")
        add = increment.add
        if not add.keys() <= counted.columns:
            raise _refused(len(rows), f"{alias} counts {', '.join(counted.record.arrays)} and nothing else")
        rows.append((alias, _key(counted, increment.key, known.get(alias, ()), len(rows)), add))
    return rows


def _key(counted: Counted, given: dict[str, Part], known: Any, at: int) -> Any:
    if len(given) == len(counted.names):
        try:
            key = counted.given(given)
        except KeyError:
            key = None
        if counted.is_text:
            if key in known:  # text is equal to text alone
                return key
        elif counted.plain is not None and key in known:
            parts = key if isinstance(key, tuple) else (key,)
            if tuple(map(type, parts)) == counted.plain:  # True is equal to 1, and no integer
                return key
    try:
        return counted.key(given)
    except InvalidQueryError as error:
        raise _refused(at, str(error)) from None


def _refused(at: int, why: str) -> Refusal:
    return Refusal(400, f"increments[{at}]: {why}")
