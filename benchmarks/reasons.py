"""
Why a row misses its figure, found by profiling; printed below the table when the row of that name misses.

Rules that live here: a reason names what takes the time, how much, and what was tried.
"""

from __future__ import annotations

REASONS: dict[str, str] = {}
