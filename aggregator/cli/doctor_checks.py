"""
What ``aggregator doctor`` says of each thing it looked at.

Rules that live here: a finding says what is wrong and what to change; what is well, or could not be looked at, is said
too. Nothing is ever changed by a check.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import msgspec

OK, FINDING, SKIPPED = "ok", "finding", "skipped"


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at; ``change`` is what to do about a finding."""

    check: str
    result: str
    text: str
    change: str | None = None


Checks: TypeAlias = Iterator[Check]


def ok(check: str, text: str) -> Check:
    """Return that something is as it should be."""
    return Check(check, OK, text)


def finding(check: str, text: str, change: str) -> Check:
    """Return that something is wrong."""
    return Check(check, FINDING, text, change)


def skipped(check: str, why: str) -> Check:
    """Return that something could not be looked at."""
    return Check(check, SKIPPED, why)
