"""
The table of ``docs/tuning.md``, by the planner.

Rules that live here: ``python -m tests.docs.tuning`` prints it, to be pasted; a test compares it with the page.
"""

from __future__ import annotations

from collections.abc import Iterator

from aggregator.cli.plan import short
from aggregator.planning import Question, plan

RATES = (100, 1_000, 10_000)
KEYS = (100, 10_000, 1_000_000)
INTERVALS = (1.0, 10.0, 60.0)
# One host with four workers, and room for whatever an interval brings.
SITE = {"hosts": 1, "workers": 4, "max_batch_size": 1_000_000, "max_keys": 1_000_000}


def table() -> str:
    """Return the table as Markdown."""
    head = "| hits/s | keys | `flush_interval` | statements/s | hits per statement | lost at worst: process killed |"
    return "\n".join([head, "|---|---|---|---|---|---|", *_rows()]) + "\n"


def _rows() -> Iterator[str]:
    for rate in RATES:
        for keys in KEYS:
            for interval in INTERVALS:
                found = plan(Question(rate=rate, keys=keys, interval=interval, **SITE))
                losses = {loss.failure: short(loss.answering) for loss in found.losses}
                figures = [short(found.statements_s), short(found.coalescing), losses["a process is killed"]]
                yield f"| {rate:,} | {keys:,} | {interval:g} s | {' | '.join(figures)} |"


if __name__ == "__main__":
    print(table(), end="")
