"""
One row of the table.

Rules that live here: a figure is a text with its unit; ``reached`` None means that the figure is only stated.
"""

from __future__ import annotations

import msgspec


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked, what came out, and whether it is enough. ``name`` is the key of ``benchmarks.reasons``."""

    name: str
    question: str
    against: str
    figure: str
    spread: str = ""
    target: str = "stated"
    reached: bool | None = None
    note: str = ""
    was_run: bool = True


def not_run(name: str, why: str) -> Row:
    """Return the row of a question that could not be asked."""
    return Row(name=name, question=name, against="", figure="NOT RUN", note=why, was_run=False)


def ratio_row(
    name: str, question: str, against: str, ratio: float, spread: str, *, most: float | None = None, least: float = 0.0
) -> Row:
    """Return the row of a ratio that is to be at most ``most``, or at least ``least``; neither: stated."""
    reached = None
    target = "stated"
    if most is not None:
        reached, target = ratio <= most, f"<= {most:g}"
    elif least:
        reached, target = ratio >= least, f">= {least:g}"
    return Row(
        name=name,
        question=question,
        against=against,
        figure=f"{ratio:.2f}",
        spread=spread,
        target=target,
        reached=reached,
    )
