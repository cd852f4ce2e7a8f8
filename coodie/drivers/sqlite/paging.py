"""
Pages: where one ends, and how the next begins after it.

Rules that live here: a page state names the last row given, by the columns the query is ordered by, so rows written
meanwhile neither shift nor repeat others; only queries without such an order (GROUP BY, DISTINCT) count rows instead.
It also carries how much of the LIMIT is left. It is checked when it comes back, for it has been in foreign hands.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from coodie.drivers.sqlite.names import quoted
from coodie.drivers.sqlite.where import placed
from coodie.exceptions import InvalidQueryError
from coodie.schema import Column

Order: TypeAlias = tuple[tuple[Column, bool], ...]
"""(column, descending) of a total order of rows."""


_STORED = (int, float, str, bytes, type(None))


class Position(msgspec.Struct, frozen=True, array_like=True):
    """
    Where the next page begins: after the row with these values, or after this many rows.

    ``left`` is what remains of the LIMIT, None where there is none.
    """

    after: list[Any]
    skipped: int = 0
    left: int | None = None


START = Position([])


def packed(position: Position) -> bytes:
    """Return a position as a page state."""
    return msgspec.msgpack.encode(position)


def unpacked(state: bytes | None, width: int) -> Position:
    """Return the position of a page state for an order of so many columns; InvalidQueryError where it is not one."""
    if state is None:
        return START
    try:
        position = msgspec.msgpack.decode(state, type=Position)
    except msgspec.MsgspecError:
        position = None
    if position is None or len(position.after) != width or not all(isinstance(v, _STORED) for v in position.after):
        raise InvalidQueryError("paging_state is not one that this query gave; nothing was sent")
    return position


def after(order: Order) -> str:
    """Return the condition of rows that come after a given one, its values being those of :func:`after_values`."""
    if _is_uniform(order):
        names = ", ".join(placed(column) for column, _ in order)
        return f"({names}) {'<' if order[0][1] else '>'} ({', '.join('?' * len(order))})"
    steps = []
    for position, (column, descending) in enumerate(order):
        equal = [f"{quoted(earlier.name)} IS ?" for earlier, _ in order[:position]]
        steps.append(" AND ".join([*equal, _beyond(column, descending)]))
    return f"{_bound(order)}({' OR '.join(f'({step})' for step in steps)})"


def after_values(order: Order, values: list[Any]) -> list[Any]:
    """Return the values for :func:`after`, repeated as its text needs them."""
    if _is_uniform(order):
        return values
    repeated = [values[0]] if _bound(order) else []
    for position in range(len(order)):
        repeated += [*values[:position], values[position], values[position]]
    return repeated


def _is_uniform(order: Order) -> bool:
    """Return whether rows compare as one tuple: all columns in one direction, none of them ever NULL."""
    return len({descending for _, descending in order}) == 1 and all(column.is_key for column, _ in order)


def _bound(order: Order) -> str:
    """Return what follows for the first column alone: it lets the key's index skip the earlier pages."""
    column, descending = order[0]
    return f"{placed(column)} {'<=' if descending else '>='} ? AND " if column.is_key else ""


def _beyond(column: Column, descending: bool) -> str:
    """Return the condition that one column lies beyond a value given twice; NULL is the smallest value."""
    name = placed(column)
    if descending:
        return f"({name} < ? OR (? IS NOT NULL AND {quoted(column.name)} IS NULL))"
    return f"({name} > ? OR (? IS NULL AND {quoted(column.name)} IS NOT NULL))"
