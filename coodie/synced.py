"""
Which tables were synced, or seen, on which driver; what follows a sync: the warning of drift, preparing ahead.

Rules that live here: the memory is the driver's own ``_known_tables``, so that it ends with the driver and tests that
clear it are obeyed. From any thread: a lost race costs one more look at the catalogue, nothing else.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeVar

from coodie.plans.kinds import Known, checked
from coodie.plans.tables import Sync
from coodie.schema import Table
from coodie.statement import Rows, Statement

T = TypeVar("T")


def known_tables(driver: Any) -> Known:
    """Return the tables synced on a driver, a dict that may be changed."""
    known: Known | None = getattr(driver, "_known_tables", None)
    if known is None:
        known = driver._known_tables = {}
    return known


def checked_on(driver: Any, table: Table, plan: Generator[Statement, Rows, T]) -> Generator[Statement, Rows, T]:
    """Return a plan about a table, after a look at the kind of its counters where the driver has a memory."""
    if table.counters is None:
        return plan
    known = getattr(driver, "_known_tables", None)
    return checked(table, known if isinstance(known, dict) else None, plan)


def report(sync: Sync) -> list[str]:
    """Warn of columns the model does not define, and return the statements of a sync."""
    if sync.unknown_columns:
        columns = ", ".join(repr(name) for name in sync.unknown_columns)
        import logging

        logging.getLogger("coodie").warning(
            "Schema drift detected: columns {%s} exist in %s but are not defined in the model",
            columns,
            sync.table.full_name,
        )
    return sync.statements


def prepare(driver: Any, sync: Sync) -> None:
    """Have the driver prepare what a synced table will be asked, if it does that. Blocks."""
    if hasattr(type(driver), "prepare") and sync.ahead:
        driver.prepare(sync.ahead)


async def prepare_async(driver: Any, sync: Sync) -> None:
    """Have the driver prepare what a synced table will be asked, if it does that. On any event loop."""
    if hasattr(type(driver), "prepare_async") and sync.ahead:
        await driver.prepare_async(sync.ahead)
