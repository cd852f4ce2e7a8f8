"""
Exact, cheap counters: increments merge in memory, one coalesced UPDATE per row reaches the database.

Public names only; see ``Aggregator``.
"""

from __future__ import annotations

from aggregator.api import Aggregator
from aggregator.core.records import ColumnStats, FlushResult, HotKey, Rejected, Stats, Unknown
from aggregator.exceptions import AggregatorError, BufferFull, ConfigurationError, LifecycleError
from aggregator.lifecycle import current

__all__ = [
    "Aggregator",
    "AggregatorError",
    "BufferFull",
    "ColumnStats",
    "ConfigurationError",
    "FlushResult",
    "HotKey",
    "LifecycleError",
    "Rejected",
    "Stats",
    "Unknown",
    "current",
]
