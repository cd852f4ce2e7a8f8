"""
What some calls answer besides documents: the outcome of a conditional write, and one page of rows.

Rules that live here: answers are frozen, and carry all of their state; nothing is left on a driver for a second call.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

D = TypeVar("D")


@dataclass(frozen=True)
class LWTResult:
    """Whether a conditional write was applied; if not, ``existing`` holds the columns the database answered with."""

    applied: bool
    existing: dict[str, Any] | None = None


@dataclass(frozen=True)
class PagedResult(Generic[D]):
    """One page: its documents, and the state that ``page()`` takes to continue; None on the last page."""

    data: list[D] = field(default_factory=list)
    paging_state: bytes | None = None
