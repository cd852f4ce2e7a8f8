"""
When a flush is due, and how long to wait after one that failed.

Rules that live here: time and chance come as arguments; seconds everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FlushPolicy:
    """Say when the next periodic flush falls due. ``interval`` None: never."""

    interval: float | None
    jitter: float

    def wait(self, chance: float) -> float | None:
        """Return the seconds until the next flush; ``chance`` in [0, 1) spreads workers over the jitter."""
        if self.interval is None:
            return None
        return self.interval * (1 + self.jitter * (2 * chance - 1))


@dataclass(slots=True)
class Backoff:
    """Double the wait after each failure in a row, up to a bound, with a random share so that workers spread."""

    first: float = 0.25
    longest: float = 30.0
    failures: int = 0

    def fail(self, chance: float) -> float:
        """Count a failure and return the seconds to wait before the next try."""
        wait = min(self.longest, self.first * 2.0 ** min(self.failures, 16))
        self.failures += 1
        return wait * (0.5 + 0.5 * chance)

    def succeed(self) -> None:
        """Forget the failures."""
        self.failures = 0
