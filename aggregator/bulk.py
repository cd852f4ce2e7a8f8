"""
Bulk adds for queue and log consumers.

Rules that live here: rows are checked and accepted one after the other; a refused row says its position, and the rows
before it stay accepted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from coodie.exceptions import InvalidQueryError
from coodie.plans.counters import deltas_of, key_from

if TYPE_CHECKING:
    from aggregator.intake import Intake


def add_many(intake: Intake, document: type[Any], rows: Iterable[tuple[Any, Mapping[str, int]]]) -> int:
    """Add each (key values, deltas); return how many rows were accepted."""
    binding = intake.bind(document)
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
