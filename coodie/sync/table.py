"""
What the classes of the sync face do with their whole table; these methods block their thread.

Rules that live here: emptying a table of counters halts whatever buffers them first, and makes it forget.
"""

from __future__ import annotations

from coodie import connections
from coodie.model import Model
from coodie.plans import tables
from coodie.run import run
from coodie.schema import is_abstract
from coodie.synced import known_tables, prepare, report


class TableMethods(Model):
    """The methods of a model class that concern its table."""

    @classmethod
    def sync_table(cls, dry_run: bool = False, drop_removed_indexes: bool = False) -> list[str]:
        """Create the table or add what it lacks; return the statements. ``dry_run`` only tells what would be done."""
        if is_abstract(cls):
            return []
        driver, table = connections.resolve(cls)
        synced = run(tables.sync(table, known_tables(driver), dry_run, drop_removed_indexes), driver)
        prepare(driver, synced)
        return report(synced)

    @classmethod
    def drop_table(cls) -> None:
        """Drop the table and all its rows, if it exists."""
        driver, table = connections.resolve(cls)
        cls._halt_counting()
        with cls._emptying():
            run(tables.drop(table, known_tables(driver)), driver)

    @classmethod
    def truncate(cls) -> None:
        """Remove every row."""
        driver, table = connections.resolve(cls)
        cls._halt_counting()
        with cls._emptying():
            run(tables.truncate(table), driver)
