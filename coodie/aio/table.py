"""
What the classes of the aio face do with their whole table; these methods are awaited.

Rules that live here: emptying a table of counters halts whatever buffers them first, and makes it forget.
"""

from __future__ import annotations

from coodie import connections
from coodie.model import Model
from coodie.plans import tables
from coodie.run import arun
from coodie.schema import is_abstract
from coodie.synced import known_tables, prepare_async, report


class TableMethods(Model):
    """The methods of a model class that concern its table."""

    @classmethod
    async def sync_table(cls, dry_run: bool = False, drop_removed_indexes: bool = False) -> list[str]:
        """Create the table or add what it lacks; return the statements. ``dry_run`` only tells what would be done."""
        if is_abstract(cls):
            return []
        driver, table = connections.resolve(cls)
        synced = await arun(tables.sync(table, known_tables(driver), dry_run, drop_removed_indexes), driver)
        await prepare_async(driver, synced)
        return report(synced)

    @classmethod
    async def drop_table(cls) -> None:
        """Drop the table and all its rows, if it exists."""
        driver, table = connections.resolve(cls)
        if halting := cls._halt_counting():
            await halting
        with cls._emptying():
            await arun(tables.drop(table, known_tables(driver)), driver)

    @classmethod
    async def truncate(cls) -> None:
        """Remove every row."""
        driver, table = connections.resolve(cls)
        if halting := cls._halt_counting():
            await halting
        with cls._emptying():
            await arun(tables.truncate(table), driver)
