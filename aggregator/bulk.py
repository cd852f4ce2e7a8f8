"""
Bulk adds for queue and log consumers.

Rules that live here: rows are checked and accepted one after the other; a refused row says its position, and the rows
before it stay accepted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aggregator.waiting import has_running_loop
from coodie.exceptions import InvalidQueryError
from coodie.plans.counters import deltas_of, key_from

if TYPE_CHECKING:
    from aggregator.binding import Binding
    from aggregator.intake import Intake


def add_many(intake: Intake, document: type[Any], rows: Iterable[tuple[Any, Mapping[str, int]]]) -> int:
    """Add each (key values, deltas); return how many rows were accepted."""
    binding = _facing(intake.bind(document), intake)
    count = 0
    for key, deltas in rows:
        try:
            checked = deltas_of(binding.table, deltas)
            intake.take(binding, key_from(named(binding.table, key), binding.table), checked)
        except InvalidQueryError as error:
            raise InvalidQueryError(
                f"row {count} of increment_many(): {error}; the {count} rows before it count"
            ) from error
        count += 1
    return count


def _facing(binding: Binding, intake: Intake) -> Binding:
    """Return the binding whose writes this call can answer for: nobody awaits what an aio document would return."""
    writes_here = "direct" in (intake.options.mode, intake.options.when_full) or intake.buffer.closed
    return replace(binding, is_aio=binding.is_aio and has_running_loop() and writes_here)


def named(table: Any, key: Any) -> Mapping[str, Any]:
    """Return key values by column name, from a mapping, a tuple in key order, or one bare value."""
    names = [column.name for column in table.primary_key]
    if isinstance(key, Mapping):
        return key
    values = key if isinstance(key, tuple) else (key,)
    if len(values) != len(names):
        raise InvalidQueryError(
            f"{len(values)} key value(s) for the primary key ({', '.join(names)}); nothing was accepted"
        )
    return dict(zip(names, values, strict=True))
