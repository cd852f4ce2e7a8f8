"""The embedded store: the driver that keeps tables in one SQLite file (or in memory)."""

from __future__ import annotations

from coodie.drivers.sqlite.driver import SQLiteDriver

__all__ = ["SQLiteDriver"]
