"""
What is lost at worst when something dies: the loss windows of ``docs/delivery.md`` in hits.

Rules that live here: what the database has acknowledged is not lost, so with a database that answers at most one
interval is, and the time that a flush takes. While it is away everything accepted since is pending, and only a journal
keeps it.
"""

from __future__ import annotations

import msgspec

from aggregator.config import Options

AWAY_S = 60.0
"""Length of the outage of the database that the second figure of a loss is for."""

KERNEL_S = 30.0
"""After which Linux writes to the disk what is only in its memory, at the latest."""


class Loss(msgspec.Struct, frozen=True):
    """Hits lost at worst: with a database that answers, and after :data:`AWAY_S` seconds without one."""

    failure: str
    answering: float
    away: float


def losses(rate: float, workers: int, window: float, journal: bool, agent: bool) -> list[Loss]:
    """
    Return each failure with its worst loss.

    Args:
        rate: hits a second of one process; ``workers`` are those of one host.
        window: seconds from a hit until it is written, at the longest.
    """
    host, keeps = rate * workers, journal or agent
    found = [
        Loss("a process is killed", 0 if keeps else rate * window, 0 if keeps else rate * (window + AWAY_S)),
        Loss("a host is lost for good", host * window, host * (window + AWAY_S)),
    ]
    if agent:
        found.insert(1, Loss("the agent is killed", 0, 0))
    if not keeps:
        return [*found, Loss("a host loses power", host * window, host * (window + AWAY_S))]
    sync = Options.journal_sync_interval
    return [
        *found,
        Loss(
            'power lost, durability="process"',
            host * min(window, KERNEL_S),
            host * min(window + AWAY_S, KERNEL_S),
        ),
        Loss('power lost, durability="disk"', host * sync, host * sync),
    ]
